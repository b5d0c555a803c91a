//! Structures as encoders send them, for tests.

use super::{Descriptor, Differences, Indication, Indications, RawDescriptor, Structure, Template};
use crate::sfu::codec::targets::Target;

/// What each decode target sees in a frame: `-` nothing, `D` discardable, `S` switch, `R` required.
pub fn indications(text: &str) -> Indications {
    let mut indications = Indications::default();
    for (target, letter) in text.chars().enumerate() {
        let indication = match letter {
            'D' => Indication::Discardable,
            'S' => Indication::Switch,
            'R' => Indication::Required,
            _ => Indication::NotPresent,
        };
        indications.set(target, indication);
    }
    indications
}

pub fn differences(values: &[u16]) -> Differences {
    let mut differences = Differences::default();
    values.iter().for_each(|value| assert!(differences.push(*value)));
    differences
}

pub fn template(spatial: u8, temporal: u8, text: &str, needs: &[u16]) -> Template {
    Template {
        layer: Target { spatial, temporal },
        indications: indications(text),
        differences: differences(needs),
        ..Template::default()
    }
}

/// One spatial, three temporal layers.
pub fn l1t3() -> Structure {
    Structure {
        first_id: 0,
        targets: 3,
        templates: vec![
            template(0, 0, "SSS", &[]),
            template(0, 0, "SSS", &[4]),
            template(0, 1, "-DS", &[2]),
            template(0, 2, "--D", &[1]),
        ],
        ..Structure::default()
    }
}

/// Two spatial layers that build upon each other in every picture, two temporal ones; targets (0,0), (0,1), (1,0), (1,1).
pub fn l2t2() -> Structure {
    Structure {
        first_id: 0,
        targets: 4,
        templates: vec![
            template(0, 0, "SSRR", &[]),
            template(0, 0, "SSRR", &[4]),
            template(0, 1, "-D-R", &[2]),
            template(1, 0, "--SS", &[1]),
            template(1, 0, "--SS", &[4, 1]),
            template(1, 1, "---D", &[2, 1]),
        ],
        resolutions: vec![(640, 360), (1280, 720)],
        ..Structure::default()
    }
}

/// Two spatial layers that build upon each other in key pictures only.
pub fn l2t1_key() -> Structure {
    Structure {
        first_id: 0,
        targets: 2,
        templates: vec![
            template(0, 0, "SS", &[]),
            template(0, 0, "S-", &[2]),
            template(1, 0, "-S", &[1]),
            template(1, 0, "-S", &[2]),
        ],
        resolutions: vec![(640, 360), (1280, 720)],
        ..Structure::default()
    }
}

/// A whole frame in one packet.
pub fn frame(template: u8, number: u16) -> Descriptor {
    Descriptor { starts: true, ends: true, template, number, ..Descriptor::default() }
}

/// What an encoder with one of these structures sends: pictures of one frame per spatial layer, two packets a frame.
pub struct Encoder {
    structure: Structure,
    /// Templates of each picture of the pattern, by spatial layer.
    pattern: Vec<Vec<u8>>,
    key: Vec<u8>,
    picture: usize,
    number: u16,
    seq: u64,
    timestamp: u32,
}

/// A packet of an [`Encoder`], with what it carries.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub seq: u64,
    pub timestamp: u32,
    pub marker: bool,
    pub descriptor: Descriptor,
    pub raw: RawDescriptor,
}

impl Encoder {
    pub fn new(structure: Structure, number: u16) -> Self {
        let (key, pattern) = match (structure.templates.len(), structure.targets) {
            (4, 3) => (vec![0], vec![vec![1], vec![3], vec![2], vec![3]]),
            (6, 4) => (vec![0, 3], vec![vec![1, 4], vec![2, 5]]),
            (4, 2) => (vec![0, 2], vec![vec![1, 3]]),
            _ => panic!("no pattern for it"),
        };
        Self { structure, pattern, key, picture: 0, number, seq: 1_000, timestamp: 90_000 }
    }

    /// With other numbers and timestamps.
    pub fn shifted(self, seq: u64, timestamp: u32) -> Self {
        Self { seq: self.seq + seq, timestamp: self.timestamp.wrapping_add(timestamp), ..self }
    }

    /// The packets of the next picture.
    pub fn picture(&mut self, key: bool) -> Vec<Encoded> {
        let key = key || self.picture == 0;
        if key {
            self.picture = 0;
        }
        let templates = if key { &self.key } else { &self.pattern[self.picture % self.pattern.len()] };
        let mut packets = Vec::new();
        for (layer, template) in templates.iter().enumerate() {
            for starts in [true, false] {
                let attached = (key && starts && layer == 0).then(|| self.structure.clone());
                let descriptor = Descriptor {
                    starts,
                    ends: !starts,
                    structure: attached,
                    ..frame((template + self.structure.first_id) % 64, self.number)
                };
                let raw = descriptor.write(&self.structure).unwrap();
                let marker = !starts && layer + 1 == templates.len();
                packets.push(Encoded { seq: self.seq, timestamp: self.timestamp, marker, descriptor, raw });
                self.seq += 1;
            }
            self.number = self.number.wrapping_add(1);
        }
        self.picture += 1;
        self.timestamp = self.timestamp.wrapping_add(3_000);
        packets
    }

    pub fn structure(&self) -> &Structure {
        &self.structure
    }
}
