//! What ffmpeg, which shares no code with this node, makes of recorded files: each is read, decoded to its end and compared.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "files/judge.rs"]
mod judge;
#[path = "files/streams.rs"]
mod streams;

use chroom_media_node::{
    processing::{
        audio::{CHANNELS, FRAME, opus},
        budget::{Budget, Millicores, Thread},
        cost,
        job::{Desk, Ending, Job, TICK},
        recording::{
            composite::CompositeJob,
            manifest::FileEntry,
            room::{EndReason, Named, RecordingLimits, RoomRecording},
            storage::Folder,
            track::Taken,
        },
        video::VideoCodec,
    },
    sfu::{
        codec::Codec,
        id::Mid,
        packet::Kind,
        resident::{ForResident, Offered, Told},
    },
};
use judge::{Stream, pictures, pictures_by_libvpx};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use streams::Packet;

const LIMITS: RecordingLimits = RecordingLimits { duration: Duration::from_secs(60), bytes: 50_000_000 };

/// Records packets as one track; those of `lost` never come.
fn recorded(folder: &Path, codec: Codec, packets: &[Packet], lost: &[usize]) -> (PathBuf, FileEntry) {
    let storage = Folder::create(folder, &format!("{codec:?}")).unwrap();
    let path = storage.path().to_owned();
    let mid = Mid::parse("1").unwrap();
    let mut now = Instant::now();
    let mut recording = RoomRecording::new("rec", "room", Box::new(storage), LIMITS, now, 0).unwrap();
    recording.line(mid, Named { participant: "ann".into(), track: "track".into(), source: "camera".into() });
    for (n, (timestamp, marker, payload)) in packets.iter().enumerate().filter(|(n, _)| !lost.contains(n)) {
        let payload = payload.as_slice().into();
        let packet = Taken { codec, seq: n as u64, timestamp: *timestamp, marker: *marker, payload };
        recording.packet(now, &mid, packet);
        if *marker {
            now += Duration::from_millis(40);
            recording.tick(now);
        }
    }
    // As a crash would leave it.
    let name = recording.manifest().files[0].name.clone();
    std::fs::copy(path.join(&name), path.join(&name).with_extension("crashed")).unwrap();
    recording.end(EndReason::Requested);
    let [file] = recording.manifest().files.as_slice() else { panic!("{:?}", recording.manifest()) };
    (path.join(&file.name), file.clone())
}

fn check(file: &(PathBuf, FileEntry), codec: &str, size: Option<(u64, u64)>, frames: usize) {
    assert_eq!(judge::streams(&file.0), [Stream { codec: codec.into(), size, frames }]);
    let seconds = judge::seconds(&file.0);
    assert!((seconds - file.1.duration_ms as f64 / 1_000.0).abs() < 0.05, "{seconds} {:?}", file.1);
    assert_eq!(std::fs::metadata(&file.0).unwrap().len(), file.1.bytes);
}

/// Encodes two seconds as a browser would, and once with what a live encoder doesn't make: pictures that aren't shown when they come.
fn real(codec: Codec, name: &str, live: &[&str], ahead: &[&str], packets: impl Fn(&[Vec<u8>]) -> Vec<Packet>) {
    let folder = tempfile::tempdir().unwrap();
    for (kind, encoder) in [("live", live), ("ahead", ahead)] {
        let source = folder.path().join(format!("{kind}.ivf"));
        let frames = streams::encoded(&source, "320x180", 50, encoder);
        assert_eq!(frames.len(), 50);
        let sent = packets(&frames);
        assert!(sent.len() > 60, "some are in several packets: {}", sent.len());
        let file = recorded(&folder.path().join(kind), codec, &sent, &[]);
        assert_eq!(file.1.duration_ms, 1_960);
        check(&file, name, Some((320, 180)), 50);
        assert_eq!(pictures(&file.0), pictures(&source), "the same pictures as came out of the encoder");
    }
    // A packet of picture 10 is lost: nothing until the key frame, picture 25.
    let frames = streams::encoded(&folder.path().join("lost.ivf"), "320x180", 50, live);
    let sent = packets(&frames);
    let lost = sent.iter().position(|packet| packet.0 == sent[0].0.wrapping_add(10 * 3_600)).unwrap();
    let file = recorded(&folder.path().join("lost"), codec, &sent, &[lost]);
    check(&file, name, Some((320, 180)), 35);
    // After a crash, the cluster that was written, without length and index: all before the second key frame.
    let (whole, _) = recorded(&folder.path().join("crashed"), codec, &sent, &[]);
    assert_eq!(
        judge::streams(&whole.with_extension("crashed")),
        [Stream { codec: name.into(), size: Some((320, 180)), frames: 25 }]
    );
}

#[test]
fn vp9() {
    let common = ["-c:v", "libvpx-vp9", "-b:v", "500k", "-g", "25", "-cpu-used", "8"];
    let live = [&common[..], &["-deadline", "realtime", "-lag-in-frames", "0"]].concat();
    let ahead = [&common[..], &["-deadline", "good", "-lag-in-frames", "12", "-auto-alt-ref", "1"]].concat();
    real(Codec::Vp9, "vp9", &live, &ahead, |frames| streams::vp9(frames, (320, 180)));
}

#[test]
fn vp9_layers_are_one_picture_of_the_largest_size() {
    let folder = tempfile::tempdir().unwrap();
    // Each picture has all layers; and as it is passed on where upper layers need lower ones in key pictures only.
    let streams: [&[u8]; 2] = [include_bytes!("files/layers-each.bin"), include_bytes!("files/layers-key.bin")];
    for (n, stream) in streams.into_iter().enumerate() {
        let file = recorded(&folder.path().join(n.to_string()), Codec::Vp9, &streams::layered(stream), &[]);
        // The encoder names references that are too large to be used, and doesn't use them: ffmpeg warns of that.
        let expected = Stream { codec: "vp9".into(), size: Some((320, 180)), frames: 20 };
        assert_eq!(judge::streams_but(&file.0, "error"), [expected]);
        assert_eq!(pictures(&file.0), pictures_by_libvpx(&file.0));
    }
}

#[test]
fn av1() {
    let common = ["-c:v", "libaom-av1", "-b:v", "500k", "-g", "25", "-cpu-used", "8"];
    let live = [&common[..], &["-usage", "realtime", "-lag-in-frames", "0"]].concat();
    let ahead = [&common[..], &["-usage", "good", "-lag-in-frames", "12"]].concat();
    real(Codec::Av1, "av1", &live, &ahead, streams::av1);
}

#[test]
fn vp8_whose_size_changes() {
    let folder = tempfile::tempdir().unwrap();
    let sent = streams::moving(VideoCodec::Vp8, 50, |n| if n < 25 { (320, 180) } else { (160, 90) });
    let frames = sent.iter().filter(|packet| packet.1).count();
    check(&recorded(folder.path(), Codec::Vp8, &sent, &[]), "vp8", Some((320, 180)), frames);
}

#[test]
fn h264_whose_size_changes_and_changes_back() {
    let folder = tempfile::tempdir().unwrap();
    let sent = streams::moving(VideoCodec::H264, 60, |n| if n / 20 == 1 { (160, 90) } else { (320, 180) });
    let frames = sent.iter().filter(|packet| packet.1).count();
    check(&recorded(folder.path(), Codec::H264, &sent, &[]), "h264", Some((320, 180)), frames);
}

fn tone(n: u32) -> Vec<u8> {
    thread_local!(static ENCODER: std::cell::RefCell<opus::Encoder> = opus::Encoder::new().unwrap().into());
    let sample = |at: usize| (((n as usize * FRAME + at) as f64 * 0.05).sin() * 9_000.0) as i16;
    let samples: Vec<i16> = (0..FRAME).flat_map(|at| [sample(at); CHANNELS]).collect();
    ENCODER.with_borrow_mut(|encoder| encoder.encode(&samples).unwrap())
}

#[test]
fn opus_with_a_pause() {
    let folder = tempfile::tempdir().unwrap();
    let spoken = (0..100).filter(|n| !(40..60).contains(n));
    let sent: Vec<Packet> = spoken.map(|n| (n * 960, false, tone(n))).collect();
    let file = recorded(folder.path(), Codec::Opus, &sent, &[]);
    assert_eq!(file.1.duration_ms, 1_980);
    check(&file, "opus", None, 80);
}

#[test]
fn a_composed_recording() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Folder::create(folder.path(), "rec").unwrap();
    let reserved = Budget::new(cost::composite(2)).reserve(&Thread::default(), Millicores(0)).unwrap();
    let mut job =
        CompositeJob::new("rec", "room", Box::new(storage), LIMITS, 5, &reserved, Box::new(|_, _| {})).unwrap();
    let (start, mut desk) = (Instant::now(), Desk::default());
    for (mid, kind) in [("a", Kind::Audio), ("v", Kind::Video), ("h", Kind::Video)] {
        let (track, participant) = (mid.parse().unwrap(), "ann".parse().unwrap());
        let offered = Offered { track, participant, kind, source: "camera".into() };
        job.told(start, Told::Line(Mid::parse(mid).unwrap(), offered), &mut desk);
    }
    let cameras = [("v", VideoCodec::Vp8), ("h", VideoCodec::H264)]
        .map(|(mid, codec)| (mid, codec.codec(), streams::moving(codec, 100, |_| (320, 180))));
    let mut told = [0; 2];
    for turn in 0..200u32 {
        let now = start + TICK * turn;
        let mut give = |mid: &str, codec, seq, (timestamp, marker, payload): Packet| {
            let (mid, payload) = (Mid::parse(mid).unwrap(), payload.into());
            let packet = ForResident { mid, codec, seq, timestamp, marker, quarter_turns: None, payload };
            job.told(now, Told::Packet(packet), &mut desk);
        };
        give("a", Codec::Opus, turn.into(), (turn * 960, false, tone(turn)));
        for ((mid, codec, packets), told) in cameras.iter().zip(&mut told) {
            // A picture every other turn.
            let due = packets[0].0.wrapping_add(turn * 1_800);
            while let Some(packet) = packets.get(*told).filter(|packet| due.wrapping_sub(packet.0) < 1 << 31) {
                give(mid, *codec, *told as u64, packet.clone());
                *told += 1;
            }
        }
        job.tick(now, Duration::ZERO, &mut desk);
    }
    job.end(Ending::Requested);
    let path = folder.path().join("rec/composite.webm");
    let streams = judge::streams(&path);
    let [sound, shown] = streams.as_slice() else { panic!("{streams:?}") };
    assert_eq!((sound.codec.as_str(), sound.frames), ("opus", 200));
    assert_eq!((shown.codec.as_str(), shown.size), ("vp8", Some((1_280, 720))));
    let seconds = judge::seconds(&path);
    assert!((45..=50).contains(&shown.frames) && (3.9..4.1).contains(&seconds), "{shown:?} {seconds}");
}
