//! The template structure: what kinds of frames a stream has (AV1 RTP specification, A.8.3).

use super::super::{
    bits::BitReader,
    targets::{Layout, MAX_TARGETS, Target, Targets},
};

/// Most templates of a structure: their ids have six bits.
const MAX_TEMPLATES: usize = 64;
/// Most frames that one frame may name as needed. AV1 itself has seven references, and a few more frames of lower layers may be named.
const MAX_DIFFERENCES: usize = 16;
/// Most chains: one per decode target.
pub(super) const MAX_CHAINS: usize = MAX_TARGETS;
/// Highest spatial layer: AV1's `spatial_id` has two bits.
const MAX_SPATIAL: u8 = 3;
/// Highest temporal layer: AV1's `temporal_id` has three bits.
const MAX_TEMPORAL: u8 = 7;

/// A structure is not one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StructureError {
    /// It ends too soon.
    #[error("the structure ends too soon")]
    Truncated,
    /// More templates than their ids can name.
    #[error("the structure has more than {MAX_TEMPLATES} templates")]
    TooManyTemplates,
    /// Layers that no AV1 stream can have.
    #[error("the structure has more than {} spatial or {} temporal layers", MAX_SPATIAL + 1, MAX_TEMPORAL + 1)]
    TooManyLayers,
    /// A frame with more references than any decoder keeps.
    #[error("a frame needs more than {MAX_DIFFERENCES} others")]
    TooManyDifferences,
}

/// What a frame is to one decode target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Indication {
    /// It doesn't belong to it.
    NotPresent,
    /// It belongs to it, and no other frame of the target needs it.
    Discardable,
    /// Who can decode it can decode all later frames of the target.
    Switch,
    /// Later frames of the target need it.
    Required,
}

/// What a frame is to each decode target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Indications {
    /// The targets that it belongs to.
    pub present: Targets,
    /// Those which can be entered at it.
    pub switch: Targets,
    /// Those which need it later on.
    pub required: Targets,
}

impl Indications {
    /// Of one target.
    pub fn get(&self, target: usize) -> Indication {
        match (self.present.contains(target), self.switch.contains(target), self.required.contains(target)) {
            (false, _, _) => Indication::NotPresent,
            (true, true, _) => Indication::Switch,
            (true, false, true) => Indication::Required,
            (true, false, false) => Indication::Discardable,
        }
    }

    /// Sets it for one target that has none yet.
    pub fn set(&mut self, target: usize, indication: Indication) {
        if indication != Indication::NotPresent {
            self.present.insert(target);
        }
        match indication {
            Indication::Switch => self.switch.insert(target),
            Indication::Required => self.required.insert(target),
            Indication::NotPresent | Indication::Discardable => {}
        }
    }

    pub(super) fn read(bits: &mut BitReader<'_>, targets: usize) -> Option<Self> {
        let mut indications = Self::default();
        for target in 0..targets {
            let indication = match bits.bits(2)? {
                0 => Indication::NotPresent,
                1 => Indication::Discardable,
                2 => Indication::Switch,
                _ => Indication::Required,
            };
            indications.set(target, indication);
        }
        Some(indications)
    }
}

/// The frames that a frame needs, as differences of frame numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Differences {
    values: [u16; MAX_DIFFERENCES],
    count: u8,
}

impl Differences {
    /// Adds one; `false` if there is no room.
    #[must_use]
    pub fn push(&mut self, difference: u16) -> bool {
        let Some(place) = self.values.get_mut(usize::from(self.count)) else { return false };
        *place = difference;
        self.count += 1;
        true
    }

    /// The differences, each at least 1.
    pub fn as_slice(&self) -> &[u16] {
        self.values.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// For each chain how many frames back its last frame is; 0: the frame begins the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChainDifferences(pub [u8; MAX_CHAINS]);

impl Default for ChainDifferences {
    fn default() -> Self {
        Self([0; MAX_CHAINS])
    }
}

impl ChainDifferences {
    pub(super) fn read(bits: &mut BitReader<'_>, chains: u8, width: u32) -> Option<Self> {
        let mut differences = Self::default();
        for place in differences.0.iter_mut().take(usize::from(chains)) {
            *place = u8::try_from(bits.bits(width)?).ok()?;
        }
        Some(differences)
    }
}

/// A kind of frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Template {
    /// Its layers.
    pub layer: Target,
    /// What it is to the decode targets.
    pub indications: Indications,
    /// What it needs.
    pub differences: Differences,
    /// Where its chains go on.
    pub chains: ChainDifferences,
}

/// A stream's kinds of frames and its decode targets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Structure {
    /// Id of the first template.
    pub first_id: u8,
    /// How many decode targets there are, 1 to 32.
    pub targets: u8,
    /// How many chains there are, 0 to 32.
    pub chains: u8,
    /// The templates, in the order of their ids.
    pub templates: Vec<Template>,
    /// The chain that protects each decode target, if there are chains.
    pub protected_by: Vec<u8>,
    /// Width and height of each spatial layer, in pixels, if told.
    pub resolutions: Vec<(u32, u32)>,
}

impl Structure {
    /// Reads a structure.
    pub(super) fn read(bits: &mut BitReader<'_>) -> Result<Self, StructureError> {
        let short = StructureError::Truncated;
        let first_id = bits.bits(6).ok_or(short)? as u8;
        let targets = bits.bits(5).ok_or(short)? as u8 + 1;
        let mut templates: Vec<Template> = Vec::new();
        let mut layer = Target::LOWEST;
        loop {
            if templates.len() == MAX_TEMPLATES {
                return Err(StructureError::TooManyTemplates);
            }
            templates.push(Template { layer, ..Template::default() });
            match bits.bits(2).ok_or(short)? {
                0 => {}
                1 => layer.temporal += 1,
                2 => layer = Target { spatial: layer.spatial + 1, temporal: 0 },
                _ => break,
            }
            if layer.spatial > MAX_SPATIAL || layer.temporal > MAX_TEMPORAL {
                return Err(StructureError::TooManyLayers);
            }
        }
        for template in &mut templates {
            template.indications = Indications::read(bits, targets.into()).ok_or(short)?;
        }
        for template in &mut templates {
            while bits.bit().ok_or(short)? {
                let difference = bits.bits(4).ok_or(short)? as u16 + 1;
                if !template.differences.push(difference) {
                    return Err(StructureError::TooManyDifferences);
                }
            }
        }
        let chains = bits.below(u32::from(targets) + 1).ok_or(short)? as u8;
        let mut protected_by = Vec::new();
        if chains > 0 {
            for _ in 0..targets {
                protected_by.push(bits.below(chains.into()).ok_or(short)? as u8);
            }
            for template in &mut templates {
                template.chains = ChainDifferences::read(bits, chains, 4).ok_or(short)?;
            }
        }
        let mut resolutions = Vec::new();
        if bits.bit().ok_or(short)? {
            for _ in 0..=layer.spatial {
                let (width, height) = (bits.bits(16).ok_or(short)?, bits.bits(16).ok_or(short)?);
                resolutions.push((width + 1, height + 1));
            }
        }
        Ok(Self { first_id, targets, chains, templates, protected_by, resolutions })
    }

    /// The template with this id.
    pub fn template(&self, id: u8) -> Option<&Template> {
        let index = id.wrapping_sub(self.first_id) & (super::TEMPLATE_IDS - 1);
        self.templates.get(usize::from(index))
    }

    /// Whether it is the same but for the ids of its templates.
    pub fn same_but_ids(&self, other: &Self) -> bool {
        let Self { first_id: _, targets, chains, templates, protected_by, resolutions } = self;
        *targets == other.targets
            && *chains == other.chains
            && *templates == other.templates
            && *protected_by == other.protected_by
            && *resolutions == other.resolutions
    }

    /// The layers of each decode target: the highest of the frames that belong to it (A.8.3.6).
    pub fn layout(&self) -> Layout {
        let targets = (0..usize::from(self.targets))
            .map(|target| {
                let frames = self.templates.iter().filter(|template| template.indications.present.contains(target));
                frames.fold(Target::LOWEST, |highest, frame| Target {
                    spatial: highest.spatial.max(frame.layer.spatial),
                    temporal: highest.temporal.max(frame.layer.temporal),
                })
            })
            .collect();
        Layout::new(targets, self.templates.iter().map(|template| template.indications.present))
    }

    /// Height of a spatial layer's pictures, if told.
    pub fn height(&self, spatial: u8) -> Option<u16> {
        let (_, height) = self.resolutions.get(usize::from(spatial))?;
        u16::try_from(*height).ok()
    }
}
