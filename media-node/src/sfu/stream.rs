//! One stream that a publisher sends: which layers it has, what each quality takes, and what its packets say about their frames.
//!
//! Where packets have a dependency descriptor, that alone decides: payloads may be encrypted end to end. Otherwise VP8's and VP9's payload
//! descriptors tell the layers; AV1 and H.264 streams without a dependency descriptor have one quality.

use super::{
    codec::{
        self, Codec, Description, MAX_SPATIAL, Pictures,
        dependency::{Descriptor, Differences, FrameNumber, RawDescriptor, Reader},
        targets::{Layout, Target, Targets},
    },
    meter::Meter,
    packet::Packet,
};
use std::time::{Duration, Instant};

/// A layer is dead when nothing came for this long: the publisher paused it.
const ALIVE: Duration = Duration::from_millis(1_500);
/// Temporal layers that are told apart.
const MAX_TEMPORAL: u8 = 8;

/// Which receivers of lower qualities may go over to higher ones at a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// The qualities that may be had from here on.
    pub to: Targets,
    /// Those from which that can be done.
    pub from: Targets,
    /// Frames that the receiver must have had, by their distance.
    pub needs: Differences,
}

/// What a packet says about its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Frame {
    /// Whether a key picture begins with this packet: nothing of before is needed, in any layer.
    pub keyframe: bool,
    /// The frame's layers.
    pub layer: Target,
    /// Whether the layer's frame begins with this packet.
    pub begins: bool,
    /// Whether it ends with it, as far as is told.
    pub ends: bool,
    /// The qualities that it belongs to.
    pub needed: Targets,
    /// Whom it lets in.
    pub entry: Entry,
    /// Picture ids in the payload descriptor.
    pub pictures: Pictures,
    /// Frame number of the dependency descriptor.
    pub number: Option<FrameNumber>,
    /// Whether the packet says which qualities are sent at all.
    pub tells_active: bool,
}

/// One quality that a stream offers at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quality {
    /// Its layers.
    pub target: Target,
    /// Bit rate of all frames that belong to it, in kb/s.
    pub kbps: u32,
    /// Height of its pictures in pixels, if known.
    pub height: Option<u16>,
    /// Whether its spatial layer comes at present.
    pub alive: bool,
}

/// A stream of a publisher.
pub struct Stream {
    reader: Reader,
    /// The qualities that the publisher says it sends.
    active: Targets,
    layout: Layout,
    /// Grows when the layout changes.
    version: u32,
    /// Spatial and temporal layers, where no dependency descriptor tells them.
    layers: (u8, u8),
    /// Whether spatial layers use each other in key pictures only, where no dependency descriptor tells.
    apart: bool,
    meters: Vec<Meter>,
    last: Option<Instant>,
    seen: [Option<Instant>; MAX_SPATIAL],
    heights: [Option<u16>; MAX_SPATIAL],
}

impl Stream {
    /// A stream of which nothing came yet.
    pub fn new(now: Instant) -> Self {
        Self {
            reader: Reader::default(),
            active: Targets::NONE,
            layout: Layout::default(),
            version: 0,
            layers: (1, 1),
            apart: false,
            meters: vec![Meter::new(now)],
            last: None,
            seen: [None; MAX_SPATIAL],
            heights: [None; MAX_SPATIAL],
        }
    }

    /// Counts a packet that has no layers: sound.
    pub fn count(&mut self, now: Instant, bytes: usize) {
        self.last = Some(now);
        if let Some(meter) = self.meters.first_mut() {
            meter.add(now, bytes);
        }
    }

    /// Reads a video packet and counts it. `None` if its frame can't be told: its structure is missing.
    pub fn read(&mut self, now: Instant, packet: &Packet) -> Option<Frame> {
        self.last = Some(now);
        let frame = match &packet.descriptor {
            Some(raw) => self.by_descriptor(now, packet, raw)?,
            None => self.by_payload(now, packet),
        };
        if let Some(seen) = self.seen.get_mut(usize::from(frame.layer.spatial)) {
            *seen = Some(now);
        }
        for target in frame.needed.iter() {
            if let Some(meter) = self.meters.get_mut(target) {
                meter.add(now, packet.payload.len());
            }
        }
        Some(frame)
    }

    fn by_descriptor(&mut self, now: Instant, packet: &Packet, raw: &RawDescriptor) -> Option<Frame> {
        let (descriptor, dependencies, changed) = match self.reader.read(raw.as_bytes()) {
            Ok(read) => read,
            Err(error) => {
                tracing::trace!(%error, "dependency descriptor");
                return None;
            }
        };
        let structure = self.reader.structure()?;
        let templates = (structure.first_id, u8::try_from(structure.templates.len()).unwrap_or(u8::MAX));
        if changed {
            for (spatial, height) in self.heights.iter_mut().enumerate() {
                *height = structure.height(u8::try_from(spatial).unwrap_or(u8::MAX));
            }
            let layout = structure.layout();
            self.lay_out(now, layout);
        }
        // Payload descriptors of VP8 and VP9 stay in clear, and their picture ids must go on.
        let pictures = match packet.format.codec {
            Codec::Vp8 | Codec::Vp9 => codec::describe(packet.format.codec, &packet.payload).pictures,
            _ => Pictures::default(),
        };
        let attached = descriptor.structure.is_some();
        if let Some(active) = descriptor.active.or(attached.then(|| self.layout.all())) {
            self.active = active;
        }
        Some(Frame {
            keyframe: descriptor.starts && attached && dependencies.differences.as_slice().is_empty(),
            layer: dependencies.layer,
            begins: descriptor.starts,
            ends: descriptor.ends,
            needed: dependencies.indications.present,
            entry: Entry {
                to: dependencies.indications.switch,
                from: self.layout.all(),
                needs: dependencies.differences,
            },
            pictures,
            number: Some(FrameNumber { number: descriptor.number, templates, attached }),
            tells_active: descriptor.active.is_some() || attached,
        })
    }

    fn by_payload(&mut self, now: Instant, packet: &Packet) -> Frame {
        let description = codec::describe(packet.format.codec, &packet.payload);
        for (known, told) in self.heights.iter_mut().zip(description.heights) {
            *known = told.or(*known);
        }
        let told = description.layers;
        let layer = Target {
            spatial: told.target.spatial.min(MAX_SPATIAL as u8 - 1),
            temporal: told.target.temporal.min(MAX_TEMPORAL - 1),
        };
        // A key picture tells how many sizes there are, so that its end is known before the last one is seen.
        let most = MAX_SPATIAL as u8;
        let known = told.spatials.filter(|_| description.keyframe).map_or(self.layers.0, |told| told.clamp(1, most));
        let layers = (known.max(layer.spatial + 1), self.layers.1.max(layer.temporal + 1));
        // The lowest layer's delta frames tell whether the one above uses them.
        let apart = if layer.spatial == 0 && told.predicted { layers.0 > 1 && told.apart } else { self.apart };
        if layers != self.layers || apart != self.apart {
            (self.layers, self.apart) = (layers, apart);
            self.lay_out(now, Layout::grid(layers.0, layers.1, apart));
        }
        let (needed, entry) = self.grid(packet.format.codec, layer, &description);
        Frame {
            keyframe: description.keyframe,
            layer,
            begins: told.begins,
            ends: told.ends,
            needed,
            entry,
            pictures: description.pictures,
            number: None,
            tells_active: false,
        }
    }

    /// A dependency descriptor that says which qualities a receiver gets, as far as they are sent at all; `None` if that says the same as
    /// before, or has no room.
    pub fn with_active(&self, raw: &RawDescriptor, targets: Targets) -> Option<RawDescriptor> {
        let known = self.reader.structure()?;
        let mut descriptor = Descriptor::parse(raw.as_bytes(), Some(known)).ok()?;
        let active = self.active.and(targets);
        let said = descriptor.active.or(descriptor.structure.is_some().then(|| self.layout.all()));
        if said == Some(active) {
            return None;
        }
        descriptor.active = Some(active);
        let structure = descriptor.structure.clone();
        descriptor.write(structure.as_ref().unwrap_or(known)).ok()
    }

    /// Who needs a frame of these layers, and whom it lets in.
    fn grid(&self, codec: Codec, layer: Target, description: &Description) -> (Targets, Entry) {
        let mut needed = Targets::NONE;
        let mut entry = Entry::default();
        for (index, target) in self.layout.targets().iter().enumerate() {
            let spatial = if description.layers.apart {
                target.spatial == layer.spatial
            } else {
                target.spatial >= layer.spatial
            };
            if spatial && target.temporal >= layer.temporal {
                needed.insert(index);
                entry.to.insert(index);
            }
            match codec {
                // From the layer below: frames of the own layer that came before aren't needed later on.
                Codec::Vp8 if target.temporal + 1 >= layer.temporal => entry.from.insert(index),
                // From any that has this frame.
                Codec::Vp9 if needed.contains(index) => entry.from.insert(index),
                _ => {}
            }
        }
        match codec {
            _ if !description.layers.raises => entry.to = Targets::NONE,
            // Only this layer: higher ones may still need what was left out.
            Codec::Vp8 => {
                let own = |index: &usize| self.layout.get(*index).temporal == layer.temporal;
                entry.to = Targets(entry.to.iter().filter(own).fold(0, |set, index| set | Targets::one(index).0));
            }
            _ => {}
        }
        (needed, entry)
    }

    /// Takes over a new layout; rates of qualities that stay are kept.
    fn lay_out(&mut self, now: Instant, layout: Layout) {
        if layout == self.layout {
            return;
        }
        self.meters = layout
            .targets()
            .iter()
            .map(|target| self.meters.get(self.layout.best(*target)).copied().unwrap_or_else(|| Meter::new(now)))
            .collect();
        self.layout = layout;
        self.version = self.version.wrapping_add(1);
    }

    /// The qualities inside the stream.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Grows when the layout changes.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether packets come at present.
    pub fn alive(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.saturating_duration_since(last) < ALIVE)
    }

    /// Whether a spatial layer comes at present.
    pub fn layer_alive(&self, now: Instant, spatial: u8) -> bool {
        let seen = self.seen.get(usize::from(spatial)).copied().flatten();
        seen.is_some_and(|seen| now.saturating_duration_since(seen) < ALIVE)
    }

    /// Height of the tallest pictures, in pixels, if known.
    pub fn height(&self) -> Option<u16> {
        self.heights.iter().flatten().max().copied()
    }

    /// Bit rate of the whole stream, in kb/s.
    pub fn kbps(&mut self, now: Instant) -> u32 {
        self.meters.iter_mut().map(|meter| meter.kbps(now)).max().unwrap_or(0)
    }

    /// What it offers, lowest first: by size, then by frame rate.
    pub fn qualities(&mut self, now: Instant) -> Vec<Quality> {
        let mut qualities: Vec<Quality> = Vec::with_capacity(self.meters.len());
        for (index, target) in self.layout.targets().iter().enumerate() {
            qualities.push(Quality {
                target: *target,
                kbps: self.meters.get_mut(index).map_or(0, |meter| meter.kbps(now)),
                height: self.heights.get(usize::from(target.spatial)).copied().flatten(),
                alive: self.layer_alive(now, target.spatial),
            });
        }
        qualities.sort_by_key(|quality| quality.target);
        qualities
    }
}
