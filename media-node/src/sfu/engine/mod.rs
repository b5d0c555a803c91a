//! The port to the WebRTC engine.
//!
//! The engine is everything of one peer connection that isn't routing: ICE, DTLS and SCTP; from the ingress beside it ([`super::ingress`]) what comes in over SRTP,
//! repaired and reported on; and from the egress ([`super::egress`]) what leaves. [`peer`] joins str0m and both; nothing outside this
//! folder knows str0m. A connection does no I/O: datagrams and the time go in, [`Output`]s come out.

mod candidate;
mod descriptor;
mod format;
mod offer;
mod opus;
mod peer;
mod route;

pub use offer::{Line, LineKind, Offer, OfferError};
pub use peer::{Str0m, Str0mConnection};

use super::{
    codec::Format,
    headroom::Reading,
    id::{Mid, Rid},
    packet::{Channel, Forward, Packet},
    stats::Uplink,
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Why an offer is refused.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The offer is malformed or beyond the limits.
    #[error("the SDP offer is refused: {0}")]
    Offer(#[from] OfferError),
    /// The engine refuses it.
    #[error("the SDP offer can't be accepted: {0}")]
    Engine(String),
}

/// A connection can't go on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// What a connection reports about the path to its client, each second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct PathReport {
    /// Highest extended sequence number that the client reported, summed over streams it reported on since.
    pub expected: u64,
    /// Packets of those that the client reported lost.
    pub lost: u64,
    /// Round-trip time.
    pub rtt: Option<Duration>,
    /// Interarrival jitter, mean over streams.
    pub jitter: Option<Duration>,
    /// How what the client sends arrives.
    pub uplink: Uplink,
}

/// Something happened on a connection.
#[derive(Debug)]
pub enum Happening {
    /// ICE, DTLS and SRTP are up.
    Connected,
    /// The client has shown that its side is up, too, without sending media: by a report. Or it has nothing to show it by.
    Ready,
    /// ICE lost consent.
    Lost,
    /// ICE has consent again.
    Regained,
    /// The client closed the connection.
    Closed,
    /// A media packet came.
    Packet(Packet),
    /// The client asks for a key frame on this receiving m-line.
    KeyframeWanted(Mid),
    /// What is known of the line towards the client.
    Estimate(Reading),
    /// The client opened a data channel.
    ChannelOpen(Channel),
    /// The channel can take more data again.
    ChannelReady(Channel),
    /// A data message.
    Message(Channel, Vec<u8>),
    /// How the path does.
    Path(PathReport),
}

/// What a connection wants done.
#[derive(Debug)]
pub enum Output {
    /// Send this datagram.
    Transmit(SocketAddr, Vec<u8>),
    /// Take note.
    Happening(Happening),
    /// Nothing more for now; call [`Connection::tick`] at this time.
    Idle(Instant),
}

/// Where datagrams leave.
pub trait Exit {
    /// The buffer at whose end a datagram for `to` is to be written. What is in it already belongs to others.
    fn begin(&mut self, to: SocketAddr) -> &mut Vec<u8>;

    /// What was appended since is a datagram; if nothing was, there is none.
    fn end(&mut self);
}

/// Makes connections. One per shard.
pub trait Engine {
    /// Its connections.
    type Connection: Connection;

    /// A new connection whose answers name `local` as candidate. `ufrag_prefix` begins its ICE user name, so that a
    /// datagram's shard can be told from its STUN header.
    fn open(&self, now: Instant, local: SocketAddr, ufrag_prefix: &str) -> Self::Connection;
}

/// One peer connection.
///
/// After each call that takes `&mut self`, except for a run of [`Connection::forward`], [`Connection::poll`] must be called until
/// it gives [`Output::Idle`].
pub trait Connection {
    /// Takes an offer; returns the answer and the offer's media lines.
    fn accept(&mut self, offer: &str) -> Result<(String, Vec<Line>), AcceptError>;

    /// ICE user name of this side, by which a client's first STUN message is told apart.
    fn ufrag(&self) -> String;

    /// Whether a datagram from this address is the connection's.
    fn owns(&self, source: SocketAddr, datagram: &[u8]) -> bool;

    /// Whether this address is proven to be the client's, and media goes there.
    fn holds(&self, address: SocketAddr) -> bool;

    /// Takes in a datagram.
    fn receive(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> Result<(), Fault>;

    /// Lets time pass.
    fn tick(&mut self, now: Instant) -> Result<(), Fault>;

    /// The next thing to do.
    fn poll(&mut self, now: Instant) -> Result<Output, Fault>;

    /// The payload type that the client expects for this format on its receiving m-line.
    fn payload_type(&self, mid: Mid, format: &Format) -> Option<u8>;

    /// Takes a media packet, which waits for [`Connection::flush`]. Nothing else of the connection changes.
    fn forward(&mut self, forward: Forward<'_>);

    /// Seals what was forwarded, and sends it.
    fn flush(&mut self, now: Instant, exit: &mut dyn Exit);

    /// Asks the client for a key frame.
    fn request_keyframe(&mut self, mid: Mid, rid: Option<Rid>);

    /// Tells the client how much it may send in all, in kb/s.
    fn limit_uplink(&mut self, kbps: u32);

    /// Writes a data message. `false`: the channel is full or not open.
    fn send(&mut self, channel: Channel, message: &[u8]) -> Result<bool, Fault>;

    /// What media would take if the path carried it, in kb/s: the estimator looks for as much.
    fn want_bitrate(&mut self, kbps: u32);

    /// Says good-bye to the client. What is to be sent comes out of [`Connection::poll`].
    fn close(&mut self);
}

/// The USERNAME of a STUN message's receiver side, which begins with the shard's prefix.
pub fn stun_ufrag(datagram: &[u8]) -> Option<&str> {
    peer::stun_ufrag(datagram)
}

#[cfg(test)]
mod tests;
