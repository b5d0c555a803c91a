//! Streams that ffmpeg's encoders make, as packets by the codecs' RTP specifications, written independently of what puts them together.

use super::judge::run;
use chroom_media_node::processing::video::{VideoCodec, encoder::Encoder, packets, picture::Picture};
use std::path::Path;

/// Largest payload.
const MTU: usize = 1_100;
/// Pictures a second.
pub const RATE: u32 = 25;

/// A packet: timestamp, marker, payload.
pub type Packet = (u32, bool, Vec<u8>);

/// The frames of ffmpeg's test picture, encoded with these arguments into `path`, an IVF file.
pub fn encoded(path: &Path, size: &str, frames: u32, encoder: &[&str]) -> Vec<Vec<u8>> {
    let (source, count) = (format!("testsrc=size={size}:rate={RATE}"), frames.to_string());
    let mut arguments = vec!["-v", "error", "-f", "lavfi", "-i", &source, "-frames:v", &count, "-pix_fmt", "yuv420p"];
    arguments.extend_from_slice(encoder);
    arguments.extend(["-f", "ivf", path.to_str().unwrap()]);
    run("ffmpeg", &arguments);
    let file = std::fs::read(path).unwrap();
    // A header of 32 bytes; before each frame its length and its time.
    let mut rest = &file[32..];
    let mut frames = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (frame, tail) = tail[8..].split_at(u32::from_le_bytes(*length) as usize);
        frames.push(frame.to_vec());
        rest = tail;
    }
    frames
}

fn timestamp(n: usize) -> u32 {
    // Over the wrap-around.
    (u32::MAX - 90_000).wrapping_add(n as u32 * 90_000 / RATE)
}

/// VP9 by RFC 9628, section 4.2: picture ids of 15 bits, no layers, a key frame with its size.
pub fn vp9(frames: &[Vec<u8>], (width, height): (u16, u16)) -> Vec<Packet> {
    let mut packets = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        // Frame marker 2, profile 0, no existing frame shown, key frame.
        let is_key = frame[0] & 0b1111_1100 == 0b1000_0000;
        let parts = frame.chunks(MTU).count();
        for (at, part) in frame.chunks(MTU).enumerate() {
            let (begins, ends) = (at == 0, at + 1 == parts);
            let structure = begins && is_key;
            let flags = [true, !is_key, false, false, begins, ends, structure, false];
            let mut payload = vec![flags.iter().fold(0, |byte, flag| byte << 1 | u8::from(*flag))];
            payload.extend((n as u16 & 0x7FFF | 0x8000).to_be_bytes());
            if structure {
                payload.push(0x10);
                payload.extend(width.to_be_bytes().into_iter().chain(height.to_be_bytes()));
            }
            payload.extend_from_slice(part);
            packets.push((timestamp(n), ends, payload));
        }
    }
    packets
}

/// A VP9 stream of three spatial layers (80, 160 and 320 pixels wide), as libvpx made it: for each layer's frame its length (32 bits), its layer (8),
/// the number of its picture (32), and the frame. Two of its 20 pictures are key pictures. One pass, constant rate (20, 40 and 80 kb/s); in
/// `layers-each.bin` every picture has all layers, which need each other; in `layers-key.bin`, made error resilient, layers need each other in key
/// pictures only, and the others have the largest alone.
pub fn layered(file: &[u8]) -> Vec<Packet> {
    let mut frames = Vec::new();
    let mut rest = file;
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (header, tail) = tail.split_at(5);
        let (frame, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
        frames.push((header[0], u32::from_le_bytes(header[1..].try_into().unwrap()), frame));
        rest = tail;
    }
    let mut packets = Vec::new();
    for (n, (layer, picture, frame)) in frames.iter().enumerate() {
        let is_last = frames.get(n + 1).is_none_or(|next| next.1 != *picture);
        let parts = frame.chunks(400).count();
        for (at, part) in frame.chunks(400).enumerate() {
            let (begins, ends) = (at == 0, at + 1 == parts);
            // Not flexible, with layers.
            let flags = [true, picture % 10 != 0, true, false, begins, ends, false, false];
            let flags = flags.iter().fold(0, |byte, flag| byte << 1 | u8::from(*flag));
            let [high, low] = (*picture as u16 | 0x8000).to_be_bytes();
            let payload = [&[flags, high, low, layer << 1 | u8::from(*layer > 0), *picture as u8], part].concat();
            packets.push((timestamp(*picture as usize), is_last && ends, payload));
        }
    }
    packets
}

fn leb128(bytes: &[u8]) -> (usize, usize) {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    (bytes[..length].iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7F)), length)
}

fn write_leb128(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A temporal unit's OBUs as packets carry them: without delimiters, without sizes.
fn obus(mut unit: &[u8]) -> Vec<Vec<u8>> {
    let mut obus = Vec::new();
    while !unit.is_empty() {
        let header = 1 + usize::from(unit[0] & 0x04 != 0);
        assert_ne!(unit[0] & 0x02, 0, "each has its size");
        let (size, length) = leb128(&unit[header..]);
        let (obu, rest) = unit.split_at(header + length + size);
        if unit[0] >> 3 != 2 {
            obus.push([&[obu[0] & !0x02], &obu[1..header], &obu[header + length..]].concat());
        }
        unit = rest;
    }
    obus
}

/// AV1 by its RTP specification, section 4: as many OBUs in a packet as go in, the last one in part if need be.
pub fn av1(units: &[Vec<u8>]) -> Vec<Packet> {
    let mut packets = Vec::new();
    for (n, unit) in units.iter().enumerate() {
        let obus = obus(unit);
        let begins_sequence = obus.iter().any(|obu| obu[0] >> 3 == 1);
        // Elements of each packet, and whether the first goes on from the packet before.
        let mut filled: Vec<(bool, Vec<&[u8]>)> = vec![(false, Vec::new())];
        for obu in &obus {
            let mut rest = obu.as_slice();
            while !rest.is_empty() {
                let room = MTU.saturating_sub(filled.last().unwrap().1.iter().map(|element| element.len() + 2).sum());
                if room < 10 {
                    filled.push((rest.len() < obu.len(), Vec::new()));
                    continue;
                }
                let (element, tail) = rest.split_at(rest.len().min(room));
                filled.last_mut().unwrap().1.push(element);
                rest = tail;
            }
        }
        let last = filled.len() - 1;
        for at in 0..=last {
            let (continues, elements) = &filled[at];
            let unfinished = at < last && filled[at + 1].0;
            // The number of elements, if it can be told; the last one has no length then.
            let counted = if elements.len() <= 3 { elements.len() } else { 0 };
            let flags = u8::from(*continues) << 7 | u8::from(unfinished) << 6 | (counted as u8) << 4;
            let mut payload = vec![flags | u8::from(at == 0 && begins_sequence) << 3];
            for (number, element) in elements.iter().enumerate() {
                if number + 1 != counted {
                    write_leb128(element.len(), &mut payload);
                }
                payload.extend_from_slice(element);
            }
            packets.push((timestamp(n), at == last, payload));
        }
    }
    packets
}

/// A picture with a bar that moves, by this node's encoders. Its size is what `size` says of each frame.
pub fn moving(codec: VideoCodec, frames: u32, size: impl Fn(u32) -> (u32, u32)) -> Vec<Packet> {
    let mut encoder = Encoder::new(codec, 400, RATE);
    let mut sent = Vec::new();
    for n in 0..frames {
        let (width, height) = size(n);
        let mut picture = Picture::filled(width, height, (90, 100, 150)).unwrap();
        picture.draw(&Picture::filled(16, height, (200, 128, 128)).unwrap(), n * 2 % (width - 16), 0);
        let Some(frame) = encoder.encode(&picture, timestamp(n as usize), n == 0).unwrap() else { continue };
        for packet in packets::packetise(codec, &frame.data, n as u16) {
            sent.push((frame.timestamp, packet.marker, packet.payload));
        }
    }
    sent
}
