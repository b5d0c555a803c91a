//! Pipes between media nodes: rooms that span nodes.
//!
//! ```text
//! router ⇄ link ⇄ hub ── pipe ── pipe ── hub ⇄ link ⇄ router
//!                  └─ quic: one connection per pair of nodes ─┘
//! ```
//! [`hub`] decides what crosses which pipe, [`pipe`] repairs one hop, both without I/O; [`quic`] joins them to a socket.
//! docs/cascade.md has the protocol.

pub mod ceiling;
pub mod control;
pub mod datagram;
mod format;
pub mod gate;
pub mod grievance;
pub mod hub;
pub mod incoming;
pub mod limits;
pub mod link;
pub mod metrics;
pub mod outgoing;
pub mod pipe;
pub mod quality;
pub mod quic;
pub mod varint;
pub mod window;
