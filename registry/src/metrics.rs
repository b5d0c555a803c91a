//! Figures for Prometheus.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Label sets with a single label.
pub type Labels = Vec<(&'static str, String)>;

/// A label set that names a verdict.
pub fn verdict(name: &str) -> Labels {
    vec![("verdict", name.to_owned())]
}

/// A label set that names an outcome.
pub fn outcome(name: &str) -> Labels {
    vec![("outcome", name.to_owned())]
}

/// All figures of a registry node.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Records merged, by verdict.
    pub records: Family<Labels, Counter>,
    /// Load reports, by outcome.
    pub loads: Family<Labels, Counter>,
    /// Receipts, by outcome.
    pub receipts: Family<Labels, Counter>,
    /// gRPC calls refused, by status code.
    pub refused: Family<Labels, Counter>,
    /// Gossip messages, by outcome.
    pub gossip: Family<Labels, Counter>,
    /// Reconciliations with peers, by outcome.
    pub reconciliations: Family<Labels, Counter>,
    /// Probes of media nodes, by outcome.
    pub probes: Family<Labels, Counter>,
    /// Epochs, by outcome.
    pub epochs: Family<Labels, Counter>,
    /// Registry nodes connected.
    pub peers: Gauge,
    /// Live nodes in the register.
    pub live_nodes: Gauge,
    /// Records of unknown owners.
    pub quarantined: Gauge,
    /// Watchers connected.
    pub watchers: Gauge,
    /// Finalised block that the membership is of.
    pub finalised_block: Gauge,
}

impl Metrics {
    /// Registers all figures under `chroom_registry_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("chroom_registry");
        registry.register("records", "Records merged, by verdict", self.records.clone());
        registry.register("load_reports", "Load reports, by outcome", self.loads.clone());
        registry.register("receipts", "Receipts, by outcome", self.receipts.clone());
        registry.register("refused_calls", "gRPC calls refused, by status code", self.refused.clone());
        registry.register("gossip_messages", "Gossip messages, by outcome", self.gossip.clone());
        registry.register("reconciliations", "Reconciliations, by outcome", self.reconciliations.clone());
        registry.register("probes", "Probes of media nodes, by outcome", self.probes.clone());
        registry.register("epochs", "QoS epochs, by outcome", self.epochs.clone());
        registry.register("peers", "Registry nodes connected", self.peers.clone());
        registry.register("live_nodes", "Live nodes in the register", self.live_nodes.clone());
        registry.register("quarantined_records", "Records of owners unknown to the chain", self.quarantined.clone());
        registry.register("watchers", "Watch streams open", self.watchers.clone());
        registry.register("finalised_block", "Finalised block that the membership is of", self.finalised_block.clone());
    }
}
