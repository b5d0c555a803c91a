//! Chroom's SFU in `chroom-bench-sfu`: one JSON object a line to its standard input, one a line back.

use super::{
    Sfu, SfuError,
    participant::{Local, Participant, Staff, accepted},
    process::{Process, Seat, pinned},
};
use crate::{
    client::{Plan, publication},
    wire::sdp::{Description, Direction},
};
use serde::{Deserialize, Serialize};
use std::{
    io::{BufRead, BufReader, Write},
    os::fd::AsFd,
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

    /// The answer to the oldest request that has none yet.
    fn granted(&mut self) -> Result<Answer, SfuError> {
        match self.answer()? {
            Answer::Refused { reason } => Err(SfuError::Refused(reason)),
            answer => Ok(answer),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, SfuError> {
        self.requests.write_all(line(request)?.as_bytes())?;
        self.granted()
    }

    /// Has participants come in all at once. What became of each is told as soon as it is known, in their order.
    pub fn enter_together(
        &mut self,
        staff: &mut Staff,
        participants: &[Participant],
        mut entered: impl FnMut(&Participant, Result<Plan, SfuError>) -> Result<(), SfuError>,
    ) -> Result<(), SfuError> {
        let applications: Vec<Application> = participants.iter().map(|one| Application::new(staff, one)).collect();
        let lines: Result<String, SfuError> = applications.iter().map(|one| line(&one.request)).collect();
        let lines = lines?;
        // The pipes hold no more than some dozens: who writes all of it can't read the answers meanwhile.
        let mut requests = self.requests.as_fd().try_clone_to_owned().map(std::fs::File::from)?;
        std::thread::scope(|scope| {
            let writing = scope.spawn(move || requests.write_all(lines.as_bytes()));
            for (participant, application) in participants.iter().zip(applications) {
                let plan = match self.granted() {
                    Ok(answer) => application.accepted(staff, participant, answer),
                    Err(SfuError::Refused(reason)) => Err(SfuError::Refused(reason)),
                    Err(error) => return Err(error),
                };
                entered(participant, plan)?;
            }
            writing.join().map_err(|_| SfuError::Ended)??;
            Ok(())
        })
    }
}

fn line(request: &Request) -> Result<String, SfuError> {
    let line = serde_json::to_string(request).map_err(|error| SfuError::Refused(error.to_string()))?;
    Ok(line + "\n")
}

/// Who asks to be let in.
struct Application {
    local: Local,
    plans: Vec<publication::Plan>,
    request: Request,
}

impl Application {
    fn new(staff: &mut Staff, participant: &Participant) -> Self {
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
        let (room, offer) = (room(participant.room), local.description.text());
        let request = Request::Join { room, participant: participant.number, offer, publish, subscribe };
        Self { local, plans, request }
    }

    fn accepted(self, staff: &Staff, participant: &Participant, answer: Answer) -> Result<Plan, SfuError> {
        let Answer::Joined { sdp } = answer else { return Err(SfuError::Missing("session")) };
        let remote = Description::read(&sdp)?;
        let publish = self.plans.into_iter().map(|plan| accepted(plan, &remote)).collect();
        staff.plan(&self.local, remote, publish, &participant.subscribe).ok_or(SfuError::Missing("candidate"))
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
        let application = Application::new(staff, participant);
        let answer = self.ask(&application.request)?;
        application.accepted(staff, participant, answer).map(Some)
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
