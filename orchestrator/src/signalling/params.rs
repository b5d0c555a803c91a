//! Parameters of requests, as they come from outside: bounded and checked before anything sees them.

use crate::session::{ParticipantId, Priority, Publish, Refusal, Request, SessionId, Source, Subscription, TrackId};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chroom_primitives::H3Cell;
use chroom_rpc::receipt::{MAX_PAYLOAD, Receipt};
use h3o::{CellIndex, Resolution};
use p256::PublicKey;
use serde::Deserialize;

/// Longest SDP in bytes.
const MAX_SDP: usize = 64 * 1024;
/// Longest mid in bytes.
const MAX_MID: usize = 32;
/// Longest id of a track or participant in bytes.
const MAX_ID: usize = 64;
/// Most m-lines in one request.
const MAX_LINES: usize = 256;
/// Greatest height that makes sense.
const MAX_HEIGHT: u32 = 8_640;

fn bad<T>(fault: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::InvalidParams(fault.into()))
}

/// `session.join`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinParams {
    /// The access token.
    pub token: String,
    receipt_key: String,
    #[serde(default)]
    cell: Option<String>,
}

impl JoinParams {
    /// The receipt key, if it is a point of the curve.
    pub fn receipt_key(&self) -> Result<[u8; 33], Refusal> {
        let fault = "`receiptKey` is a compressed P-256 key: 33 bytes, base64url";
        let bytes =
            BASE64_URL_SAFE_NO_PAD.decode(&self.receipt_key).map_err(|_| Refusal::InvalidParams(fault.into()))?;
        let key: [u8; 33] = bytes.try_into().map_err(|_| Refusal::InvalidParams(fault.into()))?;
        PublicKey::from_sec1_bytes(&key).map_err(|_| Refusal::InvalidParams(fault.into()))?;
        Ok(key)
    }

    /// The client's place.
    pub fn cell(&self) -> Result<Option<H3Cell>, Refusal> {
        place(self.cell.as_deref())
    }
}

/// A client's place, no finer than is needed to choose a node: it is nobody's business where exactly they are.
pub(crate) fn place(cell: Option<&str>) -> Result<Option<H3Cell>, Refusal> {
    let Some(text) = cell.filter(|text| !text.is_empty()) else { return Ok(None) };
    let cell =
        u64::from_str_radix(text.trim_start_matches("0x"), 16).ok().and_then(|index| CellIndex::try_from(index).ok());
    let Some(cell) = cell else { return bad("`cell` is an H3 cell index in hex") };
    let coarse = cell.parent(Resolution::Five).unwrap_or(cell);
    Ok(Some(H3Cell(u64::from(coarse))))
}

/// `session.resume`.
#[derive(Deserialize)]
pub struct ResumeParams {
    session: SessionId,
    secret: String,
}

impl ResumeParams {
    /// The request.
    pub fn request(self) -> Result<Request, Refusal> {
        if self.secret.len() > 128 {
            return bad("`secret` is too long");
        }
        Ok(Request::Resume { session: self.session, secret: self.secret })
    }
}

#[derive(Deserialize)]
struct PublishLine {
    mid: String,
    #[serde(default)]
    track: Option<String>,
    source: Source,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscribeLine {
    mid: String,
    #[serde(default)]
    track: String,
    /// All voices of the room in one, instead of a track.
    #[serde(default)]
    mix: bool,
    #[serde(default)]
    max_height: Option<u32>,
    #[serde(default)]
    priority: Priority,
}

fn mid(mid: String) -> Result<String, Refusal> {
    // RFC 8843 / RFC 5888: a token; browsers number them.
    let fits = (1..=MAX_MID).contains(&mid.len()) && mid.bytes().all(|b| b.is_ascii_graphic());
    if fits { Ok(mid) } else { bad(format!("a `mid` has 1 to {MAX_MID} printable characters")) }
}

fn track(track: String) -> Result<TrackId, Refusal> {
    if track.len() > MAX_ID {
        return bad(format!("a track id has at most {MAX_ID} bytes"));
    }
    Ok(TrackId(track))
}

fn lines(lines: Vec<SubscribeLine>) -> Result<Vec<Subscription>, Refusal> {
    if lines.len() > MAX_LINES {
        return bad(format!("at most {MAX_LINES} m-lines in one request"));
    }
    lines
        .into_iter()
        .map(|line| {
            let wanted = match Some(line.track).filter(|id| !id.is_empty()).map(track).transpose()? {
                Some(track) if line.mix => {
                    return bad(format!("an m-line takes a track ({}) or the mix, not both", track.0));
                }
                None if line.mix => Some(TrackId::mix()),
                wanted => wanted,
            };
            Ok(Subscription {
                mid: mid(line.mid)?,
                track: wanted,
                max_height: line.max_height.unwrap_or(0).min(MAX_HEIGHT),
                priority: line.priority,
            })
        })
        .collect()
}

/// `session.negotiate`.
#[derive(Deserialize)]
pub struct NegotiateParams {
    sdp: String,
    #[serde(default)]
    publish: Vec<PublishLine>,
    #[serde(default)]
    subscribe: Vec<SubscribeLine>,
}

impl NegotiateParams {
    /// The request.
    pub fn request(self) -> Result<Request, Refusal> {
        if self.sdp.is_empty() || self.sdp.len() > MAX_SDP {
            return bad(format!("`sdp` has 1 to {MAX_SDP} bytes"));
        }
        if self.publish.len() > MAX_LINES {
            return bad(format!("at most {MAX_LINES} m-lines in one request"));
        }
        let publish = self
            .publish
            .into_iter()
            .map(|line| {
                let id = line.track.filter(|id| !id.is_empty()).map(track).transpose()?;
                Ok(Publish { mid: mid(line.mid)?, track: id, source: line.source })
            })
            .collect::<Result<_, Refusal>>()?;
        Ok(Request::Negotiate { offer: self.sdp, publish, subscribe: lines(self.subscribe)? })
    }
}

/// `session.subscribe`.
#[derive(Deserialize)]
pub struct SubscribeParams {
    subscribe: Vec<SubscribeLine>,
}

impl SubscribeParams {
    /// The request.
    pub fn request(self) -> Result<Request, Refusal> {
        Ok(Request::Subscribe(lines(self.subscribe)?))
    }
}

/// `session.mute`.
#[derive(Deserialize)]
pub struct MuteParams {
    track: String,
    muted: bool,
}

impl MuteParams {
    /// The request.
    pub fn request(self) -> Result<Request, Refusal> {
        Ok(Request::Mute { track: track(self.track)?, muted: self.muted })
    }
}

/// `session.unpublish`.
#[derive(Deserialize)]
pub struct UnpublishParams {
    track: String,
}

impl UnpublishParams {
    /// The request.
    pub fn request(self) -> Result<Request, Refusal> {
        Ok(Request::Unpublish(track(self.track)?))
    }
}

/// `room.kick`.
#[derive(Deserialize)]
pub struct KickParams {
    participant: String,
}

impl KickParams {
    /// The request.
    pub fn request(self) -> Result<Request, Refusal> {
        if self.participant.len() > MAX_ID {
            return bad(format!("a participant id has at most {MAX_ID} bytes"));
        }
        Ok(Request::Kick(ParticipantId(self.participant)))
    }
}

/// `session.receipt`.
#[derive(Deserialize)]
pub struct ReceiptParams {
    payload: String,
    signature: String,
}

impl ReceiptParams {
    /// The receipt, not yet verified.
    pub fn receipt(self) -> Result<Receipt, Refusal> {
        if self.payload.len() > MAX_PAYLOAD {
            return bad(format!("`payload` has at most {MAX_PAYLOAD} bytes"));
        }
        match BASE64_URL_SAFE_NO_PAD.decode(&self.signature) {
            Ok(signature) if signature.len() == 64 => Ok(Receipt { payload: self.payload, signature }),
            _ => bad("`signature` is 64 bytes r ‖ s, base64url without padding"),
        }
    }
}
