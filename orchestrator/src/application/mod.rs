//! What an application decides in its rooms.
//!
//! A profile is a set of hooks that the session core calls; it never does I/O, so whatever it decides can be replayed.

mod meeting;

pub use meeting::Meeting;

use crate::{
    allocation::Constraints,
    session::{ParticipantId, Rights},
};
use chroom_primitives::UnixMs;

/// A participant as a profile sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member<'a> {
    /// Its id in the room.
    pub participant: &'a ParticipantId,
    /// Who the application says it is.
    pub identity: &'a str,
    /// What it may do.
    pub rights: Rights,
    /// When it came, Unix ms.
    pub since: UnixMs,
}

/// A room as a profile sees it: its participants in the order in which they came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomView<'a> {
    /// The room's name.
    pub name: &'a str,
    /// Who is in it.
    pub members: Vec<Member<'a>>,
    /// Its host.
    pub host: Option<&'a ParticipantId>,
}

/// What becomes of a room after someone left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterLeave {
    /// It goes on.
    Keep,
    /// It is closed for all, with this reason.
    Close(&'static str),
}

/// A profile: the rules of an application's rooms.
pub trait Application: Send + Sync {
    /// Its name in `apps.toml`.
    fn name(&self) -> &'static str;

    /// Whether the one who comes with `rights` may enter, and what it may do in the room: never more than its token grants.
    /// An error turns it away, with the reason.
    fn on_join(&self, room: &RoomView<'_>, identity: &str, rights: Rights) -> Result<Rights, String>;

    /// What becomes of the room after someone left; `room` is without them.
    fn on_leave(&self, room: &RoomView<'_>) -> AfterLeave;

    /// Who is the host, called after each change.
    fn choose_host<'a>(&self, room: &RoomView<'a>) -> Option<&'a ParticipantId>;

    /// What the room's media node must fulfil, on top of what the application's entry in `apps.toml` asks.
    fn constraints(&self, room: &str, constraints: Constraints) -> Constraints;
}
