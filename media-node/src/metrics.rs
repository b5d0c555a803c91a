//! Figures for Prometheus.

use crate::{health::Load, qos::reporter::ReportCounts, sfu::Traffic};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};
use std::sync::atomic::AtomicU64;

/// The node's metrics.
pub struct Metrics {
    sessions: Gauge,
    rooms: Gauge,
    tracks: Gauge,
    cpu: Gauge<f64, AtomicU64>,
    loss: Gauge<f64, AtomicU64>,
    rtt: Gauge<f64, AtomicU64>,
    accepting: Gauge,
    turn: Gauge<f64, AtomicU64>,
    received: Counter,
    received_bytes: Counter,
    sent: Counter,
    sent_bytes: Counter,
    refused: Counter,
    injected: Counter,
    unknown: Counter,
    relief: Gauge<f64, AtomicU64>,
    joins_waiting: Gauge,
    tcp_connections: Gauge,
    tcp_sent: Counter,
    tcp_dropped: Counter,
    last: Traffic,
}

impl Metrics {
    /// Makes the metrics and names them in `registry`, with the counts that others keep.
    pub fn new(registry: &mut Registry, reports: &ReportCounts) -> Self {
        let metrics = Self {
            sessions: Gauge::default(),
            rooms: Gauge::default(),
            tracks: Gauge::default(),
            cpu: Gauge::default(),
            loss: Gauge::default(),
            rtt: Gauge::default(),
            accepting: Gauge::default(),
            turn: Gauge::default(),
            received: Counter::default(),
            received_bytes: Counter::default(),
            sent: Counter::default(),
            sent_bytes: Counter::default(),
            refused: Counter::default(),
            injected: Counter::default(),
            unknown: Counter::default(),
            relief: Gauge::default(),
            joins_waiting: Gauge::default(),
            tcp_connections: Gauge::default(),
            tcp_sent: Counter::default(),
            tcp_dropped: Counter::default(),
            last: Traffic::default(),
        };
        let registry = registry.sub_registry_with_prefix("chroom_media");
        registry.register("sessions", "Live sessions", metrics.sessions.clone());
        registry.register("rooms", "Live rooms", metrics.rooms.clone());
        registry.register("tracks", "Published tracks", metrics.tracks.clone());
        registry.register(
            "cpu_ratio",
            "Share of what the node can compute: of the machine, or of its busiest media thread",
            metrics.cpu.clone(),
        );
        registry.register("loss_ratio", "Fraction lost towards receivers, before repair", metrics.loss.clone());
        registry.register_with_unit(
            "round_trip_time",
            "Mean round-trip time to receivers",
            Unit::Seconds,
            metrics.rtt.clone(),
        );
        registry.register(
            "relief_ratio",
            "Share of the video that receivers want which is given up because a media thread has too much to do",
            metrics.relief.clone(),
        );
        registry.register(
            "joins_waiting",
            "Sessions whose offer waits for its turn, as many join at once",
            metrics.joins_waiting.clone(),
        );
        registry.register("accepting", "Whether new sessions are taken", metrics.accepting.clone());
        registry.register_with_unit(
            "longest_turn",
            "Longest turn of a media thread's loop between two measurements",
            Unit::Seconds,
            metrics.turn.clone(),
        );
        registry.register("datagrams_received", "Datagrams received", metrics.received.clone());
        registry.register_with_unit("received", "Bytes received", Unit::Bytes, metrics.received_bytes.clone());
        registry.register("datagrams_sent", "Datagrams sent", metrics.sent.clone());
        registry.register_with_unit("sent", "Bytes sent", Unit::Bytes, metrics.sent_bytes.clone());
        registry.register("datagrams_refused", "Datagrams that the kernel didn't take", metrics.refused.clone());
        registry.register(
            "datagrams_injected_loss",
            "Datagrams dropped by the injected loss",
            metrics.injected.clone(),
        );
        registry.register("datagrams_unknown", "Datagrams that belong to no session", metrics.unknown.clone());
        registry.register(
            "tcp_connections",
            "Connections of clients whose network lets no UDP through",
            metrics.tcp_connections.clone(),
        );
        registry.register("tcp_frames_sent", "Frames sent over TCP", metrics.tcp_sent.clone());
        registry.register(
            "tcp_frames_dropped",
            "Frames that a client over TCP was too slow for",
            metrics.tcp_dropped.clone(),
        );
        registry.register(
            "session_score",
            "Scores of sessions' intervals of five seconds by the node's own figures, in points",
            reports.score.clone(),
        );
        registry.register("reports_taken", "Session reports taken by committee members", reports.taken.clone());
        registry.register("reports_refused", "Session reports refused by committee members", reports.refused.clone());
        registry.register(
            "reports_dropped",
            "Session reports that members didn't take in time",
            reports.dropped.clone(),
        );
        metrics
    }

    /// Takes in a measurement.
    pub fn update(&mut self, load: &Load, traffic: &Traffic, accepting: bool) {
        self.sessions.set(load.totals.sessions.into());
        self.rooms.set(load.totals.rooms.into());
        self.tracks.set(load.totals.tracks.into());
        self.cpu.set(f64::from(load.cpu) / 10_000.0);
        self.loss.set(f64::from(load.loss) / 10_000.0);
        self.rtt.set(f64::from(load.rtt_ms) / 1_000.0);
        self.accepting.set(accepting.into());
        self.relief.set(f64::from(traffic.relief) / 100.0);
        self.joins_waiting.set(i64::try_from(traffic.joins_waiting).unwrap_or(i64::MAX));
        self.turn.set(traffic.longest_turn_us as f64 / 1_000_000.0);
        let last = std::mem::replace(&mut self.last, *traffic);
        let grow = |counter: &Counter, now: u64, before: u64| {
            counter.inc_by(now.saturating_sub(before));
        };
        grow(&self.received, traffic.received, last.received);
        grow(&self.received_bytes, traffic.received_bytes, last.received_bytes);
        grow(&self.sent, traffic.sent, last.sent);
        grow(&self.sent_bytes, traffic.sent_bytes, last.sent_bytes);
        grow(&self.refused, traffic.refused, last.refused);
        grow(&self.injected, traffic.injected, last.injected);
        grow(&self.unknown, traffic.unknown, last.unknown);
        self.tcp_connections.set(i64::try_from(traffic.tcp_connections).unwrap_or(i64::MAX));
        grow(&self.tcp_sent, traffic.tcp_sent, last.tcp_sent);
        grow(&self.tcp_dropped, traffic.tcp_dropped, last.tcp_dropped);
    }
}
