//! Sessions and rooms.
//!
//! [`Core`] is the state machine: clients' requests, media nodes' events and ticks go in, replies, notifications, commands to
//! media nodes and changes of the store come out. It does no I/O; time, randomness and the directory of nodes are arguments.
//! [`Handle`] is its thin tokio shell.

mod core;
mod error;
mod exchange;
mod ids;
mod member;
mod priority;
mod room;
mod shell;
mod stay;
mod track;
mod transport;
mod wire;

pub use self::core::{Core, Env, Limits, Rules};
pub use error::Refusal;
pub use exchange::{
    Command, Effect, Failure, Input, Join, MediaEvent, OPENED_ANEW, Outcome, Publish, Reply, Request, Subscription,
    Ticket,
};
pub use ids::{
    CallId, ConnectionId, Fence, Generation, OperationId, ParticipantId, RoomId, SessionId, SessionIdError, Tag,
    TrackId,
};
pub use member::{Rights, Session, Want};
pub use priority::Priority;
pub use room::Room;
pub use shell::{Handle, Notifications, Shell};
pub use stay::{Stay, Stays};
pub use track::{Kind, Source, SourceError, Track};
pub use transport::Transport;
pub use wire::{
    Event, LoadInfo, NodeInfo, ParticipantInfo, RECEIPT_INTERVAL_MS, RewardInfo, SessionInfo, TrackInfo, points,
};

#[cfg(test)]
mod tests;
