//! Descriptors put into bytes.

use super::{
    super::{bits::BitWriter, targets::Target},
    Descriptor, MANDATORY_BYTES, MAX_BYTES, RawDescriptor, Structure,
    structure::{Indication, Indications},
};

/// A descriptor can't be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteError {
    /// It names a kind of frame that the structure lacks.
    #[error("template {0} is not in the structure")]
    UnknownTemplate(u8),
    /// It doesn't fit, or its structure has no form: its templates aren't in the order of their layers, or a number is out of range.
    #[error("the descriptor has no form of {MAX_BYTES} bytes")]
    Unwritable,
}

impl Descriptor {
    /// Writes the descriptor; `structure` is the one that holds for it: its own, or the one that came last.
    pub fn write(&self, structure: &Structure) -> Result<RawDescriptor, WriteError> {
        if structure.template(self.template).is_none() {
            return Err(WriteError::UnknownTemplate(self.template));
        }
        let mut raw = RawDescriptor { bytes: [0; MAX_BYTES], length: 0 };
        let mut bits = BitWriter::new(&mut raw.bytes);
        self.fields(&mut bits, structure).ok_or(WriteError::Unwritable)?;
        raw.length = u8::try_from(bits.len()).map_err(|_| WriteError::Unwritable)?;
        Ok(raw)
    }

    fn fields(&self, bits: &mut BitWriter<'_>, structure: &Structure) -> Option<()> {
        bits.bit(self.starts)?;
        bits.bit(self.ends)?;
        bits.bits(self.template.into(), 6)?;
        bits.bits(self.number.into(), 16)?;
        let custom = self.indications.is_some() || self.differences.is_some() || self.chains.is_some();
        if self.structure.is_none() && self.active.is_none() && !custom {
            debug_assert_eq!(bits.len(), MANDATORY_BYTES);
            return Some(());
        }
        bits.bit(self.structure.is_some())?;
        bits.bit(self.active.is_some())?;
        bits.bit(self.indications.is_some())?;
        bits.bit(self.differences.is_some())?;
        bits.bit(self.chains.is_some())?;
        if let Some(structure) = &self.structure {
            write_structure(bits, structure)?;
        }
        if let Some(active) = self.active {
            bits.bits(active.0, structure.targets.into())?;
        }
        if let Some(indications) = &self.indications {
            write_indications(bits, indications, structure.targets.into())?;
        }
        if let Some(differences) = &self.differences {
            for difference in differences.as_slice() {
                let less = u32::from(difference.checked_sub(1)?);
                let nibbles = match less {
                    0..=0xF => 1,
                    0x10..=0xFF => 2,
                    0x100..=0xFFF => 3,
                    _ => return None,
                };
                bits.bits(nibbles, 2)?;
                bits.bits(less, 4 * nibbles)?;
            }
            bits.bits(0, 2)?;
        }
        if let Some(chains) = &self.chains {
            for difference in chains.0.iter().take(structure.chains.into()) {
                bits.bits((*difference).into(), 8)?;
            }
        }
        Some(())
    }
}

fn write_indications(bits: &mut BitWriter<'_>, indications: &Indications, targets: usize) -> Option<()> {
    (0..targets).try_for_each(|target| {
        let code = match indications.get(target) {
            Indication::NotPresent => 0,
            Indication::Discardable => 1,
            Indication::Switch => 2,
            Indication::Required => 3,
        };
        bits.bits(code, 2)
    })
}

fn write_structure(bits: &mut BitWriter<'_>, structure: &Structure) -> Option<()> {
    let Structure { first_id, targets, chains, templates, protected_by, resolutions } = structure;
    bits.bits((*first_id).into(), 6)?;
    bits.bits(u32::from(targets.checked_sub(1)?), 5)?;
    let mut layers = templates.iter().map(|template| template.layer).peekable();
    // The form has no way to begin elsewhere.
    layers.peek().filter(|first| **first == Target::LOWEST)?;
    while let Some(layer) = layers.next() {
        let step = match layers.peek() {
            None => 3,
            Some(next) if *next == layer => 0,
            Some(next) if next.spatial == layer.spatial && next.temporal == layer.temporal + 1 => 1,
            Some(next) if next.spatial == layer.spatial + 1 && next.temporal == 0 => 2,
            Some(_) => return None,
        };
        bits.bits(step, 2)?;
    }
    for template in templates {
        write_indications(bits, &template.indications, (*targets).into())?;
    }
    for template in templates {
        for difference in template.differences.as_slice() {
            let less = difference.checked_sub(1).filter(|less| *less < 16)?;
            bits.bit(true)?;
            bits.bits(less.into(), 4)?;
        }
        bits.bit(false)?;
    }
    bits.below((*chains).into(), u32::from(*targets) + 1)?;
    if *chains > 0 {
        for target in 0..usize::from(*targets) {
            bits.below((*protected_by.get(target)?).into(), (*chains).into())?;
        }
        for template in templates {
            for difference in template.chains.0.iter().take((*chains).into()) {
                bits.bits(u32::from(*difference).min(15), 4)?;
            }
        }
    }
    bits.bit(!resolutions.is_empty())?;
    for (width, height) in resolutions {
        bits.bits(width.checked_sub(1)?, 16)?;
        bits.bits(height.checked_sub(1)?, 16)?;
    }
    Some(())
}
