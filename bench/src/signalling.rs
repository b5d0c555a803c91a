//! The signalling client: JSON-RPC over WebSocket (docs/signalling.md).

use chroom_primitives::NodeId;
use chroom_rpc::receipt::SessionId;
use jsonrpsee::{
    core::{
        ClientError,
        client::{ClientT, Subscription, SubscriptionClientT},
        params::ObjectParams,
    },
    ws_client::{WsClient, WsClientBuilder},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::time::Duration;

/// A track of a participant.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Track {
    /// Id, unique in the room.
    pub id: String,
    /// `audio` or `video`.
    pub kind: String,
}

/// A participant of the room.
#[derive(Clone, Debug, Deserialize)]
pub struct Participant {
    /// Id in the room.
    pub id: String,
    /// Tracks that are published.
    #[serde(default)]
    pub tracks: Vec<Track>,
}

/// The media node that serves.
#[derive(Clone, Debug, Deserialize)]
pub struct NodeInfo {
    /// Its id.
    pub id: NodeId,
}

/// What joining gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Session id.
    pub session: SessionId,
    /// Own id in the room.
    pub participant: String,
    /// The media node.
    pub node: NodeInfo,
    /// The others.
    #[serde(default)]
    pub participants: Vec<Participant>,
    /// How often to send receipts.
    pub receipt_interval_ms: u64,
}

/// Something that happened in the room.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum RoomEvent {
    /// Somebody came.
    ParticipantJoined {
        /// Who.
        participant: Participant,
    },
    /// Somebody left.
    ParticipantLeft {
        /// Id.
        participant: String,
    },
    /// Somebody's track has media.
    TrackPublished {
        /// Id of the publisher.
        participant: String,
        /// The track.
        track: Track,
    },
    /// A track ended.
    TrackUnpublished {
        /// Id of the publisher.
        participant: String,
        /// Id of the track.
        track: String,
    },
    /// What of an own video anyone watches.
    LayersWanted {
        /// Id of the track.
        track: String,
        /// Whether nobody watches at all.
        paused: bool,
    },
    /// All videos that the media node doesn't send at present, as this client's line doesn't carry them.
    VideosPaused {
        /// Ids of the tracks.
        tracks: Vec<String>,
    },
    /// The session goes on at another media node.
    Moved {
        /// Which.
        node: NodeInfo,
    },
    /// The session is over.
    Closed {
        /// Why.
        reason: String,
    },
    /// What this client has no use for.
    #[serde(other)]
    Other,
}

/// What an m-line publishes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Publish {
    /// The m-line.
    pub mid: String,
    /// Track id, once the orchestrator gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<String>,
    /// `camera`, `microphone`, `screen` or `screen-audio`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
}

/// What an m-line receives.
#[derive(Clone, Debug, Serialize)]
pub struct Subscribe {
    /// The m-line.
    pub mid: String,
    /// Track id.
    pub track: String,
}

/// The answer to an offer.
#[derive(Clone, Debug, Deserialize)]
pub struct Negotiated {
    /// SDP answer.
    pub sdp: String,
    /// Ids of the published tracks.
    #[serde(default)]
    pub publish: Vec<Publish>,
}

/// A request failed.
#[derive(Debug, thiserror::Error)]
pub enum SignallingError {
    /// The orchestrator refused, or the connection is gone.
    #[error("{method}: {source}")]
    Call {
        /// JSON-RPC method.
        method: &'static str,
        /// What the client library says; a refusal has code, message and hint in it.
        source: Box<ClientError>,
    },
}

impl SignallingError {
    /// Whether the media node failed, or too much was asked at once: the same request may be taken later, or after `moved`.
    pub fn is_passing(&self) -> bool {
        const MEDIA_NODE_FAILED: i32 = -32_006;
        const TOO_MANY_REQUESTS: i32 = -32_008;
        let Self::Call { source, .. } = self;
        matches!(&**source, ClientError::Call(error) if [MEDIA_NODE_FAILED, TOO_MANY_REQUESTS].contains(&error.code()))
    }
}

/// A connection to an orchestrator.
#[derive(Debug)]
pub struct Signalling {
    client: WsClient,
}

impl Signalling {
    /// Opens the WebSocket.
    pub async fn open(url: &str) -> Result<Self, SignallingError> {
        let client = WsClientBuilder::default()
            .request_timeout(Duration::from_secs(20))
            .build(url)
            .await
            .map_err(|source| SignallingError::Call { method: "connect", source: Box::new(source) })?;
        Ok(Self { client })
    }

    /// Subscribes to the room's events.
    pub async fn events(&self) -> Result<Subscription<Value>, SignallingError> {
        self.client
            .subscribe("session.events", ObjectParams::new(), "session.unsubscribe")
            .await
            .map_err(|source| SignallingError::Call { method: "session.events", source: Box::new(source) })
    }

    /// Sends a request whose parameters are the fields of `params`, a JSON object.
    pub async fn call<R: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<R, SignallingError> {
        let failed = |source: ClientError| SignallingError::Call { method, source: Box::new(source) };
        let mut object = ObjectParams::new();
        if let Value::Object(fields) = params {
            for (name, value) in fields {
                object.insert(&name, value).map_err(|e| failed(ClientError::ParseError(e)))?;
            }
        }
        self.client.request(method, object).await.map_err(failed)
    }
}
