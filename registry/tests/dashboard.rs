//! The dashboard asks for metrics that there are.
#![allow(clippy::unwrap_used, missing_docs)]

use chroom_registry::metrics::{Metrics, outcome, verdict};
use chroom_rpc::dashboard::{exposition, missing};
use prometheus_client::registry::Registry;

#[test]
fn every_metric_of_the_dashboard_is_exported() {
    let (metrics, mut registry) = (Metrics::default(), Registry::default());
    metrics.register(&mut registry);
    // Families without a sample are not shown.
    metrics.records.get_or_create(&verdict("accepted")).inc();
    let by_outcome = [
        &metrics.loads,
        &metrics.receipts,
        &metrics.refused,
        &metrics.gossip,
        &metrics.reconciliations,
        &metrics.probes,
        &metrics.epochs,
    ];
    by_outcome.into_iter().for_each(|family| {
        family.get_or_create(&outcome("done")).inc();
    });
    let missing = missing(include_str!("../../grafana/registry.json"), "chroom_", &exposition(&registry).unwrap());
    assert_eq!(missing, Ok(Default::default()));
}
