use super::{super::storage::Sink, super::webm, *};
use crate::{
    processing::video::{VideoCodec, encoder::Encoder, packets, picture::tests::pattern},
    sfu::codec::Codec,
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io::{Seek, SeekFrom, Write},
    sync::Arc,
};

pub(crate) type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A disk with so much room.
struct Disk {
    files: Files,
    room: Arc<Mutex<usize>>,
}

struct OnDisk {
    name: String,
    at: usize,
    files: Files,
    room: Arc<Mutex<usize>>,
}

impl Write for OnDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.room.lock();
        if *room < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *room -= bytes.len();
        let mut files = self.files.lock();
        let file = files.get_mut(&self.name).unwrap();
        file.resize(file.len().max(self.at + bytes.len()), 0);
        file[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for OnDisk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at as usize,
            SeekFrom::End(offset) => self.files.lock()[&self.name].len().saturating_add_signed(offset as isize),
            SeekFrom::Current(offset) => self.at.saturating_add_signed(offset as isize),
        };
        Ok(self.at as u64)
    }
}

impl Storage for Disk {
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Sink>> {
        assert!(self.files.lock().insert(name.to_owned(), Vec::new()).is_none(), "{name} is there already");
        let (files, room) = (self.files.clone(), self.room.clone());
        Ok(Box::new(OnDisk { name: name.to_owned(), at: 0, files, room }))
    }

    fn replace(&mut self, name: &str, contents: &[u8]) -> io::Result<()> {
        self.files.lock().insert(name.to_owned(), contents.to_vec());
        Ok(())
    }
}

const LIMITS: RecordingLimits = RecordingLimits { duration: Duration::from_secs(60), bytes: 10_000_000 };

/// A disk with so much room, and what is on it.
pub(crate) fn disk(room: usize) -> (impl Storage + 'static, Files) {
    let files = Files::default();
    (Disk { files: files.clone(), room: Arc::new(Mutex::new(room)) }, files)
}

fn recording(room: usize, limits: RecordingLimits, now: Instant) -> (RoomRecording, Files) {
    let (disk, files) = disk(room);
    (RoomRecording::new("rec", "room", Box::new(disk), limits, now, 1_000).unwrap(), files)
}

fn named(track: &str) -> Named {
    Named { participant: "ann".into(), track: track.into(), source: "camera".into() }
}

fn mid(name: &str) -> Mid {
    Mid::parse(name).unwrap()
}

/// Packets of a pattern at 25 frames a second.
fn video(codec: VideoCodec, frames: u32, first_seq: u64) -> Vec<(u64, Taken)> {
    let mut encoder = Encoder::new(codec, 500, 25);
    let mut seq = first_seq;
    let mut out = Vec::new();
    for n in 0..frames {
        let Some(frame) = encoder.encode(&pattern(160, 96, n), n * 3_600, n == 0).unwrap() else { continue };
        for packet in packets::packetise(codec, &frame.data, n as u16) {
            let (timestamp, marker, payload) = (frame.timestamp, packet.marker, packet.payload.into());
            out.push((u64::from(n) * 40, Taken { codec: codec.codec(), seq, timestamp, marker, payload }));
            seq += 1;
        }
    }
    out
}

fn opus(n: u32) -> Taken {
    let payload = Arc::from([0xF8, n as u8, 3, 4]);
    Taken { codec: Codec::Opus, seq: n.into(), timestamp: n * 960, marker: false, payload }
}

#[test]
fn each_track_gets_a_file_that_plays() {
    let start = Instant::now();
    let (mut recording, files) = recording(usize::MAX, LIMITS, start);
    recording.line(mid("a"), named("mic"));
    recording.line(mid("v"), named("cam"));
    let sent = video(VideoCodec::Vp8, 50, 7);
    for (ms, packet) in sent {
        recording.packet(start + Duration::from_millis(ms), &mid("v"), packet);
    }
    // One is lost, and 3 comes late.
    for n in [0u32, 1, 2, 4, 3, 6, 7, 8, 30, 31] {
        recording.packet(start + Duration::from_millis(500 + 20 * u64::from(n)), &mid("a"), opus(n));
    }
    recording.gone(&mid("a"));
    recording.end(EndReason::Requested);
    let manifest = recording.manifest();
    assert_eq!(manifest.ended.as_deref(), Some("requested"));
    let listed: Vec<_> = manifest.files.iter().map(|file| (file.track.as_str(), file.codecs[0].as_str())).collect();
    assert_eq!(listed, [("cam", "VP8"), ("mic", "opus")]);
    assert_eq!((manifest.files[0].offset_ms, manifest.files[1].offset_ms), (0, 500));
    let files = files.lock();
    let pictures = webm::tests::frames(&files[&manifest.files[0].name]);
    assert!(pictures.len() >= 48 && pictures[0].2 && !pictures[1].2);
    assert!(pictures.windows(2).all(|pair| pair[0].1 < pair[1].1));
    let sounds: Vec<_> = webm::tests::frames(&files[&manifest.files[1].name]).iter().map(|f| (f.1, f.3[1])).collect();
    let expected: Vec<_> = [0u8, 1, 2, 3, 4, 6, 7, 8].map(|n| (i64::from(n) * 20, n)).into();
    assert_eq!(sounds, [&expected[..], &[(600, 30), (620, 31)]].concat()[..sounds.len()]);
    assert!(sounds.len() >= 5);
    let told: serde_json::Value = serde_json::from_slice(&files[manifest::NAME]).unwrap();
    assert_eq!(told["files"][0]["bytes"].as_u64().unwrap() as usize, files[&manifest.files[0].name].len());
}

#[test]
fn a_track_that_changes_its_codec_goes_on_in_another_file() {
    let start = Instant::now();
    let (mut recording, files) = recording(usize::MAX, LIMITS, start);
    recording.line(mid("v"), named("cam"));
    let first = video(VideoCodec::Vp8, 20, 0);
    let second = video(VideoCodec::H264, 20, first.len() as u64);
    for (ms, packet) in first.into_iter().chain(second) {
        recording.packet(start + Duration::from_millis(ms), &mid("v"), packet);
    }
    recording.end(EndReason::RoomOver);
    let names: Vec<_> = recording.manifest().files.iter().map(|file| file.name.clone()).collect();
    assert_eq!(names, ["001-1.webm", "001-2.mkv"]);
    for name in names {
        assert!(webm::tests::frames(&files.lock()[&name]).len() >= 18);
    }
}

#[test]
fn a_full_disk_ends_it_and_what_is_there_plays() {
    let start = Instant::now();
    let (mut recording, files) = recording(20_000, LIMITS, start);
    recording.line(mid("v"), named("cam"));
    for (ms, packet) in video(VideoCodec::Vp8, 400, 0) {
        let now = start + Duration::from_millis(ms);
        recording.packet(now, &mid("v"), packet);
        recording.tick(now);
    }
    let reason = recording.ended().cloned().unwrap();
    assert!(matches!(&reason, EndReason::Storage(_)), "{reason}");
    assert!(recording.manifest().ended.as_deref().unwrap().starts_with("storage: "));
    assert!(!webm::tests::frames(&files.lock()["001-1.webm"]).is_empty());
}

#[test]
fn limits_end_it() {
    let start = Instant::now();
    let (mut long, _) = recording(usize::MAX, LIMITS, start);
    long.tick(start + Duration::from_secs(59));
    assert_eq!(long.ended(), None);
    long.tick(start + Duration::from_secs(60));
    assert_eq!(long.ended(), Some(&EndReason::Duration));
    let (mut large, files) = recording(usize::MAX, RecordingLimits { bytes: 30_000, ..LIMITS }, start);
    large.line(mid("v"), named("cam"));
    for (_, packet) in video(VideoCodec::Vp8, 300, 0) {
        large.packet(start, &mid("v"), packet);
        large.tick(start);
    }
    assert_eq!(large.ended(), Some(&EndReason::Bytes));
    let size = files.lock()["001-1.webm"].len();
    assert!((20_000..45_000).contains(&size), "{size}");
}
