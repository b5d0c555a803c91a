use super::*;
use crate::{
    processing::{
        audio::opus::tests::{correlation, tone},
        budget::{Budget, Thread},
        recording::{room::tests::disk, webm},
        video::{EncodedFrame, decoder::Decoder, packets, picture::tests::pattern},
    },
    sfu::{
        codec::Codec,
        resident::{ForResident, Offered},
    },
};
use parking_lot::Mutex;
use std::sync::Arc;

const LIMITS: RecordingLimits = RecordingLimits { duration: Duration::from_secs(60), bytes: 50_000_000 };

/// What a recording has that may show so many pictures.
fn reserved(pictures: usize) -> Reservation {
    let left = cost::composite(pictures).0 - cost::composite(0).0;
    Budget::new(Millicores(left)).reserve(&Thread::default(), Millicores(0)).unwrap()
}

fn line(mid: &str, kind: Kind) -> Told {
    let offered =
        Offered { track: mid.parse().unwrap(), participant: "p".parse().unwrap(), kind, source: "camera".into() };
    Told::Line(Mid::parse(mid).unwrap(), offered)
}

fn packet(mid: &str, codec: Codec, seq: u64, timestamp: u32, marker: bool, payload: Vec<u8>) -> Told {
    let (mid, payload) = (Mid::parse(mid).unwrap(), payload.into());
    Told::Packet(ForResident { mid, codec, seq, timestamp, marker, quarter_turns: None, payload })
}

#[test]
fn voices_and_pictures_of_a_room_are_in_one_file() {
    let (storage, files) = disk(usize::MAX);
    let ended: Arc<Mutex<Option<(EndReason, Manifest)>>> = Arc::default();
    let told = ended.clone();
    let report = Box::new(move |reason, manifest| *told.lock() = Some((reason, manifest)));
    let mut job = CompositeJob::new("rec", "room", Box::new(storage), LIMITS, 5, &reserved(2), report).unwrap();
    let (start, mut desk) = (Instant::now(), Desk::default());
    for (mid, kind) in [("a", Kind::Audio), ("b", Kind::Audio), ("v", Kind::Video), ("h", Kind::Video)] {
        job.told(start, line(mid, kind), &mut desk);
    }
    let mut voices = [("a", opus::Encoder::new().unwrap(), 400.0), ("b", opus::Encoder::new().unwrap(), 900.0)];
    let mut cameras = [("v", VideoCodec::Vp8), ("h", VideoCodec::H264)]
        .map(|(mid, codec)| (mid, Encoder::new(codec, 800, 25), codec, 0));
    for turn in 0..100u32 {
        let now = start + TICK * turn;
        for (mid, encoder, hertz) in &mut voices {
            let payload = encoder.encode(&tone(*hertz, turn as usize)).unwrap();
            job.told(now, packet(mid, Codec::Opus, turn.into(), turn * 960, false, payload), &mut desk);
        }
        for (mid, encoder, codec, seq) in cameras.iter_mut().filter(|_| turn % 2 == 0) {
            let Some(frame) = encoder.encode(&pattern(320, 180, 9), turn * 1_800, turn == 0).unwrap() else { continue };
            for sent in packets::packetise(*codec, &frame.data, turn as u16) {
                let told = packet(mid, codec.codec(), *seq, frame.timestamp, sent.marker, sent.payload);
                job.told(now, told, &mut desk);
                *seq += 1;
            }
        }
        assert_eq!(job.tick(now, Duration::ZERO, &mut desk), Progress::On);
    }
    job.end(Ending::Requested);
    let (reason, manifest) = ended.lock().take().unwrap();
    assert_eq!((reason, manifest.files.len()), (EndReason::Requested, 1));
    assert_eq!(manifest.files[0].duration_ms, 1_980);
    let file = files.lock()["composite.webm"].clone();
    assert_eq!(file.len() as u64, manifest.files[0].bytes);
    let frames = webm::tests::frames(&file);
    let (sound, pictures): (Vec<_>, Vec<_>) = frames.into_iter().partition(|frame| frame.0 == SOUND);
    assert!(sound.len() == 100 && pictures.len() >= 22, "{} {}", sound.len(), pictures.len());

    let mut decoder = opus::Decoder::new().unwrap();
    let heard: Vec<i16> = sound.iter().flat_map(|frame| decoder.decode(&frame.3).unwrap().to_vec()).collect();
    let settled = &heard[heard.len() / 2..];
    assert!(correlation(settled, 400.0) > 0.6 && correlation(settled, 900.0) > 0.6);

    let mut decoder = Decoder::new(VideoCodec::Vp8).unwrap();
    let mut last = None;
    for (_, _, keyframe, data) in pictures {
        last = decoder.decode(&EncodedFrame { data, timestamp: 0, keyframe }).unwrap();
    }
    let shown = last.unwrap();
    assert_eq!((shown.width(), shown.height()), (WIDTH, HEIGHT));
    // Both cameras show the same, one beside the other.
    let expected = pattern(320, 180, 9).scaled(640, 360).unwrap();
    let luma = shown.planes()[0];
    for left in [0usize, 640] {
        let error: f64 = expected.planes()[0]
            .chunks(640)
            .enumerate()
            .flat_map(|(row, line)| {
                let shown = &luma[(row + 180) * WIDTH as usize + left..][..640];
                line.iter().zip(shown).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
            })
            .sum();
        let psnr = 10.0 * (255.0f64.powi(2) / (error / (640.0 * 360.0))).log10();
        assert!(psnr > 28.0, "at {left}: {psnr} dB");
    }
}

#[test]
fn a_late_worker_leaves_pictures_out_and_goes_on_with_the_sound() {
    let (storage, files) = disk(usize::MAX);
    let mut job =
        CompositeJob::new("rec", "room", Box::new(storage), LIMITS, 5, &reserved(0), Box::new(|_, _| {})).unwrap();
    let (start, mut desk) = (Instant::now(), Desk::default());
    for turn in 0..20 {
        job.tick(start + TICK * turn, Duration::from_millis(100), &mut desk);
    }
    job.end(Ending::RoomOver);
    let frames = webm::tests::frames(&files.lock()["composite.webm"]);
    assert_eq!(frames.iter().filter(|frame| frame.0 == SOUND).count(), 20);
    assert_eq!(frames.len(), 21, "the first picture only");
}

#[test]
fn as_many_pictures_are_shown_as_the_budget_allows_and_they_are_asked_for_as_tall_as_their_places() {
    let (storage, _) = disk(usize::MAX);
    let budget = Budget::new(Millicores(cost::composite(9).0 - cost::composite(0).0));
    let reserved = budget.reserve(&Thread::default(), Millicores(0)).unwrap();
    let mut job =
        CompositeJob::new("rec", "room", Box::new(storage), LIMITS, 5, &reserved, Box::new(|_, _| {})).unwrap();
    let (start, mut desk) = (Instant::now(), Desk::default());
    let mut heights = BTreeMap::new();
    let mut settle = |job: &CompositeJob, desk: &mut Desk| {
        for asked in desk.take() {
            if let Asked::Height(mid, height) = asked {
                heights.insert(mid, height);
            }
        }
        let cost = cost::composite(job.shown).0 - cost::composite(0).0;
        assert_eq!(budget.used(), Millicores(cost), "{} pictures", job.shown);
        (job.shown, heights.values().copied().collect::<std::collections::BTreeSet<_>>())
    };
    let mut shown = Vec::new();
    for n in 0..12 {
        job.told(start, line(&format!("v{n}"), Kind::Video), &mut desk);
        shown.push(settle(&job, &mut desk).0);
    }
    assert_eq!(shown[..5], [1, 2, 3, 4, 5]);
    assert_eq!(shown[8..], [9; 4], "no more than there is budget for");
    assert_eq!(settle(&job, &mut desk).1.into_iter().collect::<Vec<_>>(), [240]);
    for n in 0..10 {
        job.told(start, Told::Gone(Mid::parse(&format!("v{n}")).unwrap()), &mut desk);
        settle(&job, &mut desk);
    }
    assert_eq!(job.shown, 2);
    // Room for others is looked for now and then.
    let other = budget.reserve(&Thread::default(), Millicores(budget.total().0 - budget.used().0)).unwrap();
    job.told(start, line("w", Kind::Video), &mut desk);
    assert_eq!(job.shown, 2);
    drop(other);
    job.tick(start + RETRY, Duration::ZERO, &mut desk);
    assert_eq!(job.shown, 3);
}
