//! Chroom's SFU in `chroom-bench-sfu`: one JSON object a line to its standard input, one a line back.

use super::{
    Sfu, SfuError,
    participant::{Participant, Staff, accepted},
    process::{Process, Seat, pinned},
};
use crate::{
    client::{Plan, publication},
    wire::sdp::{Description, Direction},
};
use serde::{Deserialize, Serialize};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{ChildStdin, ChildStdout, Stdio},
};

/// A track on an m-line.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct OnLine {
    /// The m-line.
    pub mid: String,
    /// The track's id.
    pub track: String,
}

/// What `chroom-bench-sfu` is asked.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "kebab-case", tag = "request")]
pub enum Request {
    /// Open a session and take its offer.
    Join {
        /// The room.
        room: String,
        /// The participant's number, of which the session's id is made.
        participant: u32,
        /// The offer.
        offer: String,
        /// What it publishes.
        publish: Vec<OnLine>,
        /// What it wants.
        subscribe: Vec<OnLine>,
    },
    /// End a session.
    Leave {
        /// The room.
        room: String,
        /// The participant's number.
        participant: u32,
    },
    /// Say how much is there.
    Totals,
}

/// What the SFU has.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Rooms.
    pub rooms: u32,
    /// Sessions.
    pub sessions: u32,
    /// Published tracks.
    pub tracks: u32,
}

/// What it answers.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// It listens.
    Ready {
        /// Version of the SFU.
        version: String,
    },
    /// A session's answer.
    Joined {
        /// Its SDP.
        sdp: String,
    },
    /// The session is over, or there was none.
    Left,
    /// What is there.
    Totals(Totals),
    /// It can't be.
    Refused {
        /// Why.
        reason: String,
    },
}

/// The running SFU.
pub struct Chroom {
    process: Process,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
}

impl Chroom {
    /// Starts it on its seat.
    pub fn start(program: &Path, seat: Seat) -> Result<Self, SfuError> {
        let mut command = pinned(seat, &program.to_string_lossy());
        command.args(["--listen", &format!("{}:0", crate::namespace::SERVER)]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command)?;
        let requests = process.child().stdin.take().ok_or(SfuError::Ended)?;
        let answers = BufReader::new(process.child().stdout.take().ok_or(SfuError::Ended)?);
        let mut chroom = Self { process, requests, answers, version: String::new() };
        match chroom.answer()? {
            Answer::Ready { version } => chroom.version = format!("Chroom {version}"),
            other => return Err(SfuError::Refused(format!("{other:?}"))),
        }
        Ok(chroom)
    }

    /// What it has.
    pub fn totals(&mut self) -> Result<Totals, SfuError> {
        match self.ask(&Request::Totals)? {
            Answer::Totals(totals) => Ok(totals),
            _ => Err(SfuError::Missing("totals")),
        }
    }

    fn answer(&mut self) -> Result<Answer, SfuError> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(SfuError::Ended);
        }
        serde_json::from_str(&line).map_err(|error| SfuError::Refused(format!("{error} in {line}")))
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, SfuError> {
        let mut line = serde_json::to_string(request).map_err(|error| SfuError::Refused(error.to_string()))?;
        line.push('\n');
        self.requests.write_all(line.as_bytes())?;
        match self.answer()? {
            Answer::Refused { reason } => Err(SfuError::Refused(reason)),
            answer => Ok(answer),
        }
    }
}

fn track(source: u32) -> String {
    format!("track-{source}")
}

fn room(number: u32) -> String {
    format!("room-{number}")
}

impl Sfu for Chroom {
    fn version(&self) -> &str {
        &self.version
    }

    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn enter(&mut self, staff: &mut Staff, participant: &Participant) -> Result<Option<Plan>, SfuError> {
        let mut local = staff.client();
        let plans: Vec<publication::Plan> = participant.publish.iter().flat_map(|track| local.publish(track)).collect();
        let line = |plan: &publication::Plan| OnLine { mid: plan.mid.clone(), track: track(plan.source) };
        let mut publish: Vec<OnLine> = plans.iter().map(line).collect();
        // A track's layers share its m-line; the first one's number is the track's.
        publish.dedup_by(|next, first| next.mid == first.mid);
        let mut subscribe = Vec::new();
        for wanted in &participant.subscribe {
            let mid = local.description.lines.len().to_string();
            local.offer(wanted.content.kind(), Direction::Receive, Vec::new());
            subscribe.push(OnLine { mid, track: track(wanted.source) });
        }
        let request = Request::Join {
            room: room(participant.room),
            participant: participant.number,
            offer: local.description.text(),
            publish,
            subscribe,
        };
        let Answer::Joined { sdp } = self.ask(&request)? else { return Err(SfuError::Missing("session")) };
        let remote = Description::read(&sdp)?;
        let publish = plans.into_iter().map(|plan| accepted(plan, &remote)).collect();
        let plan = staff.plan(&local, remote, publish, &participant.subscribe);
        Ok(Some(plan.ok_or(SfuError::Missing("candidate"))?))
    }

    /// Subscriptions are by name and may come before the track.
    fn attend(&mut self, _: &mut Staff, _: &Participant) -> Result<Option<Plan>, SfuError> {
        Ok(None)
    }

    fn leave(&mut self, participant: &Participant) -> Result<(), SfuError> {
        let request = Request::Leave { room: room(participant.room), participant: participant.number };
        self.ask(&request).map(drop)
    }
}
