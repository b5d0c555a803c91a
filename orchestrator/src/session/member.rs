//! A session: one participant's stay in a room.

use super::{
    ids::{ConnectionId, Generation, ParticipantId, RoomId, SessionId, TrackId},
    priority::Priority,
    stay::Stays,
    track::Track,
    transport::Transport,
};
use chroom_primitives::{AccountId, H3Cell, NodeId, UnixMs};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a session may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Rights {
    /// May publish tracks.
    pub publish: bool,
    /// May receive others' tracks.
    pub subscribe: bool,
    /// May remove participants.
    pub admin: bool,
}

/// What a receiving m-line is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Want {
    /// The track.
    pub track: TrackId,
    /// Greatest height of the picture in pixels; 0: the best that fits.
    pub max_height: u32,
    /// Its place among the session's videos where the line is narrow.
    #[serde(default)]
    pub priority: Priority,
}

/// One participant's session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// SHA-256 of the secret that resumes it; the secret itself is the client's alone.
    #[serde(with = "hex_bytes")]
    pub secret_hash: [u8; 32],
    /// The room that it is in.
    pub room: RoomId,
    /// Its participant in the room.
    pub participant: ParticipantId,
    /// Who the application says it is.
    pub identity: String,
    /// Name to show.
    pub name: String,
    /// What it may do.
    pub rights: Rights,
    /// SEC1 compressed P-256 key that signs its receipts.
    #[serde(with = "hex_bytes")]
    pub receipt_key: [u8; 33],
    /// The account whose escrow pays.
    pub account: AccountId,
    /// When it was opened, Unix ms.
    pub started_ms: UnixMs,
    /// Where its client is.
    #[serde(default)]
    pub cell: Option<H3Cell>,
    /// The media node of its room that it is on; none while it looks for one.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// Since when it has none though its room has, Unix ms.
    #[serde(skip)]
    pub homeless_since: Option<UnixMs>,
    /// Whether its join was answered: from then on the others see it.
    pub joined: bool,
    /// The placement in which the media node has it open.
    pub opened_in: Option<Generation>,
    /// How often it was opened anew on a node that had lost it.
    #[serde(default)]
    pub reopened: u32,
    /// The media nodes that have it open or had it lately.
    #[serde(default)]
    pub stays: Stays,
    /// What it publishes.
    pub tracks: BTreeMap<TrackId, Track>,
    /// What it receives, by m-line.
    pub wants: BTreeMap<String, Want>,
    /// M-lines whose track the media node did not know when they were asked for; they are connected when it does.
    #[serde(default)]
    pub withheld: BTreeSet<String>,
    /// Its connection, if it has one.
    #[serde(skip)]
    pub connection: Option<ConnectionId>,
    /// Since when it has none, Unix ms.
    #[serde(skip)]
    pub offline_since: Option<UnixMs>,
    /// Commands of this session that media nodes work on.
    #[serde(skip)]
    pub in_flight: u32,
    /// Whether it negotiated since it was opened last.
    #[serde(default)]
    pub negotiated: bool,
    /// The DTLS identity in its offers since it was opened last: its client's peer connection.
    #[serde(default)]
    pub transport: Option<Transport>,
    /// How often it was opened anew since its media connection was up last.
    #[serde(skip)]
    pub mends: u32,
    /// Why it is being opened anew, if it is.
    #[serde(skip)]
    pub mending: Option<String>,
    /// Whether its client needn't know that it is being opened: it has nothing there yet.
    #[serde(skip)]
    pub quiet: bool,
}

impl Session {
    /// Whether a media node has it open.
    pub fn is_open(&self, room: Generation) -> bool {
        self.node.is_some() && self.opened_in == Some(room)
    }

    /// Forgets its connection: it is opened elsewhere. What it publishes flows from where it was until its client changes over.
    pub fn forget_connection(&mut self) {
        self.opened_in = None;
        self.negotiated = false;
        self.transport = None;
        self.quiet = false;
        self.wants.clear();
        self.withheld.clear();
    }

    /// Forgets what the media node knew of it: it is opened somewhere, or there, without all that.
    pub fn forget_media(&mut self) {
        self.forget_connection();
        for track in self.tracks.values_mut() {
            track.known_in = None;
            track.live_in = None;
            track.stopped_ms = None;
        }
    }

    /// The generation that its client sees: it grows whenever the client has to make a new peer connection, be it that
    /// the room moved or that this session was opened anew.
    pub fn generation(&self, room: Generation) -> Generation {
        Generation(room.0.saturating_add(self.reopened))
    }
}

mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
        let mut bytes = [0; N];
        hex::decode_to_slice(String::deserialize(deserializer)?, &mut bytes).map_err(D::Error::custom)?;
        Ok(bytes)
    }
}
