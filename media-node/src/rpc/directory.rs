//! Which orchestrator has which room, and by which fencing epoch.

use crate::sfu::id::{RoomId, SessionId};
use chroom_primitives::NodeId;
use std::collections::HashMap;

/// Rooms whose fencing epoch is remembered; of those without sessions the longest untouched is forgotten first.
const MAX_ROOMS: usize = 65_536;

/// A command of an orchestrator that has lost its room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("fencing epoch {given} is behind {greatest}: another orchestrator has the room; stop serving it")]
pub struct Fenced {
    /// The epoch that came.
    pub given: u64,
    /// The greatest that was seen.
    pub greatest: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    fence: u64,
    owner: NodeId,
    touched: u64,
    sessions: u32,
}

/// The directory.
#[derive(Debug, Default)]
pub struct Directory {
    rooms: HashMap<RoomId, Entry>,
    sessions: HashMap<SessionId, RoomId>,
    clock: u64,
}

impl Directory {
    /// Admits a command on a room by `caller` with `fence`, and remembers both. An equal epoch of another orchestrator is refused too:
    /// an epoch has one holder.
    pub fn admit(&mut self, room: &RoomId, fence: u64, caller: NodeId) -> Result<(), Fenced> {
        self.clock += 1;
        match self.rooms.get_mut(room) {
            Some(entry) => {
                if fence < entry.fence || (fence == entry.fence && caller != entry.owner) {
                    return Err(Fenced { given: fence, greatest: entry.fence });
                }
                entry.fence = fence;
                entry.owner = caller;
                entry.touched = self.clock;
            }
            None => {
                if self.rooms.len() >= MAX_ROOMS {
                    self.forget_one();
                }
                self.rooms.insert(room.clone(), Entry { fence, owner: caller, touched: self.clock, sessions: 0 });
            }
        }
        Ok(())
    }

    fn forget_one(&mut self) {
        let oldest = self.rooms.iter().filter(|(_, entry)| entry.sessions == 0).min_by_key(|(_, entry)| entry.touched);
        if let Some(room) = oldest.map(|(room, _)| room.clone()) {
            self.rooms.remove(&room);
        }
    }

    /// Who has the room.
    pub fn owner(&self, room: &RoomId) -> Option<NodeId> {
        self.rooms.get(room).map(|entry| entry.owner)
    }

    /// Whether anyone is in the room here.
    pub fn has_sessions(&self, room: &RoomId) -> bool {
        self.rooms.get(room).is_some_and(|entry| entry.sessions > 0)
    }

    /// The session's room.
    pub fn room(&self, session: &SessionId) -> Option<RoomId> {
        self.sessions.get(session).cloned()
    }

    /// A session was opened.
    pub fn opened(&mut self, session: SessionId, room: &RoomId) {
        if self.sessions.insert(session, room.clone()).is_none()
            && let Some(entry) = self.rooms.get_mut(room)
        {
            entry.sessions += 1;
        }
    }

    /// A session is over.
    pub fn closed(&mut self, session: &SessionId) {
        if let Some(room) = self.sessions.remove(session)
            && let Some(entry) = self.rooms.get_mut(&room)
        {
            entry.sessions = entry.sessions.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId([1; 20]);
    const B: NodeId = NodeId([2; 20]);

    #[test]
    fn smaller_epochs_are_refused_even_after_the_room_is_empty() {
        let mut directory = Directory::default();
        let room: RoomId = "r".parse().unwrap();
        let session = SessionId([3; 16]);
        directory.admit(&room, 5, A).unwrap();
        directory.opened(session, &room);
        directory.admit(&room, 6, B).unwrap();
        assert_eq!(directory.admit(&room, 5, A), Err(Fenced { given: 5, greatest: 6 }));
        assert_eq!(directory.admit(&room, 6, A), Err(Fenced { given: 6, greatest: 6 }));
        assert_eq!(directory.owner(&room), Some(B));
        directory.closed(&session);
        assert_eq!(directory.room(&session), None);
        assert!(directory.admit(&room, 5, A).is_err());
        directory.admit(&room, 6, B).unwrap();
    }

    #[test]
    fn rooms_with_sessions_are_never_forgotten() {
        let mut directory = Directory::default();
        let kept: RoomId = "kept".parse().unwrap();
        directory.admit(&kept, 9, A).unwrap();
        directory.opened(SessionId([1; 16]), &kept);
        for n in 0..MAX_ROOMS {
            directory.admit(&format!("room-{n}").parse().unwrap(), 1, A).unwrap();
        }
        assert!(directory.rooms.len() <= MAX_ROOMS);
        assert!(directory.admit(&kept, 8, A).is_err());
    }
}
