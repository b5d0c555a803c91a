//! The recording of a room: a folder with a file per track and a list of them, within its limits.

use super::{
    manifest::{self, FileEntry, Manifest},
    storage::Storage,
    track::{Taken, TrackRecorder},
};
use crate::{processing::job::Ending, sfu::id::Mid};
use std::{
    collections::HashMap,
    fmt, io,
    time::{Duration, Instant},
};

/// How much a recording may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordingLimits {
    /// Longest time.
    pub duration: Duration,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Most files of a recording; tracks that come later are left out.
pub const MAX_FILES: usize = 1_024;

/// Why a recording ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EndReason {
    /// It was asked to.
    Requested,
    /// The room is over.
    RoomOver,
    /// The longest time is over.
    Duration,
    /// The bytes are used up.
    Bytes,
    /// Files can't be written, with the system's words: most often the disk is full.
    Storage(String),
    /// The node stops.
    Stopping,
    /// Its thread failed on it.
    Fault,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndReason::Requested => f.write_str("requested"),
            EndReason::RoomOver => f.write_str("room-over"),
            EndReason::Duration => f.write_str("max-duration"),
            EndReason::Bytes => f.write_str("max-bytes"),
            EndReason::Storage(error) => write!(f, "storage: {error}"),
            EndReason::Stopping => f.write_str("draining"),
            EndReason::Fault => f.write_str("fault"),
        }
    }
}

impl From<Ending> for EndReason {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Requested => EndReason::Requested,
            Ending::RoomOver => EndReason::RoomOver,
            Ending::Stopping => EndReason::Stopping,
        }
    }
}

/// A track as its publisher named it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// Whose it is.
    pub participant: String,
    /// Its id.
    pub track: String,
    /// What it shows.
    pub source: String,
}

struct Line {
    named: Named,
    recorder: TrackRecorder,
    /// The place of its present file in the list.
    entry: Option<usize>,
}

/// A recording.
pub struct RoomRecording {
    storage: Box<dyn Storage>,
    limits: RecordingLimits,
    manifest: Manifest,
    began: Instant,
    lines: HashMap<Mid, Line>,
    /// Of files that are whole.
    bytes: u64,
    stems: usize,
    ended: Option<EndReason>,
}

impl RoomRecording {
    /// Begins a recording, at `unix_ms` milliseconds of Unix time.
    pub fn new(
        recording: &str,
        room: &str,
        mut storage: Box<dyn Storage>,
        limits: RecordingLimits,
        now: Instant,
        unix_ms: u64,
    ) -> io::Result<Self> {
        let manifest = Manifest {
            recording: recording.to_owned(),
            room: room.to_owned(),
            started_unix_ms: unix_ms,
            ended: None,
            files: Vec::new(),
        };
        manifest::write(storage.as_mut(), &manifest)?;
        Ok(Self { storage, limits, manifest, began: now, lines: HashMap::new(), bytes: 0, stems: 0, ended: None })
    }

    /// Why it ended, if it did.
    pub fn ended(&self) -> Option<&EndReason> {
        self.ended.as_ref()
    }

    /// What it has.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A track comes on this line.
    pub fn line(&mut self, mid: Mid, named: Named) {
        if self.ended.is_some() || self.manifest.files.len() >= MAX_FILES {
            return;
        }
        self.stems += 1;
        let recorder = TrackRecorder::new(format!("{:03}", self.stems));
        if let Some(old) = self.lines.insert(mid, Line { named, recorder, entry: None }) {
            self.close(old);
        }
    }

    /// No more comes on this line.
    pub fn gone(&mut self, mid: &Mid) {
        if let Some(line) = self.lines.remove(mid) {
            self.close(line);
        }
    }

    /// Takes a packet in. Whether the line needs a key frame.
    pub fn packet(&mut self, now: Instant, mid: &Mid, packet: Taken) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let Some(line) = self.lines.get_mut(mid) else { return false };
        if line.recorder.changes_with(&packet) && line.recorder.is_open() {
            let Line { recorder, entry, .. } = line;
            let ended = recorder.end();
            let entry = entry.take();
            self.settle(entry, ended);
        }
        let Some(line) = self.lines.get_mut(mid) else { return false };
        match line.recorder.packet(now, packet, self.storage.as_mut()) {
            Ok(Some(begun)) => {
                line.entry = Some(self.manifest.files.len());
                let offset = now.saturating_duration_since(self.began).as_millis();
                self.manifest.files.push(FileEntry {
                    name: begun.name,
                    participant: line.named.participant.clone(),
                    track: line.named.track.clone(),
                    source: line.named.source.clone(),
                    codecs: vec![begun.codec.to_owned()],
                    offset_ms: u64::try_from(offset).unwrap_or(u64::MAX),
                    duration_ms: 0,
                    bytes: 0,
                });
                self.save();
            }
            Ok(None) => {}
            Err(error) => self.end(EndReason::Storage(error.to_string())),
        }
        self.lines.get(mid).is_some_and(|line| line.recorder.needs_keyframe())
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant) {
        if self.ended.is_some() {
            return;
        }
        let failed = self.lines.values_mut().find_map(|line| line.recorder.tick(now).err());
        let open: u64 = self.lines.values().map(|line| line.recorder.bytes()).sum();
        if let Some(error) = failed {
            self.end(EndReason::Storage(error.to_string()));
        } else if self.bytes.saturating_add(open) >= self.limits.bytes {
            self.end(EndReason::Bytes);
        } else if now.saturating_duration_since(self.began) >= self.limits.duration {
            self.end(EndReason::Duration);
        }
    }

    /// Ends it: all files are made whole.
    pub fn end(&mut self, reason: EndReason) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(reason.clone());
        for (_, line) in std::mem::take(&mut self.lines) {
            self.close(line);
        }
        self.manifest.ended = Some(reason.to_string());
        self.save();
    }

    fn close(&mut self, mut line: Line) {
        let ended = line.recorder.end();
        self.settle(line.entry, ended);
    }

    fn settle(&mut self, entry: Option<usize>, ended: Option<io::Result<super::track::Ended>>) {
        match (entry.and_then(|entry| self.manifest.files.get_mut(entry)), ended) {
            (Some(entry), Some(Ok(ended))) => {
                (entry.duration_ms, entry.bytes) = (ended.duration_ms, ended.bytes);
                self.bytes += ended.bytes;
                self.save();
            }
            (_, Some(Err(error))) => {
                tracing::warn!(recording = self.manifest.recording, %error, "a file can't be ended as it should");
            }
            _ => {}
        }
    }

    fn save(&mut self) {
        if let Err(error) = manifest::write(self.storage.as_mut(), &self.manifest) {
            tracing::warn!(recording = self.manifest.recording, %error, "the list of files can't be written");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
