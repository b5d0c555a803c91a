//! What packets of media say of their frames: payload descriptors, redundant audio, dependency descriptors.

use chroom_media_node::sfu::codec::{
    self, Codec,
    dependency::{MAX_BYTES, RawDescriptor, Reader},
    red,
};

pub fn payloads(input: &[u8]) {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
        let described = codec::describe(codec, input);
        for at in [described.pictures.id_at(), described.pictures.tl0_at()].into_iter().flatten() {
            assert!(at < input.len(), "a picture id that isn't in the payload");
        }
    }
    if let Some(primary) = red::primary(input) {
        assert!(input.get(primary.range).is_some(), "a frame that isn't in the payload");
    }
}

pub fn payload_seeds() -> Vec<Vec<u8>> {
    vec![
        // VP8: a key frame with picture id and TL0PICIDX.
        vec![0x90, 0xE0, 0x80, 0x11, 0x20, 0x01, 0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01],
        // VP9: a key picture with a scalability structure of two sizes.
        vec![0xAA, 0x81, 0x00, 0x00, 0x07, 0x38, 0x01, 0x40, 0x00, 0xB4, 0x02, 0x80, 0x01, 0x68, 1, 0x14, 1],
        // H.264: STAP-A with parameter sets, and a fragment of an IDR slice.
        vec![0x78, 0, 8, 0x67, 0x42, 0xE0, 0x1F, 0xDA, 0x02, 0x80, 0xF6, 0, 4, 0x68, 0xCE, 0x3C, 0x80],
        vec![0x7C, 0x85, 0xB8, 0x41],
        // AV1: a new coded video sequence.
        vec![0x18, 0x0A, 0x0B, 0, 0, 0, 0x24, 0xCF, 0x7F, 0x0D, 0xBF, 0xFF, 0x30, 0x08],
        // RED: one earlier frame.
        vec![0xEF, 0x0F, 0x00, 2, 111, 1, 1, 8, 8, 8],
    ]
}

/// The input is a run of descriptors, each behind its length.
pub fn descriptors(mut input: &[u8]) {
    let mut reader = Reader::default();
    while let Some((length, rest)) = input.split_first() {
        let length = usize::from(*length).min(rest.len());
        let (bytes, behind) = rest.split_at(length);
        input = behind;
        let Some(mut raw) = RawDescriptor::new(bytes) else { continue };
        if let Ok((descriptor, dependencies, _)) = reader.read(raw.as_bytes()) {
            let known = reader.structure().cloned();
            let structure = descriptor.structure.as_ref().or(known.as_ref());
            let written = structure.and_then(|structure| descriptor.write(structure).ok());
            if let (Some(written), Some(structure)) = (written, structure) {
                assert!(written.as_bytes().len() <= MAX_BYTES, "too long to be sent");
                let mut again = Reader::default();
                if descriptor.structure.is_some() {
                    let read = again.read(written.as_bytes());
                    assert!(
                        read.is_ok_and(|(_, read, _)| read.layer == dependencies.layer),
                        "what is written isn't read alike: {structure:?}"
                    );
                }
            }
        }
        raw.renumber(0xFFF0, 63);
    }
}

pub fn descriptor_seeds() -> Vec<Vec<u8>> {
    // L1T3 of the AV1 RTP specification's examples, a key frame and two frames after it.
    let key = [0x80, 0, 1, 0x80, 0x01, 0x14, 0xEA, 0xA8, 0x60, 0x41, 0x4D, 0x14, 0x10, 0x20, 0x84, 0x26];
    let (second, third) = ([0xC2, 0, 2], [0xC3, 0, 3]);
    let run = |parts: &[&[u8]]| parts.iter().flat_map(|part| [&[part.len() as u8], *part].concat()).collect();
    vec![run(&[&key, &second, &third]), run(&[&second]), run(&[&key])]
}
