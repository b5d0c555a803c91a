//! What the control side asks of a shard.

use super::{
    engine::AcceptError,
    event::CloseReason,
    id::{RoomId, SessionId},
    resident::{Asked, Entry, Lacking, ResidentId},
    router::{Opening, Publish, RouteError, Subscribe},
    stats::{SessionStats, Totals},
    turnstile::Crowded,
};
use crate::cascade::link::ToRoom;
use std::net::SocketAddr;
use tokio::sync::oneshot;

/// Why a negotiation failed.
#[derive(Debug, thiserror::Error)]
pub enum NegotiateError {
    /// It isn't allowed.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The offer is no good.
    #[error(transparent)]
    Offer(#[from] AcceptError),
    /// Too many join at once.
    #[error(transparent)]
    Crowded(#[from] Crowded),
    /// The offer is another peer connection's (its certificate differs); the session was closed.
    #[error("the offer is of another peer connection; the session is over: open it anew")]
    Replaced,
}

/// An offer to be taken.
pub struct Negotiation {
    /// The session.
    pub session: SessionId,
    /// The client's offer.
    pub offer: String,
    /// What it publishes.
    pub publish: Vec<Publish>,
    /// What it wants.
    pub subscribe: Vec<Subscribe>,
    /// The answer's SDP.
    pub reply: oneshot::Sender<Result<String, NegotiateError>>,
}

/// A command with the way its answer goes back.
pub enum Command {
    /// Open a session.
    Open(Opening, oneshot::Sender<Result<(), RouteError>>),
    /// Take an offer.
    Negotiate(Negotiation),
    /// Change what a client receives.
    Subscribe(SessionId, Vec<Subscribe>, oneshot::Sender<Result<(), RouteError>>),
    /// End a session; answers whether there was one.
    Close(SessionId, CloseReason, oneshot::Sender<bool>),
    /// End a room; answers how many sessions it had.
    CloseRoom(RoomId, CloseReason, oneshot::Sender<usize>),
    /// Figures of one session or of all.
    Stats(Option<SessionId>, oneshot::Sender<(Totals, Vec<SessionStats>)>),
    /// An address whose datagrams, from now on, are for the shard with this number: it knows the password; and whether the address is proven to be
    /// its client's.
    Neighbour(SocketAddr, usize, bool),
    /// What the cascade says of a room.
    Cascade(ToRoom),
    /// Let a resident into a room.
    Enter(RoomId, Entry, oneshot::Sender<Result<(), RouteError>>),
    /// Which videos someone can't decode as they are.
    Lacking(oneshot::Sender<Vec<Lacking>>),
    /// What a resident wants.
    Resident(ResidentId, Asked),
    /// End all sessions, then the thread.
    Stop(CloseReason, oneshot::Sender<()>),
}
