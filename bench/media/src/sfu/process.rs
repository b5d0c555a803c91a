//! A server's process on a core of its own.

use super::SfuError;
use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a process may take to end once it is asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that ends with its owner.
pub struct Process {
    child: Child,
}

/// Where a server runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat {
    /// Its core.
    pub core: usize,
    /// The network namespace, by its name; `None`: this process's.
    pub namespace: Option<&'static str>,
}

/// A command that runs a program on one core, so that all its threads share it, and that ends when this process does, however that ends.
pub fn pinned(seat: Seat, program: &str) -> Command {
    let mut command = match seat.namespace {
        Some(name) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", name, "setpriv"]);
            command
        }
        None => Command::new("setpriv"),
    };
    command.args(["--pdeathsig", "TERM", "taskset", "--cpu-list", &seat.core.to_string(), program]);
    command
}

impl Process {
    /// Starts it.
    pub fn start(mut command: Command) -> Result<Self, SfuError> {
        let child = command.spawn();
        let name = || command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        Ok(Self { child: child.map_err(|error| SfuError::Program(name(), error))? })
    }

    /// Its number: `ip` and `setpriv` become `taskset`, and that the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first; killed when it doesn't listen.
        let asked = Command::new("kill").arg(self.pid().to_string()).stderr(Stdio::null()).status();
        let begun = Instant::now();
        while asked.is_ok() && self.is_alive() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
