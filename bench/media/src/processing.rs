//! What processing costs: each kind of job runs on material of its own for a while, without a network and as fast as it can, and the CPU time that
//! its thread took is set against the time that the material lasts.

mod scene;

use anyhow::{Context, Result};
use chroom_media_node::{
    processing::{
        audio::{CHANNELS, FRAME, opus},
        bridge::{self, BridgeJob},
        budget::{Budget, Millicores, Reservation, Thread},
        cost,
        job::{Desk, Ending, Job, TICK},
        mix::MixJob,
        recording::{
            composite::{self, CompositeJob},
            job::RecordingJob,
            room::{RecordingLimits, RoomRecording},
            storage::Folder,
        },
        thumbnail::ThumbnailJob,
        video::{VideoCodec, encoder::Encoder, packets},
    },
    sfu::{
        codec::Codec,
        id::Mid,
        packet::Kind,
        resident::{Asked, ForResident, Offered, Told},
    },
};
use rustix::time::{ClockId, clock_gettime};
use scene::Scene;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

/// Pictures a second.
const RATE: u32 = 25;
/// Turns from one picture to the next.
const TURNS: u32 = 2;

/// A row of the result.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// What was done.
    pub job: String,
    /// Thousandths of a core that it took.
    pub millicores: f64,
    /// Thousandths that a node reserves for it.
    pub reserved: u32,
}

/// Measures all, with material of so many seconds.
pub fn measure(seconds: u32, mut told: impl FnMut(&Cost)) -> Result<Vec<Cost>> {
    let mut rows = Vec::new();
    let turns = seconds * 50;
    let mut row = |job: String, millicores: f64, reserved: u32| {
        let row = Cost { job, millicores, reserved };
        told(&row);
        rows.push(row);
    };
    for own in [0, 1, 10] {
        let job = if own == 0 {
            "mix of 10 voices, for listeners".to_owned()
        } else {
            format!("mix of 10 voices, for listeners and {own} of those who speak")
        };
        row(job, mix(own, turns)?, cost::mix(own as usize).0);
    }
    let folder = tempfile::tempdir()?;
    let tall = Video::new(VideoCodec::Vp8, 720, seconds)?;
    let recorded = recording(&folder, &tall, turns)?;
    row("recording of the tracks of 10, 720 lines each".to_owned(), recorded, cost::RECORDING.0);
    for count in [1, 4, 9, 16] {
        let height = composite::track_height(count);
        let videos = [Video::new(VideoCodec::Vp8, height, seconds)?, Video::new(VideoCodec::H264, height, seconds)?];
        let composed = compose(&folder, &videos, count, turns)?;
        row(format!("composed recording, {count} of {height} lines"), composed, cost::composite(count).0);
    }
    for (from, to) in [(VideoCodec::H264, VideoCodec::Vp8), (VideoCodec::Vp8, VideoCodec::H264)] {
        for height in [180, 360, 720] {
            let taken = bridged(&Video::new(from, height, seconds)?, to, turns)?;
            row(format!("bridge from {from:?} to {to:?}, {height} lines"), taken, cost::bridge(to, height).0);
        }
    }
    for codec in [VideoCodec::Vp8, VideoCodec::H264] {
        let taken = thumbnails(&Video::new(codec, 720, 1)?)?;
        row(format!("a thumbnail a second, of {codec:?} with 720 lines"), taken, cost::THUMBNAIL.0);
    }
    Ok(rows)
}

/// As a table.
pub fn table(rows: &[Cost]) -> String {
    let mut table = "| Job | Thousandths of a core | Reserved |\n|---|---|---|\n".to_owned();
    for Cost { job, millicores, reserved } in rows {
        let _ = writeln!(table, "| {job} | {millicores:.0} | {reserved} |");
    }
    table
}

/// CPU time of this thread so far.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A packet: timestamp, marker, payload.
type Packet = (u32, bool, Arc<[u8]>);

/// A video, packetised: for each picture its packets.
struct Video {
    codec: VideoCodec,
    pictures: Vec<Vec<Packet>>,
}

impl Video {
    fn new(codec: VideoCodec, height: u32, seconds: u32) -> Result<Self> {
        let kbps = match height {
            0..=180 => 200,
            181..=360 => 600,
            361..=720 => 1_700,
            _ => 3_000,
        };
        let mut encoder = Encoder::new(codec, kbps, RATE);
        let mut scene = Scene::new(height * 16 / 9, height);
        let mut pictures = Vec::new();
        for n in 0..seconds * RATE {
            let frame = encoder.encode(&scene.picture()?, n * 3_600, n == 0)?;
            let packets = frame.map(|frame| packets::packetise(codec, &frame.data, n as u16)).unwrap_or_default();
            pictures
                .push(packets.into_iter().map(|packet| (n * 3_600, packet.marker, packet.payload.into())).collect());
        }
        Ok(Self { codec, pictures })
    }
}

/// A job with its material, which all of it is there before the clock runs.
struct Bench {
    job: Box<dyn Job>,
    desk: Desk,
    start: Instant,
    turns: Vec<Vec<Told>>,
    numbers: BTreeMap<Mid, u64>,
}

fn mid(name: &str) -> Result<Mid> {
    Mid::parse(name).context("a line's name")
}

impl Bench {
    fn new(job: Box<dyn Job>, turns: u32) -> Self {
        let turns = (0..turns).map(|_| Vec::new()).collect();
        Self { job, desk: Desk::default(), start: Instant::now(), turns, numbers: Default::default() }
    }

    fn line(&mut self, name: &str, kind: Kind) -> Result<Mid> {
        let source = if kind == Kind::Audio { "microphone" } else { "camera" };
        let offered = Offered { track: name.parse()?, participant: name.parse()?, kind, source: source.to_owned() };
        let mid = mid(name)?;
        self.job.told(self.start, Told::Line(mid, offered), &mut self.desk);
        Ok(mid)
    }

    fn packet(&mut self, turn: usize, mid: Mid, codec: Codec, packet: Packet) {
        let seq = self.numbers.entry(mid).or_default();
        *seq += 1;
        let (timestamp, marker, payload) = packet;
        let packet = ForResident { mid, codec, seq: *seq, timestamp, marker, quarter_turns: None, payload };
        if let Some(turn) = self.turns.get_mut(turn) {
            turn.push(Told::Packet(packet));
        }
    }

    /// Someone speaks all the time.
    fn voice(&mut self, name: &str, hertz: f64) -> Result<()> {
        let mid = self.line(name, Kind::Audio)?;
        let mut encoder = opus::Encoder::new()?;
        for turn in 0..self.turns.len() {
            let payload = encoder.encode(&scene::voice(hertz, turn * FRAME, FRAME, CHANNELS))?.into();
            self.packet(turn, mid, Codec::Opus, (turn as u32 * FRAME as u32, false, payload));
        }
        Ok(())
    }

    fn video(&mut self, name: &str, video: &Video) -> Result<()> {
        let mid = self.line(name, Kind::Video)?;
        for (n, picture) in (0..).step_by(TURNS as usize).zip(&video.pictures) {
            for packet in picture {
                self.packet(n, mid, video.codec.codec(), packet.clone());
            }
        }
        Ok(())
    }

    /// Runs it all; thousandths of a core.
    fn run(mut self) -> f64 {
        let (count, turns) = (self.turns.len().max(1), std::mem::take(&mut self.turns));
        let began = thread_time();
        for (turn, told) in (0..).zip(turns) {
            let now = self.start + TICK * turn;
            told.into_iter().for_each(|told| self.job.told(now, told, &mut self.desk));
            self.job.tick(now, Duration::ZERO, &mut self.desk);
            self.desk.take();
        }
        self.job.end(Ending::Requested);
        let taken = thread_time().saturating_sub(began);
        taken.as_secs_f64() / (TICK.as_secs_f64() * count as f64) * 1_000.0
    }
}

fn unlimited() -> Result<Reservation> {
    Ok(Budget::new(Millicores(u32::MAX)).reserve(&Thread::default(), Millicores(0))?)
}

fn mix(own: u32, turns: u32) -> Result<f64> {
    let mut bench = Bench::new(Box::new(MixJob::new(Instant::now(), &unlimited()?)?), turns);
    for n in 0..10 {
        bench.voice(&format!("v{n}"), 110.0 + 23.0 * f64::from(n))?;
    }
    let published: Vec<Mid> = bench
        .desk
        .take()
        .into_iter()
        .filter_map(|asked| match asked {
            Asked::Publish(published) => Some(published.mid),
            _ => None,
        })
        .collect();
    let watched = published.into_iter().take(own as usize).chain([mid("mix")?]);
    for line in watched {
        bench.job.told(bench.start, Told::Watched(line, true), &mut bench.desk);
    }
    Ok(bench.run())
}

const LIMITS: RecordingLimits = RecordingLimits { duration: Duration::MAX, bytes: u64::MAX };

fn recording(folder: &tempfile::TempDir, video: &Video, turns: u32) -> Result<f64> {
    let storage = Box::new(Folder::create(folder.path(), "tracks")?);
    let recording = RoomRecording::new("tracks", "room", storage, LIMITS, Instant::now(), 0)?;
    let mut bench = Bench::new(Box::new(RecordingJob::new(recording, Box::new(|_, _| {}))), turns);
    for n in 0..10 {
        bench.voice(&format!("v{n}"), 110.0 + 23.0 * f64::from(n))?;
        bench.video(&format!("c{n}"), video)?;
    }
    Ok(bench.run())
}

fn compose(folder: &tempfile::TempDir, videos: &[Video; 2], count: usize, turns: u32) -> Result<f64> {
    let storage = Box::new(Folder::create(folder.path(), &format!("composite-{count}"))?);
    let job = CompositeJob::new("composite", "room", storage, LIMITS, 0, &unlimited()?, Box::new(|_, _| {}))?;
    let mut bench = Bench::new(Box::new(job), turns);
    for n in 0..count.min(10) {
        bench.voice(&format!("v{n}"), 110.0 + 23.0 * n as f64)?;
    }
    for (n, video) in (0..count).zip(videos.iter().cycle()) {
        bench.video(&format!("c{n}"), video)?;
    }
    Ok(bench.run())
}

fn bridged(video: &Video, to: VideoCodec, turns: u32) -> Result<f64> {
    let mut bench =
        Bench::new(Box::new(BridgeJob::new(Instant::now(), to, "~bridge".parse()?, bridge::MAX_HEIGHT)), turns);
    bench.job.told(bench.start, Told::Watched(mid("bridge")?, true), &mut bench.desk);
    bench.video("c", video)?;
    Ok(bench.run())
}

/// Twenty thumbnails, one after the other: what one a second takes.
fn thumbnails(video: &Video) -> Result<f64> {
    let mut sum = 0.0;
    for _ in 0..20 {
        let (made, seen) = std::sync::mpsc::channel();
        let report = Box::new(move |file| drop(made.send(file)));
        let mut bench = Bench::new(Box::new(ThumbnailJob::new(Instant::now(), 360, report)), 50);
        bench.video("c", video)?;
        sum += bench.run();
        seen.try_recv().context("no thumbnail")?;
    }
    Ok(sum / 20.0)
}
