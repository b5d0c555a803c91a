//! Frames out of packets, and files of them: what a recorder does with whatever a publisher sends.

use chroom_media_node::processing::{
    recording::{format::TrackFormat, webm::WebmFile},
    video::{EncodedFrame, FrameCodec, MAX_FRAME, assembly::Assembler, av1, vp9},
};
use std::{
    io::Cursor,
    time::{Duration, Instant},
};

const CODECS: [FrameCodec; 4] = [FrameCodec::Vp8, FrameCodec::Vp9, FrameCodec::H264, FrameCodec::Av1];

/// The input is a codec, then packets: a byte of what they do to numbers and times, the length of the payload in two, the payload.
pub fn run(input: &[u8]) {
    let Some((codec, mut input)) = input.split_first() else { return };
    let Some(codec) = CODECS.get(usize::from(*codec) % CODECS.len()).copied() else { return };
    let mut assembler = Assembler::new(codec);
    let (mut now, mut seq, mut timestamp) = (Instant::now(), 100u64, 0u32);
    let mut file: Option<WebmFile<Cursor<Vec<u8>>>> = None;
    let mut expected_keyframe = true;
    while let [how, high, low, rest @ ..] = input {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(rest.len());
        let (payload, behind) = rest.split_at(length);
        input = behind;
        // Bits: marker; a packet is missing; the next frame; a while passes; this one comes late.
        seq += 1 + u64::from(how >> 1 & 1);
        timestamp = timestamp.wrapping_add(u32::from(how >> 2 & 1) * 3_000);
        now += Duration::from_millis(u64::from(how >> 3 & 1) * 400);
        let at = seq - u64::from(how >> 4 & 1) * 5;
        for frame in assembler.push(now, at, timestamp, how & 1 == 1, payload.into()) {
            assert!(frame.keyframe || !expected_keyframe, "nothing can be decoded before a key frame");
            expected_keyframe = false;
            whole(codec, &frame);
            if file.is_none() {
                let format = TrackFormat::of(codec, &frame);
                file = format.and_then(|format| WebmFile::new(Cursor::new(Vec::new()), vec![format]).ok());
            }
            if let Some(file) = &mut file {
                let written = file.frame(1, u64::from(frame.timestamp / 90), frame.keyframe, &frame.data);
                assert!(written.is_ok(), "a frame can't be written: {written:?}");
            }
        }
    }
    assert!(file.is_none_or(|file| file.finish().is_ok()), "a file can't be ended");
}

fn whole(codec: FrameCodec, frame: &EncodedFrame) {
    // Start codes, sizes and an index are more than what came.
    assert!(!frame.data.is_empty() && frame.data.len() <= 2 * MAX_FRAME);
    match codec {
        FrameCodec::Av1 => {
            let behind = av1::units(&frame.data).last().map(|obu| obu.rest.len());
            assert_eq!(behind, Some(0), "units that can't be read again");
        }
        FrameCodec::Vp9 => {
            let frames: usize = vp9::frames(&frame.data).iter().map(|frame| frame.len()).sum();
            assert!(frames <= frame.data.len(), "frames that are larger than what they are in");
        }
        FrameCodec::Vp8 | FrameCodec::H264 => {}
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let packet = |how: u8, payload: &[u8]| {
        let [high, low] = (payload.len() as u16).to_be_bytes();
        [&[how, high, low], payload].concat()
    };
    let stream = |codec: u8, packets: &[Vec<u8>]| [&[codec][..], &packets.concat()].concat();
    let vp8 = [0x90, 0x80, 0x01, 0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01, 9, 9];
    // A key frame of 320 by 180 in one layer, and one of 640 by 360 above it that needs it.
    let vp9_lower = [0xAC, 1, 0x00, 0, 0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xF0, 0x0B, 0x30, 0x55];
    let vp9_upper = [0xAC, 1, 0x02, 0, 0x86, 0x00, 0x00, 0x00, 0x01, 0x3F, 0x80, 0xB3, 0x80, 0x55];
    let sps = [0x67, 0x42, 0xE0, 0x1F, 0xDA, 0x02, 0x80, 0xF6];
    let parameters = [&[0x78, 0, 8][..], &sps, &[0, 4, 0x68, 0xCE, 0x3C, 0x80]].concat();
    let header = [0x08, 0, 0, 0, 0x42, 0xA6, 0x7F, 0xD9, 0xE0, 0x01, 0, 0x40];
    let av1 = [&[0x68, 12][..], &header, &[0x30, 0x10, 1, 2]].concat();
    vec![
        stream(0, &[packet(1, &vp8), packet(5, &[0x90, 0x80, 0x02, 0x11, 5])]),
        stream(1, &[packet(0, &vp9_lower), packet(1, &vp9_upper), packet(5, &[0xEC, 2, 0, 0, 0x86, 0, 0, 0x40])]),
        stream(2, &[packet(0, &parameters), packet(0, &[0x7C, 0x85, 0xB8]), packet(1, &[0x7C, 0x45, 0x41])]),
        stream(3, &[packet(0, &av1), packet(1, &[0x90, 3, 4]), packet(5, &[0x10, 0x30, 0x30, 1])]),
    ]
}
