//! The recording of a room as a job: each track as it comes.

use super::{
    manifest::Manifest,
    room::{EndReason, Named, RoomRecording},
    track::Taken,
};
use crate::{
    processing::job::{Desk, Ending, Job, Progress},
    sfu::resident::{Asked, ForResident, Told},
};
use std::time::{Duration, Instant};

/// How often a key frame is asked for while one is awaited.
const ASK: Duration = Duration::from_millis(500);

/// What is told when a recording has ended.
pub type Report = Box<dyn FnOnce(EndReason, Manifest) + Send>;

/// The job.
pub struct RecordingJob {
    recording: RoomRecording,
    report: Option<Report>,
    asked: Option<Instant>,
}

impl RecordingJob {
    /// Runs a recording; `report` is called at its end.
    pub fn new(recording: RoomRecording, report: Report) -> Self {
        Self { recording, report: Some(report), asked: None }
    }

    fn tell(&mut self) {
        if let (Some(reason), Some(report)) = (self.recording.ended(), self.report.take()) {
            report(reason.clone(), self.recording.manifest().clone());
        }
    }
}

impl Job for RecordingJob {
    fn told(&mut self, now: Instant, told: Told, desk: &mut Desk) {
        match told {
            Told::Line(mid, offered) => {
                let named = Named {
                    participant: offered.participant.to_string(),
                    track: offered.track.to_string(),
                    source: offered.source,
                };
                self.recording.line(mid, named);
            }
            Told::Gone(mid) => self.recording.gone(&mid),
            Told::Packet(ForResident { mid, codec, seq, timestamp, marker, payload, .. }) => {
                let needs = self.recording.packet(now, &mid, Taken { codec, seq, timestamp, marker, payload });
                if needs && self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK) {
                    self.asked = Some(now);
                    desk.ask(Asked::Keyframe(mid));
                }
            }
            Told::Watched(..) | Told::KeyframeWanted(_) => {}
        }
    }

    fn tick(&mut self, now: Instant, _late: Duration, _desk: &mut Desk) -> Progress {
        self.recording.tick(now);
        if self.recording.ended().is_none() {
            return Progress::On;
        }
        self.tell();
        Progress::Done
    }

    fn end(&mut self, reason: Ending) {
        self.recording.end(reason.into());
        self.tell();
    }
}
