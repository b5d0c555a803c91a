//! The supervisor's hands: starts, signals and waits for processes, keeps their logs and `processes.json`.

use super::{
    plan::Kind,
    supervisor::{Action, Policy, State, Supervisor},
};
use crate::failure::{Context, Failure};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    process::Command,
    sync::{mpsc, watch},
};

/// A process to run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Name, unique in the network.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where its stdout and stderr go.
    pub log: PathBuf,
}

/// A process as others see it; the rows of `processes.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its process id, while it runs.
    pub pid: Option<u32>,
    /// `starting`, `running`, `waiting` (for its restart), `ending`, `ended` or `given-up`.
    pub state: &'static str,
    /// How often it was started again.
    pub restarts: u32,
    /// When it was last started, Unix time in milliseconds.
    pub started_ms: Option<u64>,
    /// Its log.
    pub log: PathBuf,
}

/// All processes by name.
pub type Views = BTreeMap<String, View>;

/// Runs processes. It must be driven from the thread that lives as long as the program, since the kernel ends the children
/// with the thread that started them.
pub struct Processes {
    supervisor: Supervisor,
    specs: BTreeMap<String, Spec>,
    started_ms: BTreeMap<String, u64>,
    began: Instant,
    exits_tx: mpsc::UnboundedSender<Exit>,
    exits: mpsc::UnboundedReceiver<Exit>,
    views: watch::Sender<Views>,
    file: PathBuf,
}

struct Exit {
    name: String,
    pid: u32,
    status: std::io::Result<ExitStatus>,
}

impl Processes {
    /// No processes yet; their list goes to `file`.
    pub fn new(policy: Policy, file: PathBuf) -> Self {
        let (exits_tx, exits) = mpsc::unbounded_channel();
        Self {
            supervisor: Supervisor::new(policy),
            specs: BTreeMap::new(),
            started_ms: BTreeMap::new(),
            began: Instant::now(),
            exits_tx,
            exits,
            views: watch::Sender::new(Views::new()),
            file,
        }
    }

    /// The processes as they change.
    pub fn views(&self) -> watch::Receiver<Views> {
        self.views.subscribe()
    }

    /// Starts a process and keeps it running.
    pub fn launch(&mut self, spec: Spec) {
        let name = spec.name.clone();
        let stage = spec.kind.stage();
        self.specs.entry(name.clone()).or_insert(spec);
        let actions = self.supervisor.launch(&name, stage);
        self.perform(actions);
    }

    /// Ends everything, in order.
    pub fn stop(&mut self) {
        let actions = self.supervisor.stop(self.began.elapsed());
        self.perform(actions);
    }

    /// Ends everything at once.
    pub fn kill(&mut self) {
        let actions = self.supervisor.kill_all();
        self.perform(actions);
    }

    /// Whether all have ended after a stop.
    pub fn is_finished(&self) -> bool {
        self.supervisor.is_finished()
    }

    /// Waits for the next event (a death, a restart that is due, a deadline) and handles it. May be cancelled.
    pub async fn advance(&mut self) {
        let due = self.supervisor.next_due().map(|at| (self.began + at).into());
        tokio::select! {
            exit = self.exits.recv() => if let Some(exit) = exit { self.exited(exit) },
            () = sleep_until(due) => {
                let actions = self.supervisor.tick(self.began.elapsed());
                self.perform(actions);
            }
        }
    }

    fn exited(&mut self, exit: Exit) {
        let how = match &exit.status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        if !self.supervisor.is_stopping() {
            tracing::warn!(process = %exit.name, pid = exit.pid, %how, "a process ended by itself");
        }
        self.note(&exit.name, &format!("process {} ended ({how})", exit.pid));
        let actions = self.supervisor.died(&exit.name, self.began.elapsed());
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let mut queue = std::collections::VecDeque::from(actions);
        while let Some(action) = queue.pop_front() {
            match action {
                Action::Spawn(name) => queue.extend(self.spawn(&name)),
                Action::Terminate(name, pid) => self.signal(&name, pid, rustix::process::Signal::TERM),
                Action::Kill(name, pid) => self.signal(&name, pid, rustix::process::Signal::KILL),
                Action::GiveUp(name) => {
                    tracing::error!(process = %name, "a process ended too often and stays down");
                    self.note(&name, "given up: it ended too often");
                }
            }
        }
        self.publish();
    }

    fn spawn(&mut self, name: &str) -> Vec<Action> {
        let now = self.began.elapsed();
        let Some(spec) = self.specs.get(name) else { return Vec::new() };
        match start(spec) {
            Ok(mut child) => {
                let pid = child.id().unwrap_or_default();
                let exits = self.exits_tx.clone();
                let owned = name.to_owned();
                tokio::spawn(async move {
                    let status = child.wait().await;
                    // Nobody listens any more once the network is down.
                    let _ = exits.send(Exit { name: owned, pid, status });
                });
                self.started_ms.insert(name.to_owned(), unix_ms());
                self.supervisor.spawned(name, pid, now)
            }
            Err(error) => {
                tracing::error!(process = %name, program = %spec.program.display(), %error, "cannot start a process");
                self.note(name, &format!("cannot start: {error}"));
                self.supervisor.died(name, now)
            }
        }
    }

    fn signal(&self, name: &str, pid: u32, signal: rustix::process::Signal) {
        let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return };
        if let Err(error) = rustix::process::kill_process(pid, signal) {
            tracing::debug!(process = %name, %error, "the process was gone before the signal");
        }
    }

    /// Writes a line of our own into a process's log.
    fn note(&self, name: &str, text: &str) {
        let Some(spec) = self.specs.get(name) else { return };
        if let Ok(mut log) = append(&spec.log) {
            let _ = writeln!(log, "== chroom up, at {} ms: {text}", unix_ms());
        }
    }

    fn publish(&self) {
        let views: Views = self
            .supervisor
            .children()
            .iter()
            .filter_map(|(name, child)| {
                let spec = self.specs.get(name)?;
                let (pid, state) = match child.state {
                    State::Spawning => (None, "starting"),
                    State::Running { pid, .. } => (Some(pid), "running"),
                    State::Waiting { .. } => (None, "waiting"),
                    State::Ending { pid, .. } => (Some(pid), "ending"),
                    State::GivenUp => (None, "given-up"),
                    State::Ended => (None, "ended"),
                };
                let view = View {
                    name: name.clone(),
                    kind: spec.kind,
                    pid,
                    state,
                    restarts: child.restarts,
                    started_ms: self.started_ms.get(name).copied(),
                    log: spec.log.clone(),
                };
                Some((name.clone(), view))
            })
            .collect();
        let list: Vec<&View> = views.values().collect();
        if let Ok(text) = serde_json::to_vec_pretty(&list)
            && let Err(error) = write_whole(&self.file, &text)
        {
            tracing::warn!(file = %self.file.display(), %error, "cannot write the list of processes");
        }
        self.views.send_replace(views);
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Milliseconds since the Unix epoch.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Replaces a file in one step, so that a reader never sees half of it.
pub fn write_whole(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text)?;
    std::fs::rename(&draft, path)
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Starts a process in a group of its own (a Ctrl-C in the terminal is ours to handle) that the kernel ends when we die.
fn start(spec: &Spec) -> std::io::Result<tokio::process::Child> {
    let log = append(&spec.log)?;
    let errors = log.try_clone()?;
    let mut command = if cfg!(target_os = "linux") {
        // Our own program, even if its file was replaced meanwhile, becomes the child after it has asked the kernel.
        let mut command = Command::new("/proc/self/exe");
        command.arg(BOUND_CHILD).arg(std::process::id().to_string()).arg(&spec.program);
        command
    } else {
        Command::new(&spec.program)
    };
    command
        .args(&spec.arguments)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Name of the hidden command that [`become_bound_child`] stands behind.
pub const BOUND_CHILD: &str = "run-bound";

/// Asks the kernel to kill this process when `parent` dies, then becomes `program`. Returns only if that fails.
#[cfg(target_os = "linux")]
pub fn become_bound_child(parent: u32, program: &Path, arguments: &[std::ffi::OsString]) -> Failure {
    use std::os::unix::process::CommandExt;
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)) {
        return Failure::new(format_args!("the kernel does not bind a process to its parent: {error}"));
    }
    // The parent may have died before the kernel was asked.
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if u32::try_from(now) != Ok(parent) {
        return Failure::new("the process that started this one is gone");
    }
    let error = std::process::Command::new(program).args(arguments).exec();
    Failure::new(format_args!("cannot run {}: {error}", program.display()))
}

/// Where the kernel has no such service, becomes `program` at once.
#[cfg(not(target_os = "linux"))]
pub fn become_bound_child(_parent: u32, program: &Path, arguments: &[std::ffi::OsString]) -> Failure {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new(program).args(arguments).exec();
    Failure::new(format_args!("cannot run {}: {error}", program.display()))
}

/// The last lines of a log, for an error message.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let start = text.len().saturating_sub(16 * 1_024);
    let text = String::from_utf8_lossy(text.get(start..).unwrap_or_default()).into_owned();
    let all: Vec<&str> = text.lines().collect();
    let skip = all.len().saturating_sub(lines);
    all.into_iter().skip(skip).map(|line| format!("    {line}\n")).collect()
}

/// Finds the programs: in `CHROOM_BIN_DIR`, else beside this program.
pub fn find_program(kind: Kind) -> Result<PathBuf, Failure> {
    let dir = match std::env::var_os("CHROOM_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => {
            let this = std::env::current_exe().context("cannot tell where this program is")?;
            this.parent().map(Path::to_owned).unwrap_or_default()
        }
    };
    let path = dir.join(kind.program());
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::new(format_args!("{} is not in {}", kind.program(), dir.display()))
        .hint("build everything first (make build), or name the folder in CHROOM_BIN_DIR"))
}

/// How long [`Processes::advance`]'s caller should let a stop take before it loses patience: three stages and their kills.
pub const LONGEST_STOP: Duration = Duration::from_secs(45);

#[cfg(test)]
mod tests {
    use super::*;

    // The tests cannot go through /proc/self/exe, which is the test program: they drive the state file and the tail alone;
    // real processes are run by tests/up_processes.rs.
    #[test]
    fn the_tail_is_the_end_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::write(&log, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&log, 2), "    two\n    three\n");
        assert_eq!(tail(&dir.path().join("none"), 2), "");
    }

    #[test]
    fn a_whole_file_replaces_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("processes.json");
        write_whole(&file, b"[1]").unwrap();
        write_whole(&file, b"[2]").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"[2]");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
