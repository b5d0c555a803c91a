//! Media over TCP, for clients whose network lets no UDP through: ICE with TCP candidates (RFC 6544), of which this side is the passive end, on
//! the port that UDP has.
//!
//! A connection is one more way to a session: its frames (RFC 4571) are taken in as datagrams are, from the address of the connection's other end. It is
//! nobody's until its first frame proved to be a check of a session, with the right password; until then it may wait a few seconds and send
//! nothing else. What is sent to an address that a connection has, or had until it ended, goes over that connection or nowhere: the same address may be another
//! client's over UDP.

pub mod frame;
mod line;
mod lines;
mod shortage;

use frame::TooLong;
pub use lines::{Accepted, Counts, Frame, Lines, bind};
