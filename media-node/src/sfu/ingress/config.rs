//! What was negotiated for what the client sends.

use super::header::Header;
use crate::sfu::{
    codec::Format,
    id::{Mid, Rid},
    packet::Kind,
};

/// A header extension that is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extension {
    /// Transport-wide sequence number.
    TransportSeq,
    /// Audio level (RFC 6464).
    AudioLevel,
    /// Video orientation (3GPP TS 26.114).
    Orientation,
    /// The m-line's id (RFC 9143).
    Mid,
    /// The layer's id (RFC 8852).
    Rid,
    /// The id of the layer that is repaired (RFC 8852).
    RepairedRid,
    /// Dependency descriptor.
    Descriptor,
}

/// An m-line that the client sends on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineConfig {
    /// The m-line.
    pub mid: Mid,
    /// Sound or pictures.
    pub kind: Kind,
    /// The layers that were negotiated; `None`: there are none, or any may come.
    pub rids: Option<Vec<Rid>>,
    /// The sources that the offer names, each with that of its resends (RFC 4588).
    pub sources: Vec<(u32, Option<u32>)>,
}

impl LineConfig {
    /// Whether the m-line may have such a layer.
    pub fn has(&self, rid: Option<Rid>) -> bool {
        self.rids.as_ref().is_none_or(|rids| rid.is_some_and(|rid| rids.contains(&rid)))
    }
}

/// All of it, for one connection: bundled m-lines share ids and payload types (RFC 9143 §9.2, §9.3).
#[derive(Clone, Debug)]
pub struct Config {
    /// Ids of header extensions.
    pub extensions: Vec<(u8, Extension)>,
    /// What payload types mean.
    pub formats: Box<[Option<Format>; 128]>,
    /// Payload types of resends, with those of what they resend.
    pub repairs: Vec<(u8, u8)>,
    /// The m-lines that the client sends on.
    pub lines: Vec<LineConfig>,
}

impl Default for Config {
    fn default() -> Self {
        let formats = Box::new([None; 128]);
        Self { extensions: Vec::new(), formats, repairs: Vec::new(), lines: Vec::new() }
    }
}

impl Config {
    /// What a payload type means.
    pub fn format(&self, payload_type: u8) -> Option<Format> {
        self.formats.get(usize::from(payload_type)).copied().flatten()
    }

    /// The payload type of what one of resends resends.
    pub fn repaired(&self, payload_type: u8) -> Option<u8> {
        self.repairs.iter().find(|(repair, _)| *repair == payload_type).map(|(_, repaired)| *repaired)
    }

    /// What the offer says of a source: its m-line, and whether it resends.
    pub fn named(&self, ssrc: u32) -> Option<(&LineConfig, bool)> {
        self.lines.iter().find_map(|line| {
            let of = line.sources.iter().find(|(media, repairs)| *media == ssrc || *repairs == Some(ssrc))?;
            Some((line, of.0 != ssrc))
        })
    }

    /// The m-line of this id, if the client sends on it.
    pub fn line(&self, mid: Mid) -> Option<&LineConfig> {
        self.lines.iter().find(|line| line.mid == mid)
    }

    /// What a header's extensions say.
    pub fn values<'a>(&self, header: &Header<'a>) -> Values<'a> {
        let mut values = Values::default();
        for (id, data) in header.elements() {
            let Some((_, extension)) = self.extensions.iter().find(|(known, _)| *known == id) else { continue };
            match (extension, data) {
                (Extension::TransportSeq, [high, low]) => {
                    values.transport_seq = Some(u16::from_be_bytes([*high, *low]))
                }
                (Extension::AudioLevel, [level, ..]) => values.level = Some(*level),
                (Extension::Orientation, [orientation, ..]) => values.orientation = Some(*orientation),
                (Extension::Mid, data) => values.mid = Some(data),
                (Extension::Rid, data) => values.rid = Some(data),
                (Extension::RepairedRid, data) => values.repaired_rid = Some(data),
                (Extension::Descriptor, data) => values.descriptor = Some(data),
                _ => {}
            }
        }
        values
    }
}

/// What a packet's extensions say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Values<'a> {
    /// Transport-wide sequence number.
    pub transport_seq: Option<u16>,
    /// The voice bit and the level (RFC 6464 §3).
    pub level: Option<u8>,
    /// Camera, flip and rotation bits.
    pub orientation: Option<u8>,
    mid: Option<&'a [u8]>,
    rid: Option<&'a [u8]>,
    repaired_rid: Option<&'a [u8]>,
    /// The dependency descriptor.
    pub descriptor: Option<&'a [u8]>,
}

impl Values<'_> {
    /// Whether the packet names its m-line.
    pub fn has_mid(&self) -> bool {
        self.mid.is_some()
    }

    /// The m-line's id.
    pub fn mid(&self) -> Option<Mid> {
        Mid::parse(str::from_utf8(self.mid?).ok()?)
    }

    /// The layer's id.
    pub fn rid(&self) -> Option<Rid> {
        Rid::parse(str::from_utf8(self.rid?).ok()?)
    }

    /// The id of the layer that is repaired.
    pub fn repaired_rid(&self) -> Option<Rid> {
        Rid::parse(str::from_utf8(self.repaired_rid?).ok()?)
    }
}
