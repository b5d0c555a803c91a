//! A stream's descriptors, one after the other.

use super::{Dependencies, Descriptor, DescriptorError, Structure};

/// Reads a stream's descriptors and keeps the structure that they build on.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    structure: Option<Structure>,
    /// The frame that brought it.
    since: u16,
}

impl Reader {
    /// Reads the next packet's descriptor. The flag says whether it brought a structure other than the one known, ids aside.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(Descriptor, Dependencies, bool), DescriptorError> {
        let mut descriptor = Descriptor::parse(bytes, self.structure.as_ref())?;
        let mut changed = false;
        // A repaired packet of an older key frame must not put its structure in the place of the newer one.
        let newer = self.structure.is_none() || descriptor.number.wrapping_sub(self.since) < 1 << 15;
        if newer && let Some(structure) = descriptor.structure.take() {
            changed = self.structure.as_ref().is_none_or(|known| !known.same_but_ids(&structure));
            self.since = descriptor.number;
            self.structure = Some(structure.clone());
            descriptor.structure = Some(structure);
        }
        let structure = descriptor.structure.as_ref().or(self.structure.as_ref());
        let dependencies = structure
            .and_then(|structure| descriptor.dependencies(structure))
            .ok_or(DescriptorError::UnknownTemplate(descriptor.template))?;
        Ok((descriptor, dependencies, changed))
    }

    /// The structure that holds now.
    pub fn structure(&self) -> Option<&Structure> {
        self.structure.as_ref()
    }
}
