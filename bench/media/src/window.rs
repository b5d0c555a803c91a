//! What one measurement showed.

/// What a window of time showed.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Window {
    /// Size of the scenario.
    pub size: u32,
    /// Connections to the server.
    pub sessions: usize,
    /// Its length, in seconds.
    pub seconds: f64,
    /// Packets a second that should have been forwarded.
    pub due: f64,
    /// Packets a second that were: they came in the first place.
    pub forwarded: f64,
    /// Megabits a second of all RTP that came.
    pub megabits: f64,
    /// Share of the packets that were due and didn't come in the first place.
    pub loss: f64,
    /// Share that wasn't repaired either.
    pub residual_loss: f64,
    /// Delay that half of the packets don't exceed, from sending to arrival, in milliseconds.
    pub delay_p50_ms: f64,
    /// Delay that 99 of 100 packets don't exceed.
    pub delay_p99_ms: f64,
    /// The longest delay.
    pub delay_max_ms: f64,
    /// CPU time of the server's process, as a share of one core.
    pub sfu_cpu: f64,
    /// Share of the time that the server's core did anything, interrupts and others' work included.
    pub core_busy: f64,
    /// Time in which the machine's host let the server's or the generator's core stand still, as a share of the window.
    pub stolen: f64,
    /// CPU time of the generator, as a share of one core.
    pub generator_cpu: f64,
    /// Longest turn of the generator's loop, in milliseconds.
    pub generator_turn_ms: f64,
    /// Memory of the server's process, in MiB.
    pub rss_mib: f64,
    /// Datagrams that found the generator's sockets full.
    pub generator_drops: u64,
    /// Datagrams that found any other socket full: the server's.
    pub sfu_drops: u64,
    /// Packets that were not what was sent.
    pub corrupt: u64,
    /// Packets opened and found right.
    pub opened: u64,
    /// Datagrams that nobody knows what to do with.
    pub unknown: u64,
    /// Key frames that publishers were asked for.
    pub keyframes_asked: u64,
    /// Packets that receivers asked for again.
    pub asked: u64,
    /// Packets that came once too often.
    pub duplicates: u64,
    /// Probes and padding that came.
    pub padding: u64,
    /// Load average of the machine.
    pub load: f64,
}

/// Standing still for more of a window than this keeps its packets waiting, whatever server it is: 25 ms of five seconds.
const SPOILED: f64 = 0.005;

/// Whether what is lost (0 to 1) and the delay's 99th percentile are within the limits that whatever is measured is held to.
pub fn is_within_limits(loss: f64, delay_p99_ms: f64) -> bool {
    loss < 0.01 && delay_p99_ms < 5.0
}

impl Window {
    /// Whether it is within the limits: less than 1 % lost, the 99th percentile of the delay below 5 ms, nothing damaged.
    pub fn is_good(&self) -> bool {
        is_within_limits(self.loss, self.delay_p99_ms) && self.corrupt == 0 && self.due > 0.0
    }

    /// Whether the machine's host took so much time that what was missed says nothing of the server.
    pub fn is_spoiled(&self) -> bool {
        !self.is_good() && self.stolen > SPOILED
    }

    /// What it says of its size, in words.
    pub fn verdict(&self) -> &'static str {
        match (self.is_good(), self.is_spoiled()) {
            (true, _) => "good",
            (_, true) => "spoiled by the host",
            _ => "too much",
        }
    }

    /// Whether the generator was the one that couldn't keep up.
    pub fn is_generators_limit(&self) -> bool {
        self.generator_drops > 0 || self.generator_cpu > 0.95
    }
}
