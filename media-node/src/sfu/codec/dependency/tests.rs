use super::{
    examples::{differences, frame, indications, l1t3, l2t1_key, l2t2, template},
    structure::ChainDifferences,
    *,
};
use crate::sfu::codec::targets::{Target, Targets};
use proptest::prelude::*;

#[test]
fn a_descriptor_of_three_bytes_takes_all_from_its_template() {
    let structure = l1t3();
    // Starts and ends, template 2, frame 0x1234.
    let descriptor = Descriptor::parse(&[0xC2, 0x12, 0x34], Some(&structure)).unwrap();
    assert_eq!(descriptor, frame(2, 0x1234));
    let dependencies = descriptor.dependencies(&structure).unwrap();
    assert_eq!(dependencies.layer, Target { spatial: 0, temporal: 1 });
    assert_eq!(dependencies.indications, indications("-DS"));
    assert_eq!(dependencies.differences.as_slice(), [2]);
    assert_eq!(descriptor.write(&structure).unwrap().as_bytes(), [0xC2, 0x12, 0x34]);
}

/// Bit by bit by the syntax of A.8, not by the writer here.
#[test]
fn a_structure_is_read_as_the_specification_writes_it() {
    let text = [
        "1 0 000101 0000000000000111",         // it starts and goes on; template 5; frame 7
        "1 1 0 0 0",                           // a structure and active targets follow
        "000101 00001",                        // first id 5; two targets
        "01 11",                               // a template at (0,0), another one temporal layer up, no more
        "10 11",                               // the first: switch, required
        "00 01",                               // the second: not present, discardable
        "0 1 0000 0",                          // the first needs nothing, the second the frame before
        "10",                                  // one chain, as ns(3): `0`, `10`, `11`
        "0000 0001",                           // its differences; which chain protects a target takes no bit, ns(1)
        "1 0000000100111111 0000000010110011", // 320x180
        "10",                                  // the second target is active
    ];
    let bits: Vec<u8> = text.concat().bytes().filter(|c| *c != b' ').map(|c| c - b'0').collect();
    let mut bytes = vec![0u8; bits.len().div_ceil(8)];
    bits.iter().enumerate().for_each(|(i, bit)| bytes[i / 8] |= bit << (7 - i % 8));
    let descriptor = Descriptor::parse(&bytes, None).unwrap();
    let mut second = template(0, 1, "-D", &[1]);
    second.chains.0[0] = 1;
    let structure = Structure {
        first_id: 5,
        targets: 2,
        chains: 1,
        templates: vec![template(0, 0, "SR", &[]), second],
        protected_by: vec![0, 0],
        resolutions: vec![(320, 180)],
    };
    let expected = Descriptor {
        starts: true,
        ends: false,
        template: 5,
        number: 7,
        structure: Some(structure.clone()),
        active: Some(Targets(0b10)),
        ..Descriptor::default()
    };
    assert_eq!(descriptor, expected);
    assert_eq!(descriptor.write(&structure).unwrap().as_bytes(), bytes);
}

#[test]
fn structures_come_back_as_written() {
    for structure in [l1t3(), l2t2(), l2t1_key()] {
        let key = Descriptor { structure: Some(structure.clone()), active: Some(Targets(1)), ..frame(0, 9) };
        let raw = key.write(&structure).unwrap();
        assert_eq!(Descriptor::parse(raw.as_bytes(), None).unwrap(), key);
    }
}

#[test]
fn targets_have_the_layers_of_their_frames_and_lie_in_each_other() {
    let layout = l2t2().layout();
    let layers: Vec<(u8, u8)> = layout.targets().iter().map(|target| (target.spatial, target.temporal)).collect();
    assert_eq!(layers, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    assert!(layout.includes(3, 0) && layout.includes(3, 1) && layout.includes(3, 2) && layout.includes(2, 0));
    assert!(!layout.includes(2, 1));
    let apart = l2t1_key().layout();
    assert!(!apart.includes(1, 0), "the lower layer's delta frames are no part of the upper target");
}

#[test]
fn renumbering_moves_the_ids_of_a_structure_with_those_of_frames() {
    let mut structure = l2t2();
    structure.first_id = 60;
    let key = Descriptor { structure: Some(structure.clone()), ..frame(62, 500) };
    let mut raw = key.write(&structure).unwrap();
    raw.renumber(7, 9);
    let read = Descriptor::parse(raw.as_bytes(), None).unwrap();
    assert_eq!((read.number, read.template), (7, 7));
    let moved = read.structure.clone().unwrap();
    assert_eq!(moved.first_id, 5);
    assert!(moved.same_but_ids(&structure));
    let was = key.dependencies(&structure).unwrap();
    assert_eq!(read.dependencies(&moved).unwrap(), was);
    let mut short = frame(62, 501).write(&structure).unwrap();
    short.renumber(8, 9);
    assert_eq!(short.as_bytes(), [0xC7, 0, 8]);
}

#[test]
fn what_builds_on_nothing_known_is_refused() {
    assert_eq!(Descriptor::parse(&[0xC2, 0, 1], None), Err(DescriptorError::NoStructure));
    assert_eq!(Descriptor::parse(&[0xC9, 0, 1], Some(&l1t3())), Err(DescriptorError::UnknownTemplate(9)));
    assert_eq!(Descriptor::parse(&[0xC9, 0], Some(&l1t3())), Err(DescriptorError::Truncated));
    assert_eq!(frame(9, 1).write(&l1t3()), Err(WriteError::UnknownTemplate(9)));
    assert!(RawDescriptor::new(&[0; 256]).is_none() && RawDescriptor::new(&[0; 2]).is_none());
}

#[test]
fn a_late_structure_does_not_replace_a_newer_one() {
    let (old, new) = (l1t3(), Structure { first_id: 4, ..l2t2() });
    let key = |structure: &Structure, number| {
        let descriptor = Descriptor { structure: Some(structure.clone()), ..frame(structure.first_id, number) };
        *descriptor.write(structure).as_ref().unwrap()
    };
    let mut reader = Reader::default();
    assert!(reader.read(&[0xC0, 0, 1]).is_err());
    assert!(reader.read(key(&old, 10).as_bytes()).unwrap().2);
    assert!(!reader.read(key(&old, 40).as_bytes()).unwrap().2, "the same again");
    assert!(reader.read(key(&new, 90).as_bytes()).unwrap().2);
    let (late, dependencies, changed) = reader.read(key(&old, 41).as_bytes()).unwrap();
    assert!(!changed && late.structure.is_some());
    assert_eq!(dependencies.indications, indications("SSS"), "read by its own structure");
    assert_eq!(reader.structure(), Some(&new));
}

fn any_structure() -> impl Strategy<Value = Structure> {
    let templates =
        proptest::collection::vec((0u8..3, any::<u64>(), proptest::collection::vec(1u16..=16, 0..5)), 1..12);
    (0u8..64, 1u8..=32, 0u8..=32, templates, any::<bool>(), any::<u64>()).prop_map(
        |(first_id, targets, chains, kinds, sized, random)| {
            let chains = chains.min(targets);
            let mut layer = Target::LOWEST;
            let mut templates = Vec::new();
            for (step, letters, needs) in kinds {
                let text: String =
                    (0..targets).map(|t| ['-', 'D', 'S', 'R'][(letters >> (t * 2 % 64) & 3) as usize]).collect();
                let mut one = template(layer.spatial, layer.temporal, &text, &needs);
                (0..usize::from(chains)).for_each(|chain| one.chains.0[chain] = (letters >> (chain % 60) & 15) as u8);
                templates.push(one);
                match step {
                    1 if layer.temporal < 7 => layer.temporal += 1,
                    2 if layer.spatial < 3 => layer = Target { spatial: layer.spatial + 1, temporal: 0 },
                    _ => {}
                }
            }
            let last = templates.last().unwrap().layer.spatial;
            let resolutions = if sized { (0..=last).map(|s| (320 << s, 180 << s)).collect() } else { Vec::new() };
            let protected_by = if chains == 0 {
                Vec::new()
            } else {
                (0..targets).map(|t| (random >> (t % 60)) as u8 % chains).collect()
            };
            Structure { first_id, targets, chains, templates, protected_by, resolutions }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        structure in any_structure(), number: u16, at in any::<proptest::sample::Index>(), flags in 0u8..64,
        active: u32, needs in proptest::collection::vec(1u16..=4_096, 0..16), shift: u8,
    ) {
        let template = structure.first_id.wrapping_add(at.index(structure.templates.len()) as u8) & 63;
        let flag = |place: u8| flags >> place & 1 == 1;
        let mut chains = ChainDifferences::default();
        (0..usize::from(structure.chains)).for_each(|chain| chains.0[chain] = number as u8);
        let everything = Targets::first(structure.targets.into());
        let descriptor = Descriptor {
            starts: flag(0),
            ends: !flag(0),
            template,
            number,
            structure: flag(1).then(|| structure.clone()),
            active: flag(2).then_some(Targets(active).and(everything)),
            indications: flag(3).then(|| structure.templates[0].indications),
            differences: flag(4).then(|| differences(&needs)),
            chains: flag(5).then_some(chains),
        };
        // A large one may have no room: then it is refused, not cut.
        let Ok(raw) = descriptor.write(&structure) else { return Ok(()) };
        let read = Descriptor::parse(raw.as_bytes(), Some(&structure)).unwrap();
        prop_assert_eq!(&read, &descriptor);

        let mut moved = raw;
        moved.renumber(number.wrapping_add(77), shift);
        let first_id = structure.first_id.wrapping_add(shift) & 63;
        let known = Structure { first_id, ..structure.clone() };
        let again = Descriptor::parse(moved.as_bytes(), Some(&known)).unwrap();
        prop_assert_eq!(again.number, number.wrapping_add(77));
        prop_assert_eq!(again.dependencies(&known), descriptor.dependencies(&structure));
        prop_assert_eq!(again.active, descriptor.active);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..=255), more in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut reader = Reader::default();
        let _ = reader.read(&bytes);
        let _ = reader.read(&more);
        let _ = Descriptor::parse(&bytes, Some(&l2t2()));
        if let Some(mut raw) = RawDescriptor::new(&bytes) {
            raw.renumber(1, 200);
            prop_assert_eq!(raw.as_bytes().len(), bytes.len());
        }
    }

    /// Bytes that begin like a key frame's descriptor get deeper into the structure than random ones.
    #[test]
    fn damaged_structures_are_read_without_panic(structure in any_structure(), at in any::<proptest::sample::Index>(), bit in 0u8..8) {
        let key = Descriptor { structure: Some(structure.clone()), ..frame(structure.first_id, 1) };
        let Ok(raw) = key.write(&structure) else { return Ok(()) };
        let mut bytes = raw.as_bytes().to_vec();
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let _ = Reader::default().read(&bytes);
        let _ = Reader::default().read(&bytes[..place]);
    }
}
