//! The dashboard asks for metrics that there are.
#![allow(clippy::unwrap_used, missing_docs)]

use chroom_media_node::{
    cascade::{hub::PeerFigures, metrics::PipeMetrics, quality::PipeFigures, quic::Figures},
    metrics::Metrics,
    processing::{
        budget::Millicores,
        metrics as studio_metrics,
        recording::room::RecordingLimits,
        studio::{Studio, StudioConfig},
    },
    qos::reporter::ReportCounts,
    sfu::{Sfu, SfuConfig, event::CloseReason},
};
use chroom_primitives::NodeId;
use chroom_rpc::dashboard::{exposition, missing};
use prometheus_client::registry::Registry;
use std::{sync::Arc, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_the_dashboard_is_exported() {
    let mut registry = Registry::default();
    let _node = Metrics::new(&mut registry, &ReportCounts::default());
    let mut pipes = PipeMetrics::new(&mut registry);
    // Families without a sample are not shown.
    let peer = PeerFigures { node: NodeId([1; 20]), up: true, rooms: 0, dropped: 0, pipe: PipeFigures::default() };
    pipes.update(&Figures { peers: vec![peer], ..Figures::default() });
    let config =
        SfuConfig { listen: "127.0.0.1:0".parse().unwrap(), tcp: true, advertise: None, shards: 1, egress_loss: None };
    let sfu = Arc::new(Sfu::start(&config).unwrap());
    let limits = RecordingLimits { duration: Duration::from_secs(1), bytes: 1 };
    let studio = StudioConfig { threads: 0, budget: Millicores(0), recordings: None, limits };
    studio_metrics::register(&mut registry, &Arc::new(Studio::start(sfu.clone(), studio).unwrap()));
    let missing = missing(include_str!("../../grafana/media-node.json"), "chroom_", &exposition(&registry).unwrap());
    assert_eq!(missing, Ok(Default::default()));
    sfu.stop(CloseReason::Draining).await;
}
