//! Between the session core's terms and the wire's.

use crate::{
    cascade::{End, Route},
    session::{Failure, Fence, Input, MediaEvent, ParticipantId, Priority, RoomId, SessionId, Subscription, TrackId},
};
use chroom_primitives::NodeId;
use chroom_rpc::v1;
use std::net::SocketAddr;
use tonic::{Code, Status};

/// Most speakers that are taken over from one event.
const MAX_SPEAKERS: usize = 16;
/// Most videos of one session that are taken for paused.
const MAX_PAUSED: usize = 256;
/// Most simulcast layers.
const MAX_LAYERS: usize = 8;

/// Subscriptions as the wire has them.
pub fn subscriptions(subscriptions: Vec<Subscription>) -> Vec<v1::Subscription> {
    subscriptions
        .into_iter()
        .map(|s| v1::Subscription {
            mid: s.mid,
            mix: s.track.as_ref().is_some_and(TrackId::is_mix),
            track: s.track.filter(|track| !track.is_mix()).map(|track| track.0).unwrap_or_default(),
            max_height: s.max_height,
            priority: priority(s.priority).into(),
        })
        .collect()
}

fn priority(priority: Priority) -> v1::Priority {
    match priority {
        Priority::VeryLow => v1::Priority::VeryLow,
        Priority::Low => v1::Priority::Low,
        Priority::Medium => v1::Priority::Medium,
        Priority::High => v1::Priority::High,
    }
}

/// A place in a room's tree as the wire has it.
pub fn route(room: &RoomId, fence: Fence, route: Route) -> v1::SetRouteRequest {
    let end = |end: End| v1::PipeEnd { node: end.node.0.to_vec(), address: end.address.to_string() };
    v1::SetRouteRequest {
        room: room.as_str().to_owned(),
        fence: fence.0,
        parent: route.parent.map(end),
        standby: route.standby.map(end),
        children: route.children.into_iter().map(|child| child.0.to_vec()).collect(),
    }
}

/// Where a node's pipes are, as it says. What other nodes would refuse to dial is its own failure and not theirs.
pub fn address(text: &str) -> Result<SocketAddr, Status> {
    let address =
        text.parse::<SocketAddr>().ok().filter(|address| !address.ip().is_unspecified() && address.port() != 0);
    address.ok_or_else(|| Status::invalid_argument("its pipes are at no address that others could reach"))
}

/// An event of `node` as input of the core; nothing for heartbeats and what makes no sense.
pub fn input(node: NodeId, event: v1::MediaEvent) -> Option<Input> {
    use v1::media_event::Event;
    let session = <[u8; 16]>::try_from(event.session.as_slice()).ok().map(SessionId);
    let event = match event.event? {
        Event::Heartbeat(_) | Event::RecordingEnded(_) => return None,
        Event::ParentLost(told) => {
            let lost = NodeId(told.node.as_slice().try_into().ok()?);
            return Some(Input::ParentLost { node, room: RoomId::from_wire(&event.room), lost });
        }
        Event::ParentPoor(told) => {
            let parent = NodeId(told.node.as_slice().try_into().ok()?);
            return Some(Input::ParentPoor { node, room: RoomId::from_wire(&event.room), parent });
        }
        Event::Speakers(speakers) => {
            return Some(Input::Speakers {
                node,
                room: RoomId::from_wire(&event.room),
                participants: speakers.participants.into_iter().take(MAX_SPEAKERS).map(ParticipantId).collect(),
            });
        }
        Event::Connected(_) => MediaEvent::Connected,
        Event::Closed(closed) => MediaEvent::Closed(closed.reason.chars().take(200).collect()),
        Event::TrackStarted(started) => MediaEvent::TrackStarted {
            track: TrackId(started.track),
            layers: started.layers.into_iter().take(MAX_LAYERS).collect(),
        },
        Event::TrackStopped(stopped) => MediaEvent::TrackStopped(TrackId(stopped.track)),
        Event::VideosPaused(paused) => {
            MediaEvent::VideosPaused(paused.tracks.into_iter().take(MAX_PAUSED).map(TrackId).collect())
        }
        Event::LayersWanted(wanted) => MediaEvent::LayersWanted {
            track: TrackId(wanted.track),
            layers: wanted.layers.into_iter().take(MAX_LAYERS).collect(),
            paused: wanted.paused,
        },
    };
    Some(Input::Media { node, session: session?, event })
}

/// A status as the core tells failures apart: a node that did not answer, or one that said no.
pub fn failure(status: &Status) -> Failure {
    let text = match status.message() {
        "" => format!("{:?}", status.code()),
        message => message.chars().take(300).collect(),
    };
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Unauthenticated => {
            Failure::Unreachable(text)
        }
        _ => Failure::Refused(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_can_be_dialled_are_passed_on() {
        assert_eq!(address("192.0.2.1:7000").unwrap(), SocketAddr::from(([192, 0, 2, 1], 7_000)));
        assert!(address("[2001:db8::1]:7000").is_ok());
        for wrong in ["", "example.net:7000", "192.0.2.1", "0.0.0.0:7000", "[::]:7000", "192.0.2.1:0"] {
            assert!(matches!(address(wrong).map_err(|status| failure(&status)), Err(Failure::Refused(_))), "{wrong}");
        }
    }

    #[test]
    fn a_lost_parent_is_told_of_with_its_room() {
        let (node, lost) = (NodeId([1; 20]), NodeId([2; 20]));
        let event = |id: &[u8]| v1::MediaEvent {
            room: "r".into(),
            session: Vec::new(),
            event: Some(v1::media_event::Event::ParentLost(v1::ParentLost { node: id.to_vec(), standby: Vec::new() })),
        };
        assert!(input(node, event(&[2; 19])).is_none());
        match input(node, event(&lost.0)) {
            Some(Input::ParentLost { node: from, room, lost: which }) => {
                assert_eq!((from, room, which), (node, RoomId::from_wire("r"), lost));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bad_pipe_is_told_of_with_its_room() {
        let (node, parent) = (NodeId([1; 20]), NodeId([2; 20]));
        let event = |id: &[u8]| v1::MediaEvent {
            room: "r".into(),
            session: Vec::new(),
            event: Some(v1::media_event::Event::ParentPoor(v1::ParentPoor { node: id.to_vec() })),
        };
        assert!(input(node, event(&[2; 21])).is_none());
        match input(node, event(&parent.0)) {
            Some(Input::ParentPoor { node: from, room, parent: which }) => {
                assert_eq!((from, room, which), (node, RoomId::from_wire("r"), parent));
            }
            other => panic!("{other:?}"),
        }
    }
}
