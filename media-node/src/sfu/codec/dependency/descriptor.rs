//! One frame's descriptor (AV1 RTP specification, A.8.2).

use super::{
    super::{
        bits::BitReader,
        targets::{Target, Targets},
    },
    MANDATORY_BYTES,
    structure::{ChainDifferences, Differences, Indications, Structure, StructureError},
};

/// A descriptor is not one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DescriptorError {
    /// It ends too soon.
    #[error("the descriptor ends too soon")]
    Truncated,
    /// It builds on a structure that never came.
    #[error("no structure is known")]
    NoStructure,
    /// It names a kind of frame that the structure lacks.
    #[error("template {0} is not in the structure")]
    UnknownTemplate(u8),
    /// Its structure is no good.
    #[error(transparent)]
    Structure(#[from] StructureError),
}

/// What a packet says about its frame.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Descriptor {
    /// Whether the frame begins with this packet.
    pub starts: bool,
    /// Whether it ends with this packet.
    pub ends: bool,
    /// The kind of frame.
    pub template: u8,
    /// The frame's number, which counts all layers and wraps.
    pub number: u16,
    /// A structure that comes with it and holds from here on.
    pub structure: Option<Structure>,
    /// The decode targets that are sent at all, if told.
    pub active: Option<Targets>,
    /// What the frame is to the decode targets, if not what its template says.
    pub indications: Option<Indications>,
    /// What it needs, if not what its template says.
    pub differences: Option<Differences>,
    /// Where its chains go on, if not where its template says.
    pub chains: Option<ChainDifferences>,
}

/// What a descriptor says together with its structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dependencies {
    /// The frame's layers.
    pub layer: Target,
    /// What it is to the decode targets.
    pub indications: Indications,
    /// What it needs.
    pub differences: Differences,
}

impl Descriptor {
    /// Reads a descriptor; `known` is the structure that came last.
    pub fn parse(bytes: &[u8], known: Option<&Structure>) -> Result<Self, DescriptorError> {
        let short = DescriptorError::Truncated;
        let mut bits = BitReader::new(bytes);
        let mut descriptor = Self {
            starts: bits.bit().ok_or(short)?,
            ends: bits.bit().ok_or(short)?,
            template: bits.bits(6).ok_or(short)? as u8,
            number: bits.bits(16).ok_or(short)? as u16,
            ..Self::default()
        };
        let (mut indications, mut differences, mut chains) = (false, false, false);
        if bytes.len() > MANDATORY_BYTES {
            let attached = bits.bit().ok_or(short)?;
            let active = bits.bit().ok_or(short)?;
            indications = bits.bit().ok_or(short)?;
            differences = bits.bit().ok_or(short)?;
            chains = bits.bit().ok_or(short)?;
            if attached {
                descriptor.structure = Some(Structure::read(&mut bits)?);
            }
            if active {
                let structure = descriptor.structure.as_ref().or(known).ok_or(DescriptorError::NoStructure)?;
                descriptor.active = Some(Targets(bits.bits(structure.targets.into()).ok_or(short)?));
            }
        }
        let structure = descriptor.structure.as_ref().or(known).ok_or(DescriptorError::NoStructure)?;
        structure.template(descriptor.template).ok_or(DescriptorError::UnknownTemplate(descriptor.template))?;
        if indications {
            descriptor.indications = Some(Indications::read(&mut bits, structure.targets.into()).ok_or(short)?);
        }
        if differences {
            descriptor.differences = Some(read_differences(&mut bits)?);
        }
        if chains {
            descriptor.chains = Some(ChainDifferences::read(&mut bits, structure.chains, 8).ok_or(short)?);
        }
        Ok(descriptor)
    }

    /// What it says together with its structure; `None` if that lacks the template.
    pub fn dependencies(&self, structure: &Structure) -> Option<Dependencies> {
        let template = structure.template(self.template)?;
        Some(Dependencies {
            layer: template.layer,
            indications: self.indications.unwrap_or(template.indications),
            differences: self.differences.unwrap_or(template.differences),
        })
    }
}

fn read_differences(bits: &mut BitReader<'_>) -> Result<Differences, DescriptorError> {
    let short = DescriptorError::Truncated;
    let mut differences = Differences::default();
    loop {
        let nibbles = bits.bits(2).ok_or(short)?;
        if nibbles == 0 {
            return Ok(differences);
        }
        let difference = bits.bits(4 * nibbles).ok_or(short)? as u16 + 1;
        if !differences.push(difference) {
            return Err(StructureError::TooManyDifferences.into());
        }
    }
}
