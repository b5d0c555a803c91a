//! Recordings: begun, ended, and told what they have.

use super::{
    super::recording::{
        composite::{self, CompositeJob},
        job::RecordingJob,
        manifest::Manifest,
        room::{EndReason, RecordingLimits, RoomRecording},
        storage::Folder,
    },
    Ending, Interest, Job, NewJob, Reservation, ResidentId, Studio, StudioError, WorkerHandle, cost,
};
use crate::sfu::{
    codec::Codec,
    event::{Event, Occurrence},
    id::RoomId,
};
use std::{
    io,
    path::PathBuf,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// What can be written down.
const WRITTEN: &[Codec] = &[Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1];
/// What can be mixed and drawn.
const DECODED: &[Codec] = &[Codec::Opus, Codec::Vp8, Codec::H264];
/// Recordings that are remembered, those that go on among them.
pub(super) const MAX_RECORDINGS: usize = 256;
/// Longest wait for a recording's files to be whole.
const FINISH: Duration = Duration::from_secs(10);

/// Why a recording ended, and what it has.
pub type Ended = (EndReason, Manifest);

/// What a recording is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordingKind {
    /// Each track in files of its own, as it was sent.
    Tracks,
    /// All voices in one, all pictures in a grid.
    Composite,
}

/// A recording's id.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RecordingId(String);

impl FromStr for RecordingId {
    type Err = StudioError;

    fn from_str(text: &str) -> Result<Self, StudioError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if plain && (1..=64).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(StudioError::BadId(text.chars().take(80).collect()))
        }
    }
}

/// A recording that was begun.
pub(super) struct Recording {
    room: RoomId,
    worker: WorkerHandle,
    resident: ResidentId,
    ended: watch::Receiver<Option<Ended>>,
}

impl Studio {
    /// Records a room's tracks. Returns the folder.
    pub async fn record(
        &self,
        room: &RoomId,
        recording: &RecordingId,
        kind: RecordingKind,
        limits: RecordingLimits,
    ) -> Result<PathBuf, StudioError> {
        let parent = self.config.recordings.clone().ok_or(StudioError::NoFolder)?;
        let limits = RecordingLimits {
            duration: limits.duration.min(self.config.limits.duration),
            bytes: limits.bytes.min(self.config.limits.bytes),
        };
        let (sender, ended) = watch::channel(None);
        self.make_room(recording)?;
        let (cost, max_height, codecs) = match kind {
            RecordingKind::Tracks => (cost::RECORDING, 0, WRITTEN),
            RecordingKind::Composite => (cost::composite(0), composite::TRACK_HEIGHT, DECODED),
        };
        let place = self.reserve(cost)?;
        let name = recording.0.clone();
        let folder = tokio::task::spawn_blocking(move || Folder::create(&parent, &name));
        let folder = match folder.await.map_err(io::Error::other)? {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(StudioError::Taken(recording.0.clone()));
            }
            made => made?,
        };
        let path = folder.path().to_owned();
        let (sfu, event_room, name) = (self.sfu.clone(), room.clone(), recording.0.clone());
        let report = Box::new(move |reason: EndReason, manifest| {
            tracing::info!(recording = name, room = %event_room, %reason, "recording ended");
            if reason != EndReason::Requested {
                let occurrence = Occurrence::RecordingEnded(name, reason.to_string());
                sfu.tell(Event { room: event_room, session: None, occurrence });
            }
            let _ = sender.send(Some((reason, manifest)));
        });
        let new = NewJob {
            name: "~recorder",
            interest: Interest::Everything { max_height: Some(max_height) },
            codecs,
            place,
        };
        let (name, room_name) = (recording.0.clone(), room.to_string());
        let make = move |now, reservation: &Reservation| -> io::Result<Box<dyn Job>> {
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis());
            let (storage, unix) = (Box::new(folder), u64::try_from(unix).unwrap_or(u64::MAX));
            Ok(match kind {
                RecordingKind::Tracks => {
                    let recording = RoomRecording::new(&name, &room_name, storage, limits, now, unix)?;
                    Box::new(RecordingJob::new(recording, report))
                }
                RecordingKind::Composite => {
                    Box::new(CompositeJob::new(&name, &room_name, storage, limits, unix, reservation, report)?)
                }
            })
        };
        let (worker, resident, _) = self.begin(room, new, make).await?;
        let entry = Recording { room: room.clone(), worker, resident, ended };
        self.recordings.lock().insert(recording.clone(), entry);
        tracing::info!(recording = recording.0, %room, folder = %path.display(), "recording began");
        Ok(path)
    }

    /// Forgets recordings that are over where there are too many.
    fn make_room(&self, recording: &RecordingId) -> Result<(), StudioError> {
        let mut recordings = self.recordings.lock();
        if recordings.contains_key(recording) {
            return Err(StudioError::Taken(recording.0.clone()));
        }
        if recordings.len() >= MAX_RECORDINGS {
            recordings.retain(|_, recording| recording.ended.borrow().is_none());
        }
        if recordings.len() >= MAX_RECORDINGS { Err(StudioError::TooMany) } else { Ok(()) }
    }

    /// Ends a recording; returns what it has. One that ended by itself is told once.
    pub async fn stop_recording(&self, room: &RoomId, recording: &RecordingId) -> Result<Ended, StudioError> {
        let unknown = || StudioError::Unknown(recording.0.clone());
        let mut ended = {
            let recordings = self.recordings.lock();
            let found = recordings.get(recording).filter(|found| found.room == *room).ok_or_else(unknown)?;
            if found.ended.borrow().is_none() {
                found.worker.end(found.resident, Ending::Requested)?;
            }
            found.ended.clone()
        };
        let whole = tokio::time::timeout(FINISH, ended.wait_for(Option::is_some)).await;
        let told = match whole {
            Err(_) => return Err(StudioError::Late),
            // Its thread failed on it.
            Ok(Err(_)) => None,
            Ok(Ok(told)) => told.clone(),
        };
        self.recordings.lock().remove(recording);
        Ok(told.unwrap_or_else(|| {
            let recording = recording.0.clone();
            let ended = Some(EndReason::Fault.to_string());
            let manifest = Manifest { recording, room: room.to_string(), started_unix_ms: 0, ended, files: Vec::new() };
            (EndReason::Fault, manifest)
        }))
    }
}
