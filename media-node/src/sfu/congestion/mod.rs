//! Send-side congestion control: how much may be sent to one client, when to look for more, and when packets leave.
//!
//! State machines without I/O: time is an argument, and nothing here knows sockets, tracks or the engine. One [`Controller`] and one
//! [`Pacer`] per transport. docs/congestion.md has the states, formulas and figures.
//!
//! ```text
//! media ─▶ Pacer ─▶ (numbered, sealed, sent) ─▶ Controller::on_sent
//!            ▲                                        │
//!   target, probes ◀── Controller ◀── on_feedback ◀── client
//! ```

mod acknowledged;
mod aimd;
mod blind;
mod capacity;
mod controller;
mod delay;
mod estimate;
pub mod feedback;
mod group;
mod history;
mod limited;
mod loss;
mod measurement;
mod observation;
pub mod pacer;
mod probe;
mod queueing;
mod rate;
mod recent;
pub mod remb;
mod resends;
mod sequence;
#[cfg(test)]
pub mod simulation;
mod trend;

pub use controller::Controller;
pub use estimate::{Config, Estimate};
pub use feedback::{Feedback, FeedbackError};
pub use pacer::{Pacer, Priority, Release};
pub use probe::{Cluster, ClusterId};
pub use rate::Rate;
pub use resends::Resends;
pub use trend::Usage;
