//! An ingress of our own: what clients send over SRTP, beside the engine, which keeps ICE, DTLS and SCTP.
//!
//! A packet is authenticated before anything of it is believed, then placed on its m-line and layer, repaired if it was lost, and told of to its sender:
//! what arrived when, what is missing, how a stream arrives. `docs/ingress.md` has the whole way.

mod arrivals;
mod config;
mod header;
mod missing;
mod receiver;
mod reception;
mod source;

pub use config::{Config, Extension, LineConfig};
pub use receiver::{Receiver, Sealed};
