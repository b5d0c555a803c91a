//! Registry nodes among each other: gossip for speed, reconciliation for certainty.
//!
//! [`reconcile`] is the core without I/O; [`swarm`] runs it, gossip and discovery over libp2p.

pub mod exchange;
pub mod message;
pub mod peers;
pub mod reconcile;
pub mod swarm;
