//! The dashboard asks for metrics that there are.
#![allow(clippy::unwrap_used, missing_docs)]

use chroom_orchestrator::metrics::{Metrics, Reason};
use chroom_rpc::dashboard::{exposition, missing};
use prometheus_client::registry::Registry;

#[test]
fn every_metric_of_the_dashboard_is_exported() {
    let (metrics, mut registry) = (Metrics::default(), Registry::default());
    metrics.register(&mut registry);
    // A family without a sample is not shown.
    metrics.refused.get_or_create(&Reason { reason: "no-session" }).inc();
    let missing = missing(include_str!("../../grafana/orchestrator.json"), "chroom_", &exposition(&registry).unwrap());
    assert_eq!(missing, Ok(Default::default()));
}
