//! An egress of our own: what leaves for clients over SRTP, beside the engine, which keeps ICE, DTLS, SCTP and what comes in.
//!
//! A forwarded packet takes a header of its own, one pass of the cipher straight into the batch that leaves, and an entry among the packets
//! that may be asked for again; no allocation, no copy besides the cipher's. `docs/egress.md` has the whole way.

#[cfg(test)]
mod cost;
mod header;
mod keys;
mod line;
mod outgoing;
mod probing;
mod protection;
mod resend;
mod seal;
mod sender;
mod srtp;

pub use keys::{KeySlot, take_slot, tapped};
pub use line::{ExtensionIds, LineConfig};
pub use sender::Sender;
