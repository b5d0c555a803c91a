//! The codec bridge: a video for those who lack its publisher's codec, decoded and encoded again once for all of them.

use super::{
    job::{Desk, Ending, Job, Progress},
    video::{CLOCK, VideoCodec, assembly::Assembler, decoder::Decoder, encoder::Encoder, packets, picture::Picture},
};
use crate::sfu::{
    codec::Format,
    id::{Mid, TrackId},
    packet::Kind,
    resident::{Asked, ForResident, FromResident, Published, Told},
};
use std::time::{Duration, Instant};

/// Tallest picture that is bridged.
pub const MAX_HEIGHT: u32 = 720;
/// What a bridge is begun with: as large as the budget allows.
pub const HEIGHTS: [u32; 3] = [MAX_HEIGHT, 360, 180];
/// A bridge that nobody has received for so long ends.
const UNUSED: Duration = Duration::from_secs(10);
/// How often a key frame is asked for.
const ASK: Duration = Duration::from_millis(500);
/// A worker that is so late decodes, but encodes no more than a picture now and then until it has caught up.
const TOO_LATE: Duration = Duration::from_millis(60);
/// From one picture to the next then.
const NOW_AND_THEN: Duration = Duration::from_millis(200);
/// Bits per pixel and frame, in hundredths, and the bounds of the bit rate, in kb/s.
const BITS: u32 = 8;
const MIN_KBPS: u32 = 150;
const MAX_KBPS: u32 = 1_800;
/// Frames a second that the rate is reckoned for.
const RATE: u32 = 30;

/// The job.
pub struct BridgeJob {
    to: VideoCodec,
    track: TrackId,
    max_height: u32,
    line: Mid,
    published: bool,
    reader: Option<(Assembler, Decoder)>,
    quarter_turns: u8,
    encoder: Option<(Encoder, (u32, u32))>,
    wants_keyframe: bool,
    late: bool,
    encoded: Option<Instant>,
    seq: u64,
    picture: u16,
    asked: Option<Instant>,
    watched: bool,
    unused_since: Instant,
    /// The publisher sends what the receivers know, or what can't be decoded.
    useless: bool,
}

impl BridgeJob {
    /// A bridge to this codec, published as `track`, with pictures of at most so many lines.
    pub fn new(now: Instant, to: VideoCodec, track: TrackId, max_height: u32) -> Self {
        Self {
            to,
            track,
            max_height,
            line: Mid::parse("bridge").unwrap_or_default(),
            published: false,
            reader: None,
            quarter_turns: 0,
            encoder: None,
            wants_keyframe: false,
            late: false,
            encoded: None,
            seq: 0,
            picture: 0,
            asked: None,
            watched: false,
            unused_since: now,
            useless: false,
        }
    }

    fn packet(&mut self, now: Instant, packet: ForResident, desk: &mut Desk) {
        let ForResident { mid, codec, seq, timestamp, marker, quarter_turns, payload } = packet;
        self.quarter_turns = quarter_turns.unwrap_or(self.quarter_turns);
        let codec = VideoCodec::of(codec).filter(|codec| *codec != self.to);
        let Some(codec) = codec else { return self.useless = true };
        if self.reader.as_ref().is_none_or(|(assembler, _)| assembler.codec() != codec.into()) {
            self.reader = Decoder::new(codec).ok().map(|decoder| (Assembler::new(codec), decoder));
        }
        let Some((assembler, decoder)) = &mut self.reader else { return self.useless = true };
        let mut pictures = Vec::new();
        for frame in assembler.push(now, seq, timestamp, marker, payload) {
            match decoder.decode(&frame) {
                Ok(Some(picture)) => pictures.push((picture, frame.timestamp)),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "a frame can't be decoded");
                    assembler.spoil();
                }
            }
        }
        if assembler.needs_keyframe() && self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK) {
            self.asked = Some(now);
            desk.ask(Asked::Keyframe(mid));
        }
        for (picture, timestamp) in pictures {
            let rested = self.encoded.is_none_or(|at| now.saturating_duration_since(at) >= NOW_AND_THEN);
            if !self.watched || self.late && !rested {
                continue;
            }
            self.encoded = Some(now);
            let picture = bounded(picture.turned(self.quarter_turns), self.max_height);
            let size = (picture.width(), picture.height());
            let encoder = match &mut self.encoder {
                Some((encoder, known)) if *known == size => encoder,
                other => {
                    let kbps = (size.0 * size.1 / 100 * BITS * RATE / 1_000).clamp(MIN_KBPS, MAX_KBPS);
                    &mut other.insert((Encoder::new(self.to, kbps, RATE), size)).0
                }
            };
            let keyframe = std::mem::take(&mut self.wants_keyframe);
            match encoder.encode(&picture, timestamp, keyframe) {
                Ok(Some(frame)) => {
                    self.picture = self.picture.wrapping_add(1);
                    for payload in packets::packetise(self.to, &frame.data, self.picture) {
                        self.seq += 1;
                        desk.ask(Asked::Packet(FromResident {
                            mid: self.line,
                            format: format(self.to),
                            seq: self.seq,
                            timestamp,
                            marker: payload.marker,
                            payload: payload.payload.into(),
                        }));
                    }
                }
                Ok(None) => self.wants_keyframe |= keyframe,
                Err(error) => {
                    tracing::warn!(%error, "a picture of a bridge can't be encoded");
                    self.encoder = None;
                }
            }
        }
    }
}

/// A picture whose shorter side has at most so many pixels: a publisher with one layer sends what it likes.
fn bounded(picture: Picture, most: u32) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    if width.min(height) <= most {
        return picture;
    }
    let (wide, high) = if width > height { (width, most) } else { (most, height) };
    let (width, height) = picture.fitted(wide, high);
    picture.scaled(width, height).unwrap_or(picture)
}

/// What RTP calls it.
pub fn format(codec: VideoCodec) -> Format {
    Format {
        packetization_mode: (codec == VideoCodec::H264).then_some(1),
        // Constrained baseline, level 3.1, as RFC 7742 asks of everyone.
        profile_level_id: (codec == VideoCodec::H264).then_some(0x42_E01F),
        ..Format::new(codec.codec(), CLOCK)
    }
}

impl Job for BridgeJob {
    fn told(&mut self, now: Instant, told: Told, desk: &mut Desk) {
        match told {
            Told::Packet(packet) => self.packet(now, packet, desk),
            Told::Watched(_, watched) => self.watched = watched,
            Told::KeyframeWanted(_) => self.wants_keyframe = true,
            Told::Gone(_) => self.useless = true,
            Told::Line(..) => {}
        }
    }

    fn tick(&mut self, now: Instant, late: Duration, desk: &mut Desk) -> Progress {
        self.late = late >= TOO_LATE;
        if !std::mem::replace(&mut self.published, true) {
            let (mid, track) = (self.line, self.track.clone());
            desk.ask(Asked::Publish(Published { mid, track, kind: Kind::Video }));
        }
        if self.watched {
            self.unused_since = now;
        }
        let unused = now.saturating_duration_since(self.unused_since) >= UNUSED;
        if self.useless || unused { Progress::Done } else { Progress::On }
    }

    fn end(&mut self, _reason: Ending) {}
}

#[cfg(test)]
mod tests {
    use super::{super::video::picture::tests::*, *};
    use crate::sfu::codec::Codec;

    fn job(to: VideoCodec) -> (BridgeJob, Desk, Instant) {
        let (now, mut desk) = (Instant::now(), Desk::default());
        let mut job = BridgeJob::new(now, to, "~b".parse().unwrap(), MAX_HEIGHT);
        assert_eq!(job.tick(now, Duration::ZERO, &mut desk), Progress::On);
        let published = desk.take();
        let [Asked::Publish(Published { mid, .. })] = published.as_slice() else { panic!("{published:?}") };
        job.told(now, Told::Watched(*mid, true), &mut desk);
        (job, desk, now)
    }

    fn packet(codec: VideoCodec, seq: u64, timestamp: u32, marker: bool, payload: Vec<u8>) -> Told {
        Told::Packet(ForResident {
            mid: Mid::parse("n1").unwrap(),
            codec: codec.codec(),
            seq,
            timestamp,
            marker,
            quarter_turns: None,
            payload: payload.into(),
        })
    }

    fn bridged(from: VideoCodec, to: VideoCodec) {
        let (mut job, mut desk, now) = job(to);
        let mut encoder = Encoder::new(from, 800, 25);
        let mut assembler = Assembler::new(to);
        let mut decoder = Decoder::new(to).unwrap();
        let (mut seq, mut shown, mut keyframes) = (0, 0, Vec::new());
        for n in 0..40u32 {
            let picture = pattern(320, 180, n);
            if n == 20 {
                job.told(now, Told::KeyframeWanted(Mid::parse("bridge").unwrap()), &mut desk);
            }
            let Some(frame) = encoder.encode(&picture, n * 3_600, false).unwrap() else { continue };
            for sent in packets::packetise(from, &frame.data, n as u16) {
                job.told(now, packet(from, seq, frame.timestamp, sent.marker, sent.payload), &mut desk);
                seq += 1;
            }
            for asked in desk.take() {
                let Asked::Packet(FromResident { seq, timestamp, marker, payload, format, .. }) = asked else {
                    continue;
                };
                assert_eq!((format.codec, timestamp), (to.codec(), n * 3_600));
                for frame in assembler.push(now, seq, timestamp, marker, payload) {
                    keyframes.extend(frame.keyframe.then_some(n));
                    let decoded = decoder.decode(&frame).unwrap().unwrap();
                    assert!(psnr(&picture, &decoded) > 27.0, "{n}: {}", psnr(&picture, &decoded));
                    shown += 1;
                }
            }
        }
        assert!(shown > 30, "{shown}");
        assert_eq!(keyframes, [0, 20], "one at the beginning, and one when it is wanted");
    }

    #[test]
    fn h264_becomes_vp8() {
        bridged(VideoCodec::H264, VideoCodec::Vp8);
    }

    #[test]
    fn vp8_becomes_h264() {
        bridged(VideoCodec::Vp8, VideoCodec::H264);
    }

    #[test]
    fn tall_pictures_are_made_smaller() {
        let size = |width, height| {
            let small = bounded(Picture::black(width, height).unwrap(), 360);
            (small.width(), small.height())
        };
        assert_eq!(size(1_280, 720), (640, 360));
        assert_eq!(size(720, 1_280), (360, 640));
        assert_eq!(size(640, 360), (640, 360));
        assert_eq!(size(1_000, 400), (900, 360));
    }

    #[test]
    fn it_ends_when_it_is_of_no_use() {
        let (mut unused, mut desk, now) = job(VideoCodec::Vp8);
        unused.told(now, Told::Watched(Mid::parse("bridge").unwrap(), false), &mut desk);
        assert_eq!(unused.tick(now + UNUSED, Duration::ZERO, &mut desk), Progress::Done);
        let (mut same, mut desk, now) = job(VideoCodec::Vp8);
        same.told(now, packet(VideoCodec::Vp8, 1, 0, true, vec![0x10, 0]), &mut desk);
        assert_eq!(same.tick(now, Duration::ZERO, &mut desk), Progress::Done);
        assert_eq!(VideoCodec::of(Codec::Av1), None);
    }
}
