//! The orchestrator's side of the media nodes' gRPC interface.
//!
//! For each media node that has rooms there is one link: a channel over mutual TLS that checks the node's id, the stream of
//! the node's events, and the commands. A node is lost when no heartbeat came for three seconds, whether its stream broke
//! or fell silent; the link goes on trying, so that the node is noticed when it is back.

mod link;
mod liveness;
mod messages;

pub use link::{Links, run};
pub use liveness::{Liveness, SILENCE_MS, Verdict};
