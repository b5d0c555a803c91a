//! Janus with its video room plugin, as Debian packages it, on a configuration of its own.

mod configuration;
mod link;

pub use configuration::Configuration;

use super::{
    Sfu, SfuError,
    participant::{Participant, Staff, Track, accepted},
    process::{Process, Seat, pinned},
};
use crate::{
    client::{Plan, handshake::Identity, publication},
    wire::sdp::{Description, Direction},
};
use link::Link;
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The program.
const PROGRAM: &str = "janus";
/// How often it is started before it is given up.
const STARTS: u32 = 3;
/// Lines of its log that are shown when it doesn't start.
const LAST_WORDS: usize = 8;

/// What it says of a publisher whose media it doesn't have yet: it sets that up in a thread of its own, some time after the handshake's end.
const NO_FEED: &str = "No such feed";
/// Longest wait for that, and between two questions.
const FEED_PATIENCE: Duration = Duration::from_secs(5);
const FEED_PAUSE: Duration = Duration::from_millis(20);

/// The running server.
pub struct Janus {
    link: Link,
    session: u64,
    /// The handle that rooms are made with.
    rooms_handle: u64,
    rooms: BTreeSet<u32>,
    handles: HashMap<u32, Vec<u64>>,
    version: String,
    // The process ends before its folder goes.
    process: Process,
    _folder: TempDir,
}

impl Janus {
    /// The version of the installed program; an error if there is none.
    pub fn installed() -> Result<String, SfuError> {
        // It prints its version before it complains about the option.
        let output = Command::new(PROGRAM).arg("--help").output();
        let output = output.map_err(|error| SfuError::Program(PROGRAM.into(), error))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.lines().find_map(|line| line.strip_prefix("Janus version: "));
        Ok(format!("Janus {}", version.unwrap_or("of unknown version").trim()))
    }

    /// Starts it on its seat. The clients' certificate serves it too: the clients' DTLS knows no RSA, which it would make one with. It ends while it starts
    /// once in a while, and is started again then.
    pub fn start(seat: Seat, identity: &Identity, configuration: &Configuration) -> Result<Self, SfuError> {
        let mut starts = 1;
        loop {
            match Self::try_start(seat, identity, configuration) {
                Err(SfuError::Ended) if starts < STARTS => starts += 1,
                result => return result,
            }
        }
    }

    fn try_start(seat: Seat, identity: &Identity, configuration: &Configuration) -> Result<Self, SfuError> {
        let version = Self::installed()?;
        let folder = tempfile::Builder::new().prefix("chroom-janus-").tempdir()?;
        configuration.write(folder.path(), identity)?;
        let mut command = pinned(seat, PROGRAM);
        command.arg("--configs-folder").arg(folder.path());
        command.arg("--config").arg(folder.path().join("janus.jcfg"));
        command.stdin(Stdio::null()).stdout(std::fs::File::create(folder.path().join("log"))?).stderr(Stdio::null());
        let mut process = Process::start(command)?;
        let mut link = Link::open(folder.path(), || process.is_alive()).inspect_err(|_| {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            log.lines()
                .rev()
                .take(LAST_WORDS)
                .collect::<Vec<_>>()
                .iter()
                .rev()
                .for_each(|line| eprintln!("janus: {line}"));
        })?;
        let created = link.ask(json!({ "janus": "create" }))?;
        let session = id(&created).ok_or(SfuError::Missing("session"))?;
        let rooms_handle = link.attach(session)?;
        Ok(Self {
            link,
            session,
            rooms_handle,
            rooms: BTreeSet::new(),
            handles: HashMap::new(),
            version,
            process,
            _folder: folder,
        })
    }

    fn make_room(&mut self, room: u32) -> Result<(), SfuError> {
        if !self.rooms.insert(room) {
            return Ok(());
        }
        // As lean as it can be configured: no limits, nothing that the load doesn't use.
        let body = json!({
            "request": "create", "room": room, "publishers": 10_000, "bitrate": 0, "fir_freq": 0,
            "audiocodec": "opus", "videocodec": "vp8", "notify_joining": false, "audiolevel_event": false,
            "videoorient_ext": false, "playoutdelay_ext": false,
        });
        self.link.tell(self.session, self.rooms_handle, &body, None).map(drop)
    }

    fn publish(&mut self, staff: &mut Staff, participant: &Participant) -> Result<(u64, Plan), SfuError> {
        let mut local = staff.client();
        let plans: Vec<publication::Plan> = participant.publish.iter().flat_map(|track| local.publish(track)).collect();
        let handle = self.link.attach(self.session)?;
        let body = json!({
            "request": "joinandconfigure", "ptype": "publisher", "room": participant.room, "id": participant.number,
        });
        let (_, answer) = self.link.tell(self.session, handle, &body, Some(("offer", &local.description.text())))?;
        let remote = Description::read(&answer.ok_or(SfuError::Missing("answer"))?)?;
        let publish = plans.into_iter().map(|plan| accepted(plan, &remote)).collect();
        let plan = staff.plan(&local, remote, publish, &[]);
        Ok((handle, plan.ok_or(SfuError::Missing("candidate"))?))
    }

    fn subscribe(&mut self, staff: &mut Staff, room: u32, tracks: &[Track]) -> Result<(u64, Plan), SfuError> {
        let mut local = staff.client();
        let handle = self.link.attach(self.session)?;
        let feeds: BTreeSet<u32> = tracks.iter().map(|track| track.owner).collect();
        let streams: Vec<Value> = feeds.into_iter().map(|feed| json!({ "feed": feed })).collect();
        let body =
            json!({ "request": "join", "ptype": "subscriber", "room": room, "streams": streams, "autoupdate": false });
        let begun = Instant::now();
        let offer = loop {
            match self.link.tell(self.session, handle, &body, None) {
                Ok((_, offer)) => break offer,
                Err(SfuError::Refused(why)) if why.starts_with(NO_FEED) && begun.elapsed() < FEED_PATIENCE => {
                    std::thread::sleep(FEED_PAUSE);
                }
                Err(error) => return Err(error),
            }
        };
        let remote = Description::read(&offer.ok_or(SfuError::Missing("offer"))?)?;
        // What is offered is taken as it is.
        local.description.lines = remote.lines.clone();
        for line in &mut local.description.lines {
            line.direction = Direction::Receive;
            line.ssrcs.clear();
        }
        let answer = local.description.text();
        self.link.tell(self.session, handle, &json!({ "request": "start" }), Some(("answer", &answer)))?;
        let plan = staff.plan(&local, remote, Vec::new(), tracks);
        Ok((handle, plan.ok_or(SfuError::Missing("candidate"))?))
    }
}

fn id(reply: &Value) -> Option<u64> {
    reply.pointer("/data/id")?.as_u64()
}

impl Sfu for Janus {
    fn version(&self) -> &str {
        &self.version
    }

    fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A peer connection to publish; to receive, another one: as the plugin's own pages do it.
    fn enter(&mut self, staff: &mut Staff, participant: &Participant) -> Result<Option<Plan>, SfuError> {
        self.make_room(participant.room)?;
        if participant.publish.is_empty() {
            return Ok(None);
        }
        let (handle, plan) = self.publish(staff, participant)?;
        self.handles.entry(participant.number).or_default().push(handle);
        Ok(Some(plan))
    }

    fn attend(&mut self, staff: &mut Staff, participant: &Participant) -> Result<Option<Plan>, SfuError> {
        if participant.subscribe.is_empty() {
            return Ok(None);
        }
        let (handle, plan) = self.subscribe(staff, participant.room, &participant.subscribe)?;
        self.handles.entry(participant.number).or_default().push(handle);
        Ok(Some(plan))
    }

    fn leave(&mut self, participant: &Participant) -> Result<(), SfuError> {
        for handle in self.handles.remove(&participant.number).unwrap_or_default() {
            self.link.ask(json!({ "janus": "detach", "session_id": self.session, "handle_id": handle }))?;
        }
        Ok(())
    }
}
