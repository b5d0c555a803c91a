//! Whether the node takes new sessions, and if not, why.

use crate::sfu::stats::Totals;
use parking_lot::Mutex;
use serde::Serialize;
use std::time::Instant;
use utoipa::ToSchema;

/// CPU share from which on no new sessions are taken, parts per 10,000.
const CPU_LIMIT: u16 = 9_000;
/// CPU share below which they are taken again.
const CPU_AGAIN: u16 = 8_000;
/// Share of the egress limit from which on no new sessions are taken, in percent.
pub const EGRESS_LIMIT_PERCENT: u64 = 90;

/// Why no new sessions are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Closed {
    /// It is stopping.
    Stopping,
    /// The operator drains it on the chain.
    Draining,
    /// The chain doesn't have it in service.
    NotInService,
    /// The machine is busy.
    Busy,
    /// The line is full.
    Egress,
    /// There are as many sessions as it may have.
    Full,
}

impl Closed {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Closed::Stopping => "the node is stopping",
            Closed::Draining => "the node is draining",
            Closed::NotInService => "the node is not in service on the chain",
            Closed::Busy => "the node has no time for more: its CPU or a media thread is busy",
            Closed::Egress => "the node's egress is used up",
            Closed::Full => "the node has as many sessions as it may have",
        }
    }
}

/// How the chain has the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Registered {
    /// In service.
    Active,
    /// Draining.
    Draining,
    /// Not in service.
    OutOfService,
}

/// What is measured of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// The greater of the process's share of the machine's CPU and the busiest media thread's share of its time, parts per 10,000.
    pub cpu: u16,
    /// Share of the video that receivers want, in percent, that the busiest media thread doesn't send for lack of time.
    pub relief: u8,
    /// Ingress in kb/s.
    pub ingress_kbps: u32,
    /// Egress in kb/s, over pipes to other media nodes included.
    pub egress_kbps: u32,
    /// Egress over pipes in kb/s.
    pub pipe_egress_kbps: u32,
    /// What is carried.
    pub totals: Totals,
    /// Fraction lost towards receivers, parts per 10,000.
    pub loss: u16,
    /// Mean round-trip time to receivers in milliseconds.
    pub rtt_ms: u32,
}

impl Load {
    /// Egress to callers in kb/s.
    pub fn caller_egress_kbps(&self) -> u32 {
        self.egress_kbps.saturating_sub(self.pipe_egress_kbps)
    }
}

#[derive(Debug)]
struct State {
    stopping: bool,
    registered: Registered,
    load: Load,
    busy: bool,
}

/// The node's health, shared by its parts.
#[derive(Debug)]
pub struct Health {
    state: Mutex<State>,
    /// When the node started.
    pub started: Instant,
    /// Egress that it can give, in kb/s.
    pub egress_limit_kbps: u32,
    /// Most sessions.
    pub max_sessions: u32,
}

impl Health {
    /// A node that has just started.
    pub fn new(registered: Registered, egress_limit_kbps: u32, max_sessions: u32) -> Self {
        let state = State { stopping: false, registered, load: Load::default(), busy: false };
        Self { state: Mutex::new(state), started: Instant::now(), egress_limit_kbps, max_sessions }
    }

    /// Why no new sessions are taken; `None`: they are.
    pub fn closed(&self) -> Option<Closed> {
        let state = self.state.lock();
        let load = &state.load;
        if state.stopping {
            Some(Closed::Stopping)
        } else if state.registered == Registered::Draining {
            Some(Closed::Draining)
        } else if state.registered == Registered::OutOfService {
            Some(Closed::NotInService)
        } else if state.busy {
            Some(Closed::Busy)
        } else if u64::from(load.egress_kbps) * 100 >= u64::from(self.egress_limit_kbps) * EGRESS_LIMIT_PERCENT {
            Some(Closed::Egress)
        } else if load.totals.sessions >= self.max_sessions {
            Some(Closed::Full)
        } else {
            None
        }
    }

    /// The node is stopping.
    pub fn stop(&self) {
        self.state.lock().stopping = true;
    }

    /// How the chain has it now.
    pub fn set_registered(&self, registered: Registered) {
        self.state.lock().registered = registered;
    }

    /// How the chain has it.
    pub fn registered(&self) -> Registered {
        self.state.lock().registered
    }

    /// Takes in a measurement.
    pub fn set_load(&self, load: Load) {
        let mut state = self.state.lock();
        // Of a machine that gives its time to others a thread is at its end long before the limit.
        state.busy = load.relief > 0 || load.cpu >= if state.busy { CPU_AGAIN } else { CPU_LIMIT };
        state.load = load;
    }

    /// The last measurement.
    pub fn load(&self) -> Load {
        self.state.lock().load
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_closes_the_node_and_it_opens_again() {
        let health = Health::new(Registered::Active, 1_000, 10);
        assert_eq!(health.closed(), None);
        let load = Load::default();
        for (cpu, closed) in [(8_500, None), (9_000, Some(Closed::Busy)), (8_500, Some(Closed::Busy)), (7_999, None)] {
            health.set_load(Load { cpu, ..load });
            assert_eq!(health.closed(), closed, "{cpu}");
        }
        health.set_load(Load { cpu: 6_000, relief: 25, ..load });
        assert_eq!(health.closed(), Some(Closed::Busy), "those who are there get less than they want");
        health.set_load(Load { cpu: 6_000, ..load });
        assert_eq!(health.closed(), None);
        // What goes over pipes fills the line as well.
        health.set_load(Load { egress_kbps: 900, pipe_egress_kbps: 700, ..load });
        assert_eq!(health.closed(), Some(Closed::Egress));
        health.set_load(Load { totals: Totals { sessions: 10, ..Totals::default() }, ..load });
        assert_eq!(health.closed(), Some(Closed::Full));
        health.set_load(load);
        health.set_registered(Registered::Draining);
        assert_eq!(health.closed(), Some(Closed::Draining));
        health.stop();
        assert_eq!(health.closed(), Some(Closed::Stopping));
    }
}
