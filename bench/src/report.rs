//! What a participant reports when it ends.

use crate::reception::Totals;
use serde::Serialize;

/// What was measured of one remote track.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackReport {
    /// Participant that published it.
    pub participant: String,
    /// Track id.
    pub track: String,
    /// `audio` or `video`.
    pub kind: String,
    /// Totals, by the stamps in the packets.
    #[serde(flatten)]
    pub totals: Totals,
}

/// The report of one participant.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Identity that it joined with.
    pub identity: String,
    /// Its id in the room.
    pub participant: String,
    /// Session id.
    pub session: String,
    /// Media node that served it at the end.
    pub node: String,
    /// RTP packets that it sent.
    pub sent_packets: u64,
    /// RTP payload bytes that it sent.
    pub sent_bytes: u64,
    /// RTP packets that it received, each once, with or without a stamp or a payload.
    pub received_packets: u64,
    /// RTP packets that are missing between those, with or without a stamp.
    pub missing_packets: u64,
    /// RTP packets that it received again: repairs that were not needed any more, or the media node's probing of its line.
    pub repeated_packets: u64,
    /// RTP payload bytes that it received.
    pub received_bytes: u64,
    /// Data messages received on the reliable channel.
    pub messages: u64,
    /// Receipts that the orchestrator acknowledged.
    pub receipts: u64,
    /// Receipts that it refused, or that could not be sent.
    pub receipts_failed: u64,
    /// Times that it was moved to another media node.
    pub moves: u64,
    /// Milliseconds from opening the WebSocket to the first received media packet; none if nothing came.
    pub first_media_ms: Option<u64>,
    /// Ids of the videos that were paused in the end, as its line didn't carry them.
    pub paused: Vec<String>,
    /// Each remote track that carried stamps.
    pub tracks: Vec<TrackReport>,
}
