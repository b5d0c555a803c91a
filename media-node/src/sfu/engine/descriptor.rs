//! The dependency descriptor as a header extension of the engine's.

use crate::sfu::codec::dependency::{RawDescriptor, URI};
use str0m::rtp::{Extension, ExtensionSerializer, ExtensionValues};

/// Largest value with a one-byte header (RFC 8285, section 4.2).
const ONE_BYTE_FORM: usize = 16;

#[derive(Debug)]
struct Bytes;

/// The extension. Its bytes come and go as they are, as a [`RawDescriptor`] among the user values.
pub fn extension() -> Extension {
    Extension::with_serializer(URI, Bytes)
}

impl ExtensionSerializer for Bytes {
    fn write_to(&self, to: &mut [u8], values: &ExtensionValues) -> usize {
        let Some(raw) = values.user_values.get::<RawDescriptor>() else { return 0 };
        let bytes = raw.as_bytes();
        let Some(to) = to.get_mut(..bytes.len()) else { return 0 };
        to.copy_from_slice(bytes);
        bytes.len()
    }

    fn parse_value(&self, bytes: &[u8], values: &mut ExtensionValues) -> bool {
        let Some(raw) = RawDescriptor::new(bytes) else { return false };
        values.user_values.set(raw);
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    fn requires_two_byte_form(&self, values: &ExtensionValues) -> bool {
        values.user_values.get::<RawDescriptor>().is_some_and(|raw| raw.as_bytes().len() > ONE_BYTE_FORM)
    }
}
