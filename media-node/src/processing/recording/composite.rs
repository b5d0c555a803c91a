//! A room in one file: all voices in one, all pictures in a grid. The grid's pictures are decoded, drawn and encoded again.

mod video;

use super::{
    format::TrackFormat,
    manifest::{self, FileEntry, Manifest},
    room::{EndReason, RecordingLimits},
    storage::{Sink, Storage},
    webm::WebmFile,
};
use crate::{
    processing::{
        audio::{limiter::Limiter, mixer::Sum, opus, source::VoiceSource},
        budget::{Millicores, Reservation},
        cost,
        job::{Desk, Ending, Job, Progress, TICK},
        recording::job::Report,
        video::{
            CLOCK, VideoCodec,
            encoder::Encoder,
            grid::{self, MAX_CELLS},
            picture::Picture,
        },
    },
    sfu::{
        id::Mid,
        packet::Kind,
        resident::{Asked, Told},
    },
};
use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};
use video::Video;

/// Width of the file's pictures.
pub const WIDTH: u32 = 1_280;
/// Height of the file's pictures.
pub const HEIGHT: u32 = 720;
/// Tallest picture that is asked of a publisher: half of the grid, which is what four get.
pub const TRACK_HEIGHT: u32 = 360;

/// How tall the pictures are that are asked for where there are so many: as tall as their places.
pub fn track_height(pictures: usize) -> u32 {
    grid::layout(pictures, WIDTH, HEIGHT).first().map_or(TRACK_HEIGHT, |cell| cell.height.min(TRACK_HEIGHT))
}
/// Turns of 20 ms from one picture to the next: 12.5 a second.
const TURNS: u64 = 4;
/// Bit rate of the pictures.
const KBPS: u32 = 1_500;
/// Longest time between key frames, so that the file can be sought.
const KEYFRAME_MS: u64 = 4_000;
/// A worker that is so late makes a picture a second until it has caught up; the sound goes on.
const TOO_LATE: Duration = Duration::from_millis(60);
/// How often it is tried to show pictures for which there was no budget.
const RETRY: Duration = Duration::from_secs(10);
/// Turns from one picture to the next when it is late.
const LATE_TURNS: u64 = 50;
/// Numbers of the file's tracks.
const SOUND: u64 = 1;
const PICTURES: u64 = 2;

/// The job.
pub struct CompositeJob {
    storage: Box<dyn Storage>,
    file: Option<WebmFile<Box<dyn Sink>>>,
    manifest: Manifest,
    limits: RecordingLimits,
    report: Option<Report>,
    voices: BTreeMap<Mid, VoiceSource>,
    /// By the order in which they came, which is that of their places.
    videos: BTreeMap<u64, (Mid, Video)>,
    came: u64,
    /// For the pictures; what an empty grid costs is reserved beside it.
    reserved: Reservation,
    /// What was asked of publishers last.
    height: u32,
    /// Pictures that are shown.
    shown: usize,
    /// When there was no budget for a picture more.
    left_out_at: Option<Instant>,
    limiter: Limiter,
    sound: Option<opus::Encoder>,
    pictures: Encoder,
    turn: u64,
    keyframe_at: Option<u64>,
    ended: Option<EndReason>,
}

impl CompositeJob {
    /// Begins the file.
    pub fn new(
        recording: &str,
        room: &str,
        mut storage: Box<dyn Storage>,
        limits: RecordingLimits,
        unix_ms: u64,
        reserved: &Reservation,
        report: Report,
    ) -> io::Result<Self> {
        let name = "composite.webm".to_owned();
        let size = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
        let formats = vec![TrackFormat::Opus, TrackFormat::Vp8 { width: size(WIDTH), height: size(HEIGHT) }];
        let file = WebmFile::new(storage.create(&name)?, formats)?;
        let manifest = Manifest {
            recording: recording.to_owned(),
            room: room.to_owned(),
            started_unix_ms: unix_ms,
            ended: None,
            files: vec![FileEntry {
                name,
                participant: String::new(),
                track: String::new(),
                source: String::new(),
                codecs: vec!["opus".to_owned(), "VP8".to_owned()],
                offset_ms: 0,
                duration_ms: 0,
                bytes: 0,
            }],
        };
        manifest::write(storage.as_mut(), &manifest)?;
        Ok(Self {
            storage,
            file: Some(file),
            manifest,
            limits,
            report: Some(report),
            voices: BTreeMap::new(),
            videos: BTreeMap::new(),
            came: 0,
            reserved: reserved.another(Millicores(0)).map_err(io::Error::other)?,
            height: TRACK_HEIGHT,
            shown: 0,
            left_out_at: None,
            limiter: Limiter::default(),
            sound: opus::Encoder::new().ok(),
            pictures: Encoder::new(VideoCodec::Vp8, KBPS, 13),
            turn: 0,
            keyframe_at: None,
            ended: None,
        })
    }

    /// Shows as many pictures as the budget has something left for, the first that came, and asks for such as fit their places.
    fn make_room(&mut self, now: Instant, desk: &mut Desk) {
        let empty = cost::composite(0).0;
        let wanted = self.videos.len().min(MAX_CELLS);
        let affordable = (0..=wanted).rev().find(|count| {
            let cost = Millicores(cost::composite(*count).0.saturating_sub(empty));
            self.reserved.resize(cost).is_ok()
        });
        self.shown = affordable.unwrap_or(0);
        if self.shown < wanted && self.left_out_at.is_none() {
            tracing::info!(
                recording = self.manifest.recording,
                shown = self.shown,
                wanted,
                "no budget for all pictures"
            );
        }
        self.left_out_at = (self.shown < wanted).then_some(now);
        let height = track_height(self.shown);
        if std::mem::replace(&mut self.height, height) != height {
            self.videos.values().for_each(|(mid, _)| desk.ask(Asked::Height(*mid, height)));
        }
    }

    /// Milliseconds since the beginning.
    fn at(&self) -> u64 {
        self.turn.saturating_mul(u64::try_from(TICK.as_millis()).unwrap_or(20))
    }

    fn write_sound(&mut self, now: Instant) -> io::Result<()> {
        let mut sum = Sum::default();
        for voice in self.voices.values_mut() {
            sum.add(&voice.frame(now));
        }
        let at = self.at();
        let frame = sum.all(&mut self.limiter);
        let Some(packet) = self.sound.as_mut().and_then(|encoder| encoder.encode(&frame).ok()) else { return Ok(()) };
        self.file.as_mut().map_or(Ok(()), |file| file.frame(SOUND, at, true, &packet))
    }

    fn write_picture(&mut self) -> io::Result<()> {
        let shown: Vec<Option<&Picture>> =
            self.videos.values().take(self.shown).map(|(_, video)| video.picture.as_ref()).collect();
        let Ok(canvas) = grid::compose(&shown, WIDTH, HEIGHT) else { return Ok(()) };
        let at = self.at();
        let keyframe = self.keyframe_at.is_none_or(|last| at.saturating_sub(last) >= KEYFRAME_MS);
        // The RTP clock's ticks, whose wrap-around the encoder follows.
        let timestamp = at.wrapping_mul(u64::from(CLOCK) / 1_000) as u32;
        match self.pictures.encode(&canvas, timestamp, keyframe) {
            Ok(Some(frame)) => {
                if frame.keyframe {
                    self.keyframe_at = Some(at);
                }
                self.file.as_mut().map_or(Ok(()), |file| file.frame(PICTURES, at, frame.keyframe, &frame.data))
            }
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "a picture of a recording can't be encoded");
                Ok(())
            }
        }
    }

    fn finish(&mut self, reason: EndReason) {
        if self.ended.is_some() {
            return;
        }
        let ended = self.file.take().map(|file| (file.end(), file.finish()));
        if let (Some((duration_ms, finished)), Some(entry)) = (ended, self.manifest.files.first_mut()) {
            match finished.and_then(|mut file| file.stream_position()) {
                Ok(bytes) => (entry.duration_ms, entry.bytes) = (duration_ms, bytes),
                Err(error) => tracing::warn!(%error, "a recording's file can't be ended as it should"),
            }
        }
        self.manifest.ended = Some(reason.to_string());
        if let Err(error) = manifest::write(self.storage.as_mut(), &self.manifest) {
            tracing::warn!(%error, "the list of files can't be written");
        }
        self.ended = Some(reason.clone());
        if let Some(report) = self.report.take() {
            report(reason, self.manifest.clone());
        }
    }
}

impl Job for CompositeJob {
    fn told(&mut self, now: Instant, told: Told, desk: &mut Desk) {
        match told {
            Told::Line(mid, offered) => match offered.kind {
                Kind::Audio => match VoiceSource::new() {
                    Ok(source) => drop(self.voices.insert(mid, source)),
                    Err(error) => tracing::warn!(%error, "a voice can't be recorded"),
                },
                Kind::Video => {
                    self.came += 1;
                    self.videos.insert(self.came, (mid, Video::new()));
                    self.left_out_at = None;
                    self.make_room(now, desk);
                    // As the others, whose height may not have changed.
                    if self.height != TRACK_HEIGHT {
                        desk.ask(Asked::Height(mid, self.height));
                    }
                }
            },
            Told::Gone(mid) => {
                self.voices.remove(&mid);
                self.videos.retain(|_, (line, _)| *line != mid);
                self.make_room(now, desk);
            }
            Told::Packet(packet) => {
                let (mid, shown) = (packet.mid, self.shown);
                if let Some(voice) = self.voices.get_mut(&mid) {
                    voice.push(now, packet.seq, packet.timestamp, packet.payload);
                } else if let Some((_, video)) = self.videos.values_mut().take(shown).find(|(line, _)| *line == mid)
                    && video.packet(now, packet)
                {
                    desk.ask(Asked::Keyframe(mid));
                }
            }
            Told::Watched(..) | Told::KeyframeWanted(_) => {}
        }
    }

    fn tick(&mut self, now: Instant, late: Duration, desk: &mut Desk) -> Progress {
        if self.ended.is_some() {
            return Progress::Done;
        }
        if self.left_out_at.is_some_and(|at| now.saturating_duration_since(at) >= RETRY) {
            self.make_room(now, desk);
        }
        let mut written = self.write_sound(now);
        let turns = if late < TOO_LATE { TURNS } else { LATE_TURNS };
        if self.turn.is_multiple_of(turns) {
            written = written.and_then(|()| self.write_picture());
        }
        self.turn += 1;
        let at = self.at();
        let bytes = self.file.as_ref().map_or(0, WebmFile::bytes);
        if let Err(error) = written {
            self.finish(EndReason::Storage(error.to_string()));
        } else if bytes >= self.limits.bytes {
            self.finish(EndReason::Bytes);
        } else if u128::from(at) >= self.limits.duration.as_millis() {
            self.finish(EndReason::Duration);
        }
        if self.ended.is_some() { Progress::Done } else { Progress::On }
    }

    fn end(&mut self, reason: Ending) {
        self.finish(reason.into());
    }
}

#[cfg(test)]
mod tests;
