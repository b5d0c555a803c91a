//! The node's presence in the register: joins, renews, reports its load, leaves; over any registry node that answers.

use super::record::{Author, LIFETIME_MS};
use crate::{health::Health, rpc::events::now_ms};
use chroom_chain_client::Membership;
use chroom_primitives::{NodeId, Role};
use chroom_rpc::{NodeAddress, channel, registry::RegistryClient, tls::Identity, v1};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport::Channel};

/// Pause between load reports.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(2);
/// Most registry nodes that are remembered.
const MAX_KNOWN: usize = 64;
/// Time that a registry node has for an answer.
const TIMEOUT: Duration = Duration::from_secs(4);
/// First and longest pause between attempts to join.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// The registry nodes that are known, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub struct Known {
    addresses: Vec<NodeAddress>,
    next: usize,
}

impl Known {
    /// Begins with these.
    pub fn new(addresses: Vec<NodeAddress>) -> Self {
        Self { addresses, next: 0 }
    }

    /// Learns a registry node, or its new endpoint.
    pub fn learn(&mut self, address: NodeAddress) {
        let count = self.addresses.len();
        match self.addresses.iter_mut().find(|known| known.node == address.node) {
            Some(known) => *known = address,
            None if count < MAX_KNOWN => self.addresses.push(address),
            None => {}
        }
    }

    /// Learns those that the chain has in service; forgets those that it has not, unless none would remain.
    pub fn follow(&mut self, membership: &Membership) {
        for registration in membership.active(Role::Registry) {
            self.learn(NodeAddress { node: registration.node, endpoint: registration.endpoint.clone() });
        }
        let serves = |node: &NodeId| membership.is_member(node, Role::Registry);
        if self.addresses.iter().any(|address| serves(&address.node)) {
            self.addresses.retain(|address| serves(&address.node));
        }
    }

    /// The one in use.
    pub fn current(&self) -> Option<&NodeAddress> {
        self.addresses.get(self.next % self.addresses.len().max(1))
    }

    /// Goes on to the next.
    pub fn advance(&mut self) {
        self.next = (self.next + 1) % self.addresses.len().max(1);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }
}

/// What the API shows of the presence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Presence {
    /// The registry node that took the last record.
    pub registry: Option<NodeId>,
    /// When the record was last taken, Unix ms.
    pub joined_ms: Option<u64>,
    /// When a load report was last taken, Unix ms.
    pub reported_ms: Option<u64>,
    /// The last refusal or failure, until something succeeds.
    pub error: Option<String>,
}

/// Keeps the node in the register.
pub struct Publisher {
    /// TLS identity.
    pub identity: Identity,
    /// Signs what is published.
    pub author: Arc<Mutex<Author>>,
    /// The registry nodes.
    pub known: Known,
    /// The register on the chain.
    pub membership: watch::Receiver<Arc<Membership>>,
    /// Load and acceptance.
    pub health: Arc<Health>,
    /// For the API.
    pub presence: Arc<Mutex<Presence>>,
}

impl Publisher {
    fn client(
        &self,
        clients: &mut BTreeMap<NodeAddress, RegistryClient<Channel>>,
        address: &NodeAddress,
    ) -> Result<RegistryClient<Channel>, Status> {
        if let Some(client) = clients.get(address) {
            return Ok(client.clone());
        }
        let channel = channel::connect(&self.identity, &address.endpoint, Some(address.node))
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let client = RegistryClient::new(channel);
        if clients.len() >= MAX_KNOWN {
            clients.clear();
        }
        clients.insert(address.clone(), client.clone());
        Ok(client)
    }

    /// Runs until `stop`, then says good-bye.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut clients = BTreeMap::new();
        let mut joined: Option<(NodeAddress, Instant)> = None;
        let mut pause = RETRY.0;
        loop {
            let membership = self.membership.borrow_and_update().clone();
            self.known.follow(&membership);
            let wait = match self.turn(&mut clients, &mut joined).await {
                Ok(()) => {
                    pause = RETRY.0;
                    REPORT_INTERVAL
                }
                Err(status) => {
                    let registry = self.known.current().map(|address| address.node);
                    tracing::warn!(
                        registry = registry.map(tracing::field::display), code = ?status.code(), reason = status.message(),
                        "registry node refused or unreachable; trying the next"
                    );
                    self.presence.lock().error = Some(status.message().to_owned());
                    self.known.advance();
                    joined = None;
                    let wait = pause;
                    pause = (pause * 2).min(RETRY.1);
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => break,
            }
        }
        self.leave(&mut clients).await;
    }

    async fn turn(
        &mut self,
        clients: &mut BTreeMap<NodeAddress, RegistryClient<Channel>>,
        joined: &mut Option<(NodeAddress, Instant)>,
    ) -> Result<(), Status> {
        let Some(address) = self.known.current().cloned() else {
            return Err(Status::unavailable("no registry node is known: give --registry, or wait for the chain"));
        };
        let mut client = self.client(clients, &address)?;
        let renew_after = Duration::from_millis(LIFETIME_MS / 2);
        if !joined.as_ref().is_some_and(|(at, when)| *at == address && when.elapsed() < renew_after) {
            let signed_record = self.author.lock().record(now_ms(), false);
            let response = within(client.join(v1::JoinRequest { signed_record })).await?;
            for peer in response.peers.iter().take(MAX_KNOWN) {
                match peer.parse::<NodeAddress>() {
                    Ok(peer) => self.known.learn(peer),
                    Err(error) => tracing::debug!(%error, "a registry node named a peer that is none"),
                }
            }
            tracing::info!(registry = %address.node, seq = response.seq, known = self.known.len(), "joined the register");
            *joined = Some((address.clone(), Instant::now()));
            let mut presence = self.presence.lock();
            presence.registry = Some(address.node);
            presence.joined_ms = Some(now_ms());
            presence.error = None;
        }
        let (load, accepting) = (self.health.load(), self.health.closed().is_none());
        let signed_report = self.author.lock().load(now_ms(), &load, self.health.egress_limit_kbps, accepting);
        match within(client.report_load(v1::ReportLoadRequest { signed_report })).await {
            // An older one overtook it: nothing is wrong.
            Err(status) if status.code() == Code::AlreadyExists => {}
            other => drop(other?),
        }
        let mut presence = self.presence.lock();
        presence.reported_ms = Some(now_ms());
        presence.error = None;
        Ok(())
    }

    /// A farewell to the first registry node that takes it.
    async fn leave(&mut self, clients: &mut BTreeMap<NodeAddress, RegistryClient<Channel>>) {
        let signed_record = self.author.lock().record(now_ms(), true);
        for _ in 0..self.known.len().min(4) {
            let Some(address) = self.known.current().cloned() else { return };
            let left = match self.client(clients, &address) {
                Ok(mut client) => {
                    within(client.leave(v1::LeaveRequest { signed_record: signed_record.clone() })).await.map(drop)
                }
                Err(status) => Err(status),
            };
            match left {
                Ok(()) => {
                    tracing::info!(registry = %address.node, "left the register");
                    return;
                }
                Err(status) => {
                    tracing::warn!(registry = %address.node, reason = status.message(), "farewell not taken");
                    self.known.advance();
                }
            }
        }
    }
}

async fn within<T>(call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} s", TIMEOUT.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(id: u8) -> NodeAddress {
        NodeAddress {
            node: NodeId([id; 20]),
            endpoint: format!("127.0.0.1:{}", 7_000 + u16::from(id)).parse().unwrap(),
        }
    }

    #[test]
    fn all_known_ones_are_tried_in_turn() {
        let mut known = Known::new(vec![address(1)]);
        known.learn(address(2));
        known.learn(address(1));
        let mut tried = Vec::new();
        for _ in 0..4 {
            tried.push(known.current().unwrap().node.0[0]);
            known.advance();
        }
        assert_eq!(tried, [1, 2, 1, 2]);
        assert!(Known::default().current().is_none());
    }
}
