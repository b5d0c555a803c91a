//! Pipes' figures for Prometheus.

use super::quic::Figures;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use std::{collections::BTreeSet, sync::atomic::AtomicU64};

/// Which pipe.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Peer {
    peer: String,
}

type Share = Family<Peer, Gauge<f64, AtomicU64>>;
type Count = Family<Peer, Gauge>;

/// The pipes' metrics.
#[derive(Default)]
pub struct PipeMetrics {
    up: Count,
    rooms: Count,
    streams_in: Count,
    streams_out: Count,
    kbps_in: Count,
    kbps_out: Count,
    loss_in: Share,
    residual_in: Share,
    loss_out: Share,
    rtt: Share,
    jitter: Share,
    sent_bytes: Counter,
    received_bytes: Counter,
    dropped: Counter,
    refused: Counter,
    failovers: Counter,
    known: BTreeSet<String>,
    last: Figures,
}

impl PipeMetrics {
    /// Names the metrics in `registry`.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("chroom_media_pipe");
        registry.register("up", "Whether the pipe to a media node is up", metrics.up.clone());
        registry.register("rooms", "Rooms that cross the pipe", metrics.rooms.clone());
        registry.register("streams_in", "Layers of tracks that come in", metrics.streams_in.clone());
        registry.register("streams_out", "Layers of tracks that go out", metrics.streams_out.clone());
        registry.register("kbps_in", "Payload that comes in, kb/s", metrics.kbps_in.clone());
        registry.register("kbps_out", "Payload that goes out, kb/s", metrics.kbps_out.clone());
        registry.register("loss_in_ratio", "Fraction lost on the way here, before repair", metrics.loss_in.clone());
        registry.register(
            "residual_in_ratio",
            "Fraction lost on the way here, after repair",
            metrics.residual_in.clone(),
        );
        registry.register("loss_out_ratio", "Fraction lost on the way there, before repair", metrics.loss_out.clone());
        registry.register_with_unit("round_trip_time", "Round-trip time", Unit::Seconds, metrics.rtt.clone());
        registry.register_with_unit("jitter", "Jitter of what comes in", Unit::Seconds, metrics.jitter.clone());
        registry.register_with_unit("sent", "UDP payload sent", Unit::Bytes, metrics.sent_bytes.clone());
        registry.register_with_unit("received", "UDP payload received", Unit::Bytes, metrics.received_bytes.clone());
        registry.register("datagrams_dropped", "Datagrams that no queue had room for", metrics.dropped.clone());
        registry.register(
            "refused",
            "Connections of nodes that the register doesn't have in service",
            metrics.refused.clone(),
        );
        registry.register("failovers", "Dead parents that a standby replaced", metrics.failovers.clone());
        metrics
    }

    /// Takes in a measurement.
    pub fn update(&mut self, figures: &Figures) {
        let mut present = BTreeSet::new();
        for peer in &figures.peers {
            let label = Peer { peer: peer.node.to_string() };
            let pipe = &peer.pipe;
            let share = |parts: u16| f64::from(parts) / 10_000.0;
            self.up.get_or_create(&label).set(peer.up.into());
            self.rooms.get_or_create(&label).set(peer.rooms.into());
            self.streams_in.get_or_create(&label).set(pipe.streams_in.into());
            self.streams_out.get_or_create(&label).set(pipe.streams_out.into());
            self.kbps_in.get_or_create(&label).set(pipe.kbps_in.into());
            self.kbps_out.get_or_create(&label).set(pipe.kbps_out.into());
            self.loss_in.get_or_create(&label).set(share(pipe.loss_in));
            self.residual_in.get_or_create(&label).set(share(pipe.residual_in));
            self.loss_out.get_or_create(&label).set(share(pipe.loss_out));
            self.rtt.get_or_create(&label).set(pipe.rtt.as_secs_f64());
            self.jitter.get_or_create(&label).set(pipe.jitter.as_secs_f64());
            present.insert(label.peer);
        }
        for gone in self.known.difference(&present) {
            let label = Peer { peer: gone.clone() };
            let counts = [&self.up, &self.rooms, &self.streams_in, &self.streams_out, &self.kbps_in, &self.kbps_out];
            counts.into_iter().for_each(|family| {
                family.remove(&label);
            });
            let shares = [&self.loss_in, &self.residual_in, &self.loss_out, &self.rtt, &self.jitter];
            shares.into_iter().for_each(|family| {
                family.remove(&label);
            });
        }
        self.known = present;
        let last = std::mem::replace(&mut self.last, figures.clone());
        for (counter, now, before) in [
            (&self.sent_bytes, figures.sent_bytes, last.sent_bytes),
            (&self.received_bytes, figures.received_bytes, last.received_bytes),
            (&self.dropped, figures.dropped, last.dropped),
            (&self.refused, figures.refused, last.refused),
            (&self.failovers, figures.failovers, last.failovers),
        ] {
            counter.inc_by(now.saturating_sub(before));
        }
    }
}
