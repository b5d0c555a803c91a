//! Requests, checked and turned into the SFU's own types.

use crate::cascade::hub::{Neighbour, Route};
use crate::sfu::{
    id::{Mid, RoomId, SessionId, TrackId},
    limits,
    priority::Priority,
    resident,
    router::{Opening, Publish, Subscribe},
};
use chroom_primitives::NodeId;
use chroom_rpc::v1;
use std::{fmt::Display, net::SocketAddr};
use tonic::Status;

fn invalid(error: impl Display) -> Status {
    Status::invalid_argument(error.to_string())
}

/// A session id.
pub fn session(bytes: &[u8]) -> Result<SessionId, Status> {
    SessionId::try_from(bytes).map_err(invalid)
}

/// A room id.
pub fn room(text: &str) -> Result<RoomId, Status> {
    text.parse().map_err(invalid)
}

/// A track's id.
pub fn track(text: &str) -> Result<TrackId, Status> {
    text.parse().map_err(invalid)
}

/// A session to be opened.
pub fn opening(request: v1::OpenSessionRequest) -> Result<Opening, Status> {
    Ok(Opening {
        room: room(&request.room)?,
        session: session(&request.session)?,
        participant: request.participant.parse().map_err(invalid)?,
        publish: request.can_publish,
        subscribe: request.can_subscribe,
        uplink_kbps: request.max_uplink_kbps,
    })
}

fn node(bytes: &[u8]) -> Result<NodeId, Status> {
    let id = bytes.try_into().map(NodeId);
    id.map_err(|_| Status::invalid_argument(format!("a node id has 20 bytes, not {}", bytes.len())))
}

fn neighbour(end: v1::PipeEnd) -> Result<Neighbour, Status> {
    let address: SocketAddr = end.address.parse().map_err(|_| {
        Status::invalid_argument(format!(
            "{:?} is not ip:port of a node's pipes, as its SetRoute answers it",
            end.address
        ))
    })?;
    if address.ip().is_unspecified() || address.ip().is_multicast() || address.port() == 0 {
        return Err(Status::invalid_argument(format!("no node can be reached at {address}")));
    }
    Ok(Neighbour { node: node(&end.node)?, address })
}

/// A node's place in a room's tree.
pub fn route(request: v1::SetRouteRequest) -> Result<Route, Status> {
    Ok(Route {
        room: room(&request.room)?,
        fence: request.fence,
        parent: request.parent.map(neighbour).transpose()?,
        standby: request.standby.map(neighbour).transpose()?,
        children: request.children.iter().map(|child| node(child)).collect::<Result<_, _>>()?,
    })
}

fn mid(text: &str) -> Result<Mid, Status> {
    Mid::parse(text)
        .ok_or_else(|| Status::invalid_argument(format!("{text:?} is not a mid: 1 to 16 letters and digits")))
}

/// A negotiation: offer, what is published, what is wanted.
pub fn negotiation(request: v1::NegotiateRequest) -> Result<(String, Vec<Publish>, Vec<Subscribe>), Status> {
    if request.publish.len() > limits::MAX_TRACKS {
        return Err(Status::resource_exhausted(format!("at most {} tracks per session", limits::MAX_TRACKS)));
    }
    let publish = request
        .publish
        .into_iter()
        .map(|track| match track.source.as_str() {
            "camera" | "microphone" | "screen" | "screen-audio" => Ok(Publish {
                mid: mid(&track.mid)?,
                track: track.track.parse().map_err(invalid)?,
                source: track.source,
            }),
            other => Err(Status::invalid_argument(format!(
                "{other:?} is not a source: camera, microphone, screen or screen-audio"
            ))),
        })
        .collect::<Result<_, Status>>()?;
    Ok((request.offer_sdp, publish, subscriptions(request.subscribe)?))
}

/// What is wanted on which m-line.
pub fn subscriptions(wishes: Vec<v1::Subscription>) -> Result<Vec<Subscribe>, Status> {
    if wishes.len() > limits::MAX_LINES {
        return Err(Status::resource_exhausted(format!("at most {} subscriptions per call", limits::MAX_LINES)));
    }
    wishes
        .into_iter()
        .map(|wish| {
            let track = match wish.track.as_str() {
                _ if wish.mix => Some(resident::mix()),
                "" => None,
                track => Some(track.parse().map_err(invalid)?),
            };
            let (mid, priority) = (mid(&wish.mid)?, priority(wish.priority)?);
            Ok(Subscribe { mid, track, max_height: wish.max_height, priority })
        })
        .collect()
}

fn priority(number: i32) -> Result<Priority, Status> {
    match v1::Priority::try_from(number) {
        Ok(v1::Priority::VeryLow) => Ok(Priority::VeryLow),
        Ok(v1::Priority::Low) => Ok(Priority::Low),
        Ok(v1::Priority::Medium) => Ok(Priority::Medium),
        Ok(v1::Priority::High) => Ok(Priority::High),
        Err(_) => Err(Status::invalid_argument(format!("{number} is not a priority: 0 to 3, as media.proto has them"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_requests_are_refused_with_a_reason() {
        assert!(session(&[0; 15]).unwrap_err().message().contains("16 bytes"));
        assert!(room("").is_err() && room(&"r".repeat(129)).is_err());
        let wish = |mid: &str, track: &str| v1::Subscription {
            mid: mid.into(),
            track: track.into(),
            ..v1::Subscription::default()
        };
        assert!(subscriptions(vec![wish("", "t")]).is_err());
        assert_eq!(subscriptions(vec![wish("0", "")]).unwrap()[0].track, None);
        assert!(subscriptions(vec![wish("0", "t"); limits::MAX_LINES + 1]).is_err());
        let ranked = |priority: i32| subscriptions(vec![v1::Subscription { priority, ..wish("0", "t") }]);
        let given = [0, 1, 2, 3].map(|number| ranked(number).unwrap()[0].priority);
        assert_eq!(given, [Priority::Medium, Priority::VeryLow, Priority::Low, Priority::High]);
        assert!(ranked(4).unwrap_err().message().contains("not a priority") && ranked(-1).is_err());
        let track = v1::PublishedTrack { mid: "0".into(), track: "t".into(), source: "lens".into() };
        let request = v1::NegotiateRequest { publish: vec![track], ..Default::default() };
        assert!(negotiation(request).unwrap_err().message().contains("source"));
        let parent = |node: usize, address: &str| {
            let parent = v1::PipeEnd { node: vec![1; node], address: address.into() };
            route(v1::SetRouteRequest { room: "r".into(), parent: Some(parent), ..Default::default() })
        };
        assert!(parent(20, "192.0.2.1:7700").is_ok());
        assert!(parent(19, "192.0.2.1:7700").unwrap_err().message().contains("20 bytes"));
        assert!(parent(20, "example.net:7700").is_err() && parent(20, "0.0.0.0:7700").is_err());
    }
}
