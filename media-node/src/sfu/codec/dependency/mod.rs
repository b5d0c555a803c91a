//! The dependency descriptor: an RTP header extension that says of each frame which layers it belongs to, what it needs and who needs
//! it, so that layers are chosen without a look into the payload (AV1 RTP specification, appendix A). It goes with VP8, VP9 and H.264,
//! too, and is all that stays readable when frames are encrypted end to end.

mod descriptor;
mod numbering;
mod reader;
mod structure;
mod write;

pub use descriptor::{Dependencies, Descriptor, DescriptorError};
pub use numbering::{FrameNumber, Numbering};
pub use reader::Reader;
pub use structure::{Differences, Indication, Indications, Structure, StructureError, Template};
pub use write::WriteError;

/// The URI by which the extension is negotiated.
pub const URI: &str = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
/// Largest descriptor, in bytes: what a header extension with a two-byte header holds (RFC 8285, section 4.3).
pub const MAX_BYTES: usize = 255;
/// Bytes of the fields that every descriptor has.
const MANDATORY_BYTES: usize = 3;
/// Template ids are counted modulo this.
pub const TEMPLATE_IDS: u8 = 64;

/// A descriptor as it stands in a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawDescriptor {
    bytes: [u8; MAX_BYTES],
    length: u8,
}

impl RawDescriptor {
    /// Takes bytes as they are; `None` if there are more than a header extension holds, or fewer than a descriptor has.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < MANDATORY_BYTES {
            return None;
        }
        let mut raw = Self { bytes: [0; MAX_BYTES], length: u8::try_from(bytes.len()).ok()? };
        raw.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(raw)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Gives the frame another number, and moves template ids, and the offset in a structure that may be attached, by `shift`.
    /// All else stays: what a frame needs is told by differences of numbers.
    pub fn renumber(&mut self, number: u16, shift: u8) {
        let [first, high, low, flags, next, ..] = &mut self.bytes;
        *first = *first & 0xC0 | (*first & 0x3F).wrapping_add(shift) & 0x3F;
        [*high, *low] = number.to_be_bytes();
        // `template_dependency_structure_present_flag`, then four other flags, then the offset of six bits.
        if self.length > 4 && *flags & 0x80 != 0 {
            let offset = (*flags & 0x07) << 3 | *next >> 5;
            let offset = offset.wrapping_add(shift) & 0x3F;
            *flags = *flags & 0xF8 | offset >> 3;
            *next = *next & 0x1F | offset << 5;
        }
    }
}

impl std::fmt::Debug for RawDescriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RawDescriptor").field(&self.as_bytes()).finish()
    }
}

#[cfg(test)]
pub(crate) mod examples;
#[cfg(test)]
mod tests;
