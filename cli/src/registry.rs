//! The registries' public JSON-RPC, from the caller's side.

use crate::failure::{Failure, chain_of};
use chroom_primitives::{NodeId, evidence::RecordEquivocation};
use codec::DecodeAll;
use jsonrpsee::{
    core::{ClientError, client::ClientT, params::ObjectParams},
    http_client::{HttpClient, HttpClientBuilder},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use std::time::Duration;

/// Time that one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// Pieces of evidence asked for at once.
const EVIDENCE_PAGE: usize = 200;
/// Pieces of evidence after which no more is asked for.
const MOST_EVIDENCE: usize = 20_000;

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

impl Registry {
    /// The pairs of contradicting records that it keeps, against one node if it is named, checked by nobody.
    pub async fn evidence(&self, node: Option<NodeId>) -> Result<Vec<RecordEquivocation>, Failure> {
        let malformed = || Failure::new(format_args!("the registry at {} answers what is no evidence", self.url));
        let mut all: Vec<RecordEquivocation> = Vec::new();
        let mut after: Option<(NodeId, u64)> = None;
        while all.len() < MOST_EVIDENCE {
            let place = after.map(|(node, seq)| format!("{node}{seq:016x}"));
            let params = [("node", json!(node)), ("after", json!(place)), ("limit", json!(EVIDENCE_PAGE))];
            let page: Vec<String> = self.call("registry_evidence", &params).await?;
            let full = page.len() >= EVIDENCE_PAGE;
            for text in page {
                let bytes = hex::decode(text.trim_start_matches("0x")).map_err(|_| malformed())?;
                let pair = RecordEquivocation::decode_all(&mut bytes.as_slice()).map_err(|_| malformed())?;
                let place = (pair.first.payload.node, pair.first.payload.seq);
                // A registry that does not move on would hold us for ever.
                if after.is_some_and(|after| place <= after) {
                    return Err(malformed());
                }
                after = Some(place);
                all.push(pair);
            }
            if !full {
                break;
            }
        }
        Ok(all)
    }
}

fn insert<T: Serialize>(object: &mut ObjectParams, name: &str, value: T) -> Result<(), Failure> {
    object.insert(name, value).map_err(|error| Failure::new(format_args!("cannot encode {name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Json, Router, extract::State, routing};
    use chroom_primitives::{CapacityClass, H3Cell, Hash, Role, record::NodeRecord};
    use chroom_wallet::Wallet;
    use codec::Encode;
    use serde_json::Value;
    use std::sync::Arc;

    fn pair(signer: &Wallet, seq: u64) -> RecordEquivocation {
        let signed = |left| {
            let record = NodeRecord {
                node: signer.node_id(),
                seq,
                expires_ms: 0,
                role: Role::Media,
                cell: H3Cell(0),
                rpc: "127.0.0.1:7400".parse().unwrap(),
                public_url: Default::default(),
                p2p: Default::default(),
                class: CapacityClass::Small,
                version: Default::default(),
                left,
            };
            signer.sign(record, &Hash::zero())
        };
        RecordEquivocation { first: signed(false), second: signed(true) }
    }

    /// A registry with these pairs; one that is stuck answers every question with its first page.
    async fn registry(pairs: Vec<RecordEquivocation>, stuck: bool) -> Registry {
        let answer = move |State(pairs): State<Arc<Vec<RecordEquivocation>>>, Json(request): Json<Value>| async move {
            let params = &request["params"];
            let limit = usize::try_from(params["limit"].as_u64().unwrap()).unwrap();
            let place = |pair: &RecordEquivocation| {
                let record = &pair.first.payload;
                format!("{}{:016x}", record.node, record.seq)
            };
            let after = params["after"].as_str().filter(|_| !stuck).unwrap_or_default().to_owned();
            let page: Vec<String> = pairs
                .iter()
                .filter(|pair| place(pair) > after)
                .take(limit)
                .map(|pair| format!("0x{}", hex::encode(pair.encode())))
                .collect();
            Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": page }))
        };
        let app = Router::new().route("/", routing::post(answer)).with_state(Arc::new(pairs));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Registry::at(&url).unwrap()
    }

    #[tokio::test]
    async fn all_pages_of_evidence_are_read_and_no_page_twice() {
        let signer = Wallet::from_secret(&[1; 32]).unwrap();
        let pairs: Vec<RecordEquivocation> = (0..EVIDENCE_PAGE as u64 + 3).map(|seq| pair(&signer, seq)).collect();
        assert_eq!(registry(pairs.clone(), false).await.evidence(None).await.unwrap(), pairs);
        let stuck = registry(pairs, true).await.evidence(None).await.unwrap_err();
        assert!(stuck.message.contains("no evidence"), "{stuck}");
        assert!(registry(Vec::new(), false).await.evidence(None).await.unwrap().is_empty());
    }
}
