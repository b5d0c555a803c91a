//! Probes media nodes every few seconds: can they be reached, are they who they say, how far away are they.

use super::{intake::Intake, probe::Probe};
use crate::{
    clock::now_ms,
    metrics::{Metrics, outcome},
};
use chroom_primitives::NodeId;
use chroom_rpc::{channel, tls::Identity};
use futures::StreamExt;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Time between two probes of a node.
const INTERVAL: Duration = Duration::from_secs(15);
/// Time that a probe may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Probes at once.
const CONCURRENT: usize = 8;

/// Probes the nodes that this attestor was drawn for, until `shutdown`.
pub async fn run(intake: Arc<Intake>, identity: Identity, metrics: Arc<Metrics>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        let round = futures::stream::iter(targets(&intake))
            .map(|node| probe(&intake, &identity, &metrics, node))
            .buffer_unordered(CONCURRENT)
            .for_each(|()| std::future::ready(()));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = round => {}
        }
    }
}

/// Nodes of the current epoch's assignments, or of the one before while those are not known.
fn targets(intake: &Intake) -> Vec<NodeId> {
    intake.with_schedule(|schedule| {
        let current = schedule.times.current().map(|info| info.current);
        let epochs = [current, current.and_then(|epoch| epoch.previous())];
        let known = epochs.into_iter().flatten().find_map(|epoch| schedule.assigned(epoch));
        known.map(|nodes| nodes.iter().copied().collect()).unwrap_or_default()
    })
}

async fn probe(intake: &Intake, identity: &Identity, metrics: &Metrics, node: NodeId) {
    let at_ms = now_ms();
    let rtt_ms = match intake.register().view(&node) {
        Some(view) => {
            let began = Instant::now();
            match tokio::time::timeout(TIMEOUT, channel::identify(identity, &view.record.payload.rpc)).await {
                // One round trip for TCP, one for TLS 1.3.
                Ok(Ok(found)) if found == node => {
                    Some(u32::try_from(began.elapsed().as_millis() / 2).unwrap_or(u32::MAX))
                }
                Ok(Ok(found)) => {
                    tracing::warn!(%node, %found, "probe: another node answers");
                    None
                }
                Ok(Err(error)) => {
                    tracing::info!(%node, %error, "probe: no answer");
                    None
                }
                Err(_) => {
                    tracing::info!(%node, "probe: no answer in time");
                    None
                }
            }
        }
        None => None,
    };
    metrics.probes.get_or_create(&outcome(if rtt_ms.is_some() { "answered" } else { "failed" })).inc();
    if let Err(error) = intake.register().store().put_probe(&node, &Probe { at_ms, rtt_ms }) {
        tracing::error!(%error, "cannot keep a probe");
    }
}
