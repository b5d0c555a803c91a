//! The share of connections that one address may hold, so that it cannot take the places of all others.

use chroom_rpc::{
    guests::{Guests, Place},
    network::Network,
};
use serde_json::json;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};

/// The slug of the refusal.
pub(super) const TOO_MANY: &str = "too-many-connections";
/// Refusals that are told at once; beyond, connections are closed without a word.
const TOLD: usize = 64;
/// How long telling one may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes that are read of a request that is refused.
const REQUEST: usize = 16 * 1024;

/// Counts connections by address: an IPv4 address, an IPv6 /64.
pub(super) struct Shares {
    guests: Guests<Network>,
    telling: Arc<Semaphore>,
}

impl Shares {
    /// Lets each address hold at most `most` connections; 0: as many as there are.
    pub(super) fn new(most: usize) -> Self {
        let most = if most == 0 { usize::MAX } else { most };
        Self { guests: Guests::new(most), telling: Arc::new(Semaphore::new(TOLD)) }
    }

    /// A place for one more connection from this address, unless it has its share.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Place<Network>> {
        self.guests.admit(Network::of(address))
    }

    /// Tells whoever connected beyond the share why the connection is closed.
    pub(super) fn turn_away(&self, mut socket: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        let turn = self.telling.clone().try_acquire_owned();
        async move {
            let Ok(_turn) = turn else { return };
            let body = json!({
                "reason": TOO_MANY,
                "hint": "close connections that are not used, or ask the operator to raise --max-connections-per-address"
            })
            .to_string();
            let answer = format!(
                "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 access-control-allow-origin: *\r\nretry-after: 5\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let tell = async {
                // What is not read when a connection is closed resets it, and the answer may be lost with that.
                let mut request = [0; 2_048];
                let mut read = socket.read(&mut request).await?;
                socket.write_all(answer.as_bytes()).await?;
                socket.shutdown().await?;
                while read > 0 && read < REQUEST {
                    match socket.read(&mut request).await? {
                        0 => break,
                        more => read += more,
                    }
                }
                Ok::<(), std::io::Error>(())
            };
            let _ = tokio::time::timeout(PATIENCE, tell).await;
        }
    }
}
