//! The messages on a pipe's reliable stream, checked: what [`read`] gives is within all limits.

use super::{datagram::StreamId, limits};
use crate::sfu::{
    id::{ParticipantId, Rid, RoomId, TrackId},
    limits as sfu,
    packet::{Channel, Kind},
};
use bytes::{Buf, Bytes, BytesMut};
use chroom_primitives::NodeId;
use chroom_rpc::v1::{self, pipe_control::Body};
use prost::Message;

/// One layer of a track as its publisher sends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LayerInfo {
    /// Its rid; `None` without simulcast.
    pub rid: Option<Rid>,
    /// Bit rate in kb/s.
    pub kbps: u32,
    /// Height in pixels, if known.
    pub height: Option<u16>,
    /// Whether packets come.
    pub alive: bool,
}

/// A track on offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announce {
    /// Its room.
    pub room: RoomId,
    /// Its id.
    pub track: TrackId,
    /// Grows with each publication of the name.
    pub publication: u64,
    /// Whose it is.
    pub participant: ParticipantId,
    /// What it shows.
    pub source: String,
    /// Sound or pictures.
    pub kind: Kind,
    /// Its layers, lowest first.
    pub layers: Vec<LayerInfo>,
    /// From the node that the publisher is connected to, to the one that announces.
    pub path: Vec<NodeId>,
    /// Whether this way ends soon.
    pub going: bool,
}

/// A data message on its way through the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Data {
    /// Its room.
    pub room: RoomId,
    /// The sender's node.
    pub origin: NodeId,
    /// That node's count.
    pub number: u64,
    /// The sender.
    pub participant: ParticipantId,
    /// Which of the clients' channels it is for.
    pub channel: Channel,
    /// The message.
    pub data: Bytes,
}

/// A control message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Control {
    /// Versions that are spoken: greatest, smallest.
    Hello(u32, u32),
    /// The sender wants to be a child in this room, by this fencing epoch.
    Join(RoomId, u64),
    /// The receiver is a child now.
    Joined(RoomId),
    /// The receiver isn't taken as a child.
    Refused(RoomId, String),
    /// The sender has left the room as this node's neighbour.
    Leave(RoomId),
    /// A track can be had.
    Announce(Announce),
    /// Its layers have changed.
    Layers(RoomId, TrackId, Vec<LayerInfo>),
    /// It can't be had from the sender any more; the flag says whether it is over.
    Withdraw(RoomId, TrackId, bool),
    /// Send this layer under this number.
    Subscribe(RoomId, TrackId, u8, StreamId),
    /// Send it no more.
    Unsubscribe(StreamId),
    /// A key frame is needed.
    Keyframe(StreamId),
    /// A data message.
    Data(Data),
}

/// A control message that is malformed or beyond a limit; the pipe is closed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ControlError {
    /// Too long.
    #[error("a control message of {0} bytes is too long")]
    TooLong(usize),
    /// Not protobuf.
    #[error("a control message can't be decoded")]
    Encoding,
    /// A field has a value that it can't have.
    #[error("a control message has a bad {0}")]
    Field(&'static str),
}

fn layers_out(layers: &[LayerInfo]) -> Vec<v1::PipeLayer> {
    let layer = |layer: &LayerInfo| v1::PipeLayer {
        rid: layer.rid.map(|rid| rid.as_str().to_owned()).unwrap_or_default(),
        kbps: layer.kbps,
        height: layer.height.map_or(0, u32::from),
        alive: layer.alive,
    };
    layers.iter().map(layer).collect()
}

fn data_out(data: &Data) -> v1::PipeData {
    v1::PipeData {
        room: data.room.to_string(),
        origin: data.origin.0.to_vec(),
        number: data.number,
        participant: data.participant.to_string(),
        data: data.data.to_vec(),
        lossy: data.channel == Channel::Lossy,
    }
}

/// Encodes a data message for a datagram.
pub fn lossy(data: &Data) -> Vec<u8> {
    data_out(data).encode_to_vec()
}

/// Encodes a message with its length before it.
pub fn encode(message: &Control) -> Bytes {
    let body = match message {
        Control::Hello(version, oldest) => Body::Hello(v1::PipeHello { version: *version, oldest: *oldest }),
        Control::Join(room, fence) => Body::Join(v1::PipeJoin { room: room.to_string(), fence: *fence }),
        Control::Joined(room) => Body::Joined(v1::PipeJoined { room: room.to_string() }),
        Control::Refused(room, reason) => {
            Body::Refused(v1::PipeRefused { room: room.to_string(), reason: reason.clone() })
        }
        Control::Leave(room) => Body::Leave(v1::PipeLeave { room: room.to_string() }),
        Control::Announce(announce) => Body::Announce(v1::PipeAnnounce {
            room: announce.room.to_string(),
            track: announce.track.to_string(),
            origin: announce.path.first().map(|node| node.0.to_vec()).unwrap_or_default(),
            publication: announce.publication,
            participant: announce.participant.to_string(),
            source: announce.source.clone(),
            video: announce.kind == Kind::Video,
            layers: layers_out(&announce.layers),
            path: announce.path.iter().map(|node| node.0.to_vec()).collect(),
            going: announce.going,
        }),
        Control::Layers(room, track, layers) => Body::Layers(v1::PipeLayers {
            room: room.to_string(),
            track: track.to_string(),
            layers: layers_out(layers),
        }),
        Control::Withdraw(room, track, over) => {
            Body::Withdraw(v1::PipeWithdraw { room: room.to_string(), track: track.to_string(), over: *over })
        }
        Control::Subscribe(room, track, layer, stream) => Body::Subscribe(v1::PipeSubscribe {
            room: room.to_string(),
            track: track.to_string(),
            layer: (*layer).into(),
            stream: stream.0,
        }),
        Control::Unsubscribe(stream) => Body::Unsubscribe(v1::PipeUnsubscribe { stream: stream.0 }),
        Control::Keyframe(stream) => Body::Keyframe(v1::PipeKeyframe { stream: stream.0 }),
        Control::Data(data) => Body::Data(data_out(data)),
    };
    let body = v1::PipeControl { body: Some(body) }.encode_to_vec();
    let mut out = BytesMut::with_capacity(4 + body.len());
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&body);
    out.freeze()
}

/// Takes messages off the front of what has been received. `None` inside `Ok`: a message that this version doesn't know.
pub fn take(received: &mut BytesMut) -> Option<Result<Option<Control>, ControlError>> {
    let length = usize::try_from(u32::from_be_bytes(*received.first_chunk()?)).unwrap_or(usize::MAX);
    if length > limits::MAX_CONTROL {
        return Some(Err(ControlError::TooLong(length)));
    }
    if received.len() < 4 + length {
        return None;
    }
    received.advance(4);
    Some(read(&received.split_to(length)))
}

/// Reads one message.
pub fn read(bytes: &[u8]) -> Result<Option<Control>, ControlError> {
    let message = v1::PipeControl::decode(bytes).map_err(|_| ControlError::Encoding)?;
    let Some(body) = message.body else { return Ok(None) };
    Ok(Some(match body {
        Body::Hello(hello) => Control::Hello(hello.version, hello.oldest),
        Body::Join(join) => Control::Join(room(&join.room)?, join.fence),
        Body::Joined(joined) => Control::Joined(room(&joined.room)?),
        Body::Refused(refused) => {
            let reason = refused.reason.chars().filter(|c| !c.is_control()).take(200).collect();
            Control::Refused(room(&refused.room)?, reason)
        }
        Body::Leave(leave) => Control::Leave(room(&leave.room)?),
        Body::Announce(told) => announce(told)?,
        Body::Layers(told) => Control::Layers(room(&told.room)?, track(&told.track)?, layers_in(&told.layers)?),
        Body::Withdraw(told) => Control::Withdraw(room(&told.room)?, track(&told.track)?, told.over),
        Body::Subscribe(wish) => Control::Subscribe(
            room(&wish.room)?,
            track(&wish.track)?,
            u8::try_from(wish.layer).map_err(|_| ControlError::Field("layer"))?,
            StreamId(wish.stream),
        ),
        Body::Unsubscribe(wish) => Control::Unsubscribe(StreamId(wish.stream)),
        Body::Keyframe(wish) => Control::Keyframe(StreamId(wish.stream)),
        Body::Data(message) => Control::Data(data(message)?),
    }))
}

/// Reads the data message of a datagram.
pub fn read_lossy(bytes: &[u8]) -> Result<Data, ControlError> {
    data(v1::PipeData::decode(bytes).map_err(|_| ControlError::Encoding)?)
}

fn room(text: &str) -> Result<RoomId, ControlError> {
    text.parse().map_err(|_| ControlError::Field("room"))
}

fn track(text: &str) -> Result<TrackId, ControlError> {
    text.parse().map_err(|_| ControlError::Field("track"))
}

fn node(bytes: &[u8]) -> Result<NodeId, ControlError> {
    bytes.try_into().map(NodeId).map_err(|_| ControlError::Field("node"))
}

fn layers_in(layers: &[v1::PipeLayer]) -> Result<Vec<LayerInfo>, ControlError> {
    if layers.is_empty() || layers.len() > sfu::MAX_LAYERS {
        return Err(ControlError::Field("number of layers"));
    }
    let layer = |layer: &v1::PipeLayer| {
        let rid = match layer.rid.as_str() {
            "" => None,
            text => Some(Rid::parse(text).ok_or(ControlError::Field("rid"))?),
        };
        let height = u16::try_from(layer.height).ok().filter(|height| *height > 0);
        Ok(LayerInfo { rid, kbps: layer.kbps, height, alive: layer.alive })
    };
    layers.iter().map(layer).collect()
}

fn announce(told: v1::PipeAnnounce) -> Result<Control, ControlError> {
    let path: Vec<NodeId> = told.path.iter().map(|bytes| node(bytes)).collect::<Result<_, _>>()?;
    if path.is_empty() || path.len() > limits::MAX_HOPS || path.first() != Some(&node(&told.origin)?) {
        return Err(ControlError::Field("path"));
    }
    if !matches!(told.source.as_str(), "camera" | "microphone" | "screen" | "screen-audio") {
        return Err(ControlError::Field("source"));
    }
    Ok(Control::Announce(Announce {
        room: room(&told.room)?,
        track: track(&told.track)?,
        publication: told.publication,
        participant: told.participant.parse().map_err(|_| ControlError::Field("participant"))?,
        source: told.source,
        kind: if told.video { Kind::Video } else { Kind::Audio },
        layers: layers_in(&told.layers)?,
        path,
        going: told.going,
    }))
}

fn data(message: v1::PipeData) -> Result<Data, ControlError> {
    if message.data.len() > sfu::MAX_MESSAGE {
        return Err(ControlError::Field("length of data"));
    }
    Ok(Data {
        room: room(&message.room)?,
        origin: node(&message.origin)?,
        number: message.number,
        participant: message.participant.parse().map_err(|_| ControlError::Field("participant"))?,
        channel: if message.lossy { Channel::Lossy } else { Channel::Reliable },
        data: message.data.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Announce {
        Announce {
            room: "room".parse().unwrap(),
            track: "track".parse().unwrap(),
            publication: 7,
            participant: "p".parse().unwrap(),
            source: "camera".into(),
            kind: Kind::Video,
            layers: vec![LayerInfo { rid: Rid::parse("q"), kbps: 150, height: Some(180), alive: true }],
            path: vec![NodeId([1; 20]), NodeId([2; 20])],
            going: false,
        }
    }

    #[test]
    fn messages_are_read_as_they_were_written() {
        let room: RoomId = "room".parse().unwrap();
        let track: TrackId = "track".parse().unwrap();
        let data = Data {
            room: room.clone(),
            origin: NodeId([1; 20]),
            number: 3,
            participant: "p".parse().unwrap(),
            channel: Channel::Lossy,
            data: Bytes::from_static(b"hello"),
        };
        assert_eq!(read_lossy(&lossy(&data)), Ok(data.clone()));
        let messages = [
            Control::Hello(2, 1),
            Control::Join(room.clone(), u64::MAX),
            Control::Joined(room.clone()),
            Control::Refused(room.clone(), "why".into()),
            Control::Leave(room.clone()),
            Control::Announce(example()),
            Control::Layers(room.clone(), track.clone(), example().layers),
            Control::Withdraw(room.clone(), track.clone(), true),
            Control::Subscribe(room, track, 2, StreamId(9)),
            Control::Unsubscribe(StreamId(9)),
            Control::Keyframe(StreamId(9)),
            Control::Data(data),
        ];
        let mut stream = BytesMut::new();
        messages.iter().for_each(|message| stream.extend_from_slice(&encode(message)));
        for message in messages {
            assert_eq!(take(&mut stream), Some(Ok(Some(message))));
        }
        assert_eq!(take(&mut stream), None);
    }

    #[test]
    fn what_is_beyond_a_limit_is_refused_by_name() {
        let refused = |change: fn(&mut Announce)| {
            let mut announce = example();
            change(&mut announce);
            read(&encode(&Control::Announce(announce))[4..]).unwrap_err()
        };
        assert_eq!(refused(|a| a.layers.clear()), ControlError::Field("number of layers"));
        assert_eq!(refused(|a| a.layers = vec![a.layers[0]; 9]), ControlError::Field("number of layers"));
        assert_eq!(refused(|a| a.path = vec![NodeId([1; 20]); 9]), ControlError::Field("path"));
        assert_eq!(refused(|a| a.source = "lens".into()), ControlError::Field("source"));
        let mut long = BytesMut::from(&[0, 1, 0, 1][..]);
        assert_eq!(take(&mut long), Some(Err(ControlError::TooLong(65_537))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
            let _ = read_lossy(&bytes);
            let mut stream = BytesMut::from(bytes.as_slice());
            while let Some(Ok(_)) = take(&mut stream) {}
        }

        #[test]
        fn a_damaged_message_is_read_without_panic(at: usize, value: u8) {
            let mut bytes = encode(&Control::Announce(example())).to_vec();
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = take(&mut BytesMut::from(bytes.as_slice()));
        }
    }
}
