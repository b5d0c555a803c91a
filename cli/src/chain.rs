//! The way to the chain that every command has.

use crate::{
    failure::{Context, Failure},
    local,
};
use chroom_chain_client::ChainClient;
use clap::Args;
use std::time::Duration;

/// Time in which a node of the chain has to answer at first.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Where the chain is.
#[derive(Clone, Debug, Args)]
pub struct Chain {
    /// JSON-RPC of a node of the chain; may be repeated [default: the local network's, else ws://127.0.0.1:9944]
    #[arg(long = "chain", value_name = "WS_URL", env = "CHROOM_CHAIN", value_delimiter = ',')]
    urls: Vec<String>,
}

impl Chain {
    /// Where it is looked for.
    pub fn urls(&self) -> Vec<String> {
        local::chain(&self.urls)
    }

    /// Connects.
    pub async fn connect(&self) -> Result<ChainClient, Failure> {
        let urls = self.urls();
        let hint = "is a node running there? name one with --chain ws://host:port (chroom up starts a local network)";
        match tokio::time::timeout(CONNECT_LIMIT, ChainClient::connect(&urls)).await {
            Ok(result) => {
                result.context(format_args!("cannot reach the chain at {}", urls.join(", "))).map_err(|f| f.hint(hint))
            }
            Err(_) => Err(Failure::new(format_args!("the chain at {} does not answer", urls.join(", "))).hint(hint)),
        }
    }
}
