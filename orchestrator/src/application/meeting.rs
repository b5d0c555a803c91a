//! Meetings: some tens of people who all may speak.

use super::{AfterLeave, Application, RoomView};
use crate::{
    allocation::Constraints,
    session::{ParticipantId, Rights},
};

/// The default profile: a limit on participants; the host is the earliest admin, or else the earliest participant who may
/// publish; the room ends when the last one leaves.
#[derive(Clone, Debug)]
pub struct Meeting {
    /// Most participants in a room.
    pub max_participants: usize,
}

impl Default for Meeting {
    fn default() -> Self {
        Self { max_participants: 100 }
    }
}

impl Application for Meeting {
    fn name(&self) -> &'static str {
        "meeting"
    }

    fn on_join(&self, room: &RoomView<'_>, identity: &str, rights: Rights) -> Result<Rights, String> {
        // Whoever comes again takes their own seat.
        let others = room.members.iter().filter(|member| member.identity != identity).count();
        if others >= self.max_participants {
            return Err(format!("the room is full ({} participants)", self.max_participants));
        }
        Ok(rights)
    }

    fn on_leave(&self, room: &RoomView<'_>) -> AfterLeave {
        if room.members.is_empty() { AfterLeave::Close("everybody left") } else { AfterLeave::Keep }
    }

    fn choose_host<'a>(&self, room: &RoomView<'a>) -> Option<&'a ParticipantId> {
        let admin = room.members.iter().find(|member| member.rights.admin);
        // A host stays the host as long as they are there, unless an admin comes.
        let current = room.members.iter().find(|member| Some(member.participant) == room.host);
        let speaker = room.members.iter().find(|member| member.rights.publish);
        let earliest = admin.or(current).or(speaker).or(room.members.first());
        earliest.map(|member| member.participant)
    }

    fn constraints(&self, _room: &str, constraints: Constraints) -> Constraints {
        constraints
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Member, *};

    fn ids(count: usize) -> Vec<ParticipantId> {
        (0..count).map(|n| ParticipantId(format!("p{n}"))).collect()
    }

    fn room<'a>(ids: &'a [ParticipantId], rights: &[Rights]) -> RoomView<'a> {
        let members = ids
            .iter()
            .zip(rights)
            .map(|(id, rights)| Member { participant: id, identity: id.as_str(), rights: *rights, since: 0 })
            .collect();
        RoomView { name: "room", members, host: None }
    }

    const LISTENER: Rights = Rights { publish: false, subscribe: true, admin: false };
    const SPEAKER: Rights = Rights { publish: true, subscribe: true, admin: false };
    const ADMIN: Rights = Rights { publish: true, subscribe: true, admin: true };

    #[test]
    fn the_host_is_the_first_admin_then_the_first_speaker() {
        let ids = ids(3);
        let meeting = Meeting::default();
        assert_eq!(meeting.choose_host(&room(&ids, &[LISTENER, SPEAKER, ADMIN])), Some(&ids[2]));
        assert_eq!(meeting.choose_host(&room(&ids, &[LISTENER, SPEAKER, SPEAKER])), Some(&ids[1]));
        assert_eq!(meeting.choose_host(&room(&ids, &[LISTENER, LISTENER])), Some(&ids[0]));
        assert_eq!(meeting.choose_host(&room(&ids, &[])), None);
    }

    #[test]
    fn a_full_room_takes_back_its_own() {
        let ids = ids(2);
        let meeting = Meeting { max_participants: 2 };
        let room = room(&ids, &[SPEAKER, SPEAKER]);
        assert!(meeting.on_join(&room, "new", SPEAKER).is_err());
        assert_eq!(meeting.on_join(&room, "p1", SPEAKER), Ok(SPEAKER));
    }
}
