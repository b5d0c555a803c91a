//! Between the session core's terms and the wire's.

use crate::{
    cascade::{End, Route},
    session::{Failure, Fence, Input, MediaEvent, ParticipantId, RoomId, SessionId, Subscription, TrackId},
};
use chroom_primitives::NodeId;
use chroom_rpc::v1;
use tonic::{Code, Status};

/// Most speakers that are taken over from one event.
const MAX_SPEAKERS: usize = 16;
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
        })
        .collect()
}

/// A place in a room's tree as the wire has it.
pub fn route(room: &RoomId, fence: Fence, route: Route) -> v1::SetRouteRequest {
    let end = |end: End| v1::PipeEnd { node: end.node.0.to_vec(), address: end.address };
    v1::SetRouteRequest {
        room: room.as_str().to_owned(),
        fence: fence.0,
        parent: route.parent.map(end),
        standby: route.standby.map(end),
        children: route.children.into_iter().map(|child| child.0.to_vec()).collect(),
    }
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
