//! Figures for Prometheus.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Names the reason of a refusal.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct Reason {
    /// The slug that the client got.
    pub reason: &'static str,
}

/// The figures. Cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics {
    /// Live sessions.
    pub sessions: Gauge,
    /// Live rooms.
    pub rooms: Gauge,
    /// Live rooms on more than one media node.
    pub spanning: Gauge,
    /// Open WebSocket connections.
    pub connections: Gauge,
    /// Requests that were refused.
    pub refused: Family<Reason, Counter>,
    /// Requests.
    pub requests: Counter,
    /// Media nodes that were lost.
    pub nodes_lost: Counter,
    /// Sessions that were moved to another media node.
    pub moves: Counter,
    /// Receipts that were taken.
    pub receipts: Counter,
    /// Receipts that wait for committee members.
    pub receipts_waiting: Gauge,
    /// Receipts that reached a committee member.
    pub receipts_delivered: Counter,
    /// Receipts that a committee member refused.
    pub receipts_refused: Counter,
    /// Receipts that were given up: their epoch closed before all members had them.
    pub receipts_given_up: Counter,
    /// Writes that failed.
    pub store_failures: Counter,
}

impl Metrics {
    /// Registers the figures.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("chroom_orchestrator");
        registry.register("sessions", "Live sessions", self.sessions.clone());
        registry.register("rooms", "Live rooms", self.rooms.clone());
        registry.register("rooms_spanning", "Live rooms on more than one media node", self.spanning.clone());
        registry.register("connections", "Open WebSocket connections", self.connections.clone());
        registry.register("requests", "Signalling requests", self.requests.clone());
        registry.register("refused", "Signalling requests that were refused", self.refused.clone());
        registry.register("media_nodes_lost", "Media nodes that contact was lost with", self.nodes_lost.clone());
        registry.register("moves", "Sessions that were moved to another media node", self.moves.clone());
        registry.register("receipts", "Receipts taken from clients", self.receipts.clone());
        registry.register("receipts_waiting", "Receipts waiting for committee members", self.receipts_waiting.clone());
        registry.register("receipts_delivered", "Deliveries to committee members", self.receipts_delivered.clone());
        registry.register("receipts_refused", "Receipts that members refused", self.receipts_refused.clone());
        registry.register("receipts_given_up", "Receipts whose epoch closed too early", self.receipts_given_up.clone());
        registry.register("store_failures", "Writes to disk that failed", self.store_failures.clone());
    }
}
