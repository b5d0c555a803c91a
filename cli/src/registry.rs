//! The registries' public JSON-RPC, from the caller's side.

use crate::failure::{Failure, chain_of};
use jsonrpsee::{
    core::{ClientError, client::ClientT, params::ObjectParams},
    http_client::{HttpClient, HttpClientBuilder},
};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// Time that one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// One registry.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Its URL.
    pub url: String,
    client: HttpClient,
}

impl Registry {
    /// The registry at `url` (`http://host:port`); nothing is sent yet.
    pub fn at(url: &str) -> Result<Self, Failure> {
        let client = HttpClientBuilder::default()
            .request_timeout(CALL_LIMIT)
            .max_response_size(32 * 1_024 * 1_024)
            .build(url)
            .map_err(|error| {
                Failure::usage(format_args!("{url} is no registry URL: {error}"))
                    .hint("a registry URL looks like http://127.0.0.1:7300")
            })?;
        Ok(Self { url: url.to_owned(), client })
    }

    /// Calls a method with named parameters.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &[(&str, serde_json::Value)],
    ) -> Result<T, Failure> {
        let mut object = ObjectParams::new();
        for (name, value) in params {
            insert(&mut object, name, value)?;
        }
        self.client.request(method, object).await.map_err(|error| self.failure(method, error))
    }

    fn failure(&self, method: &str, error: ClientError) -> Failure {
        match error {
            ClientError::Call(answer) => {
                let hint = answer.data().and_then(|data| {
                    let data: serde_json::Value = serde_json::from_str(data.get()).ok()?;
                    data.get("hint")?.as_str().map(str::to_owned)
                });
                let failure =
                    Failure::new(format_args!("the registry at {} refused {method}: {}", self.url, answer.message()));
                match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            other => Failure::new(format_args!("the registry at {} does not answer: {}", self.url, chain_of(&other)))
                .hint("name a registry that runs with --registry-url (chroom up's table lists the local ones)"),
        }
    }
}

fn insert<T: Serialize>(object: &mut ObjectParams, name: &str, value: T) -> Result<(), Failure> {
    object.insert(name, value).map_err(|error| Failure::new(format_args!("cannot encode {name}: {error}")))
}
