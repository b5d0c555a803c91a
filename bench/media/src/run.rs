//! All runs: each scenario on each server in turn, and the bare loop beside them.

use crate::{
    bare::{Sent, timed::Carried},
    churn,
    client::address::Subnet,
    generator::{Generator, Setup},
    lab::{Cores, Joined, Lab},
    machine,
    options::{self, Options, Server},
    profile,
    report::{Bare, JoinTimes, Run},
    rush,
    scenario::Scenario,
    search::Search,
    sfu::{
        Sfu,
        chroom::Chroom,
        janus::{Configuration, Janus},
        participant::Staff,
        process::pinned,
    },
    sockets::Sockets,
    window::Window,
    wire::srtp::Profile,
};
use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Sockets of the generator.
const SOCKETS: usize = 8;
/// Receivers of the bare loop at most.
const BARE_RECEIVERS: u32 = 10_000;
/// How long the bare loop runs, and how long each window of the one within the limits is.
pub const BARE_TIME: Duration = Duration::from_secs(3);

/// Puts this program on its core; threads and children that come later inherit it.
pub fn pin(core: usize) -> Result<()> {
    let pid = std::process::id().to_string();
    let done =
        Command::new("taskset").args(["--cpu-list", "--pid", &core.to_string(), &pid]).stdout(Stdio::null()).status();
    if !done.context("taskset (of util-linux) is needed")?.success() {
        bail!("core {core} can't be used");
    }
    Ok(())
}

/// Runs a scenario on a server.
pub fn run(options: &Options, server: Server, scenario: Scenario, round: u8) -> Result<Run> {
    let (start, most) = scenario.sizes();
    let fixed = options.size.or((scenario == Scenario::Joins).then_some(start));
    let mut trial = Trial {
        options,
        server,
        scenario,
        fixed: fixed.is_some(),
        search: Search::new(fixed.unwrap_or(start), options.growth, fixed.unwrap_or(most)),
        windows: Vec::new(),
    };
    // A server that let nobody in any more is begun anew.
    let life = loop {
        if let Some(life) = trial.live()? {
            break life;
        }
    };
    let (best, windows) = (trial.best(), trial.windows);
    let is_generators = windows.iter().any(|window| !window.is_good() && window.is_generators_limit());
    let is_end = best.is_some_and(|best| best.size == most && fixed.is_none());
    Ok(Run {
        scenario,
        server: life.version,
        round,
        protection: life.protection,
        generators_limit: is_generators || is_end,
        rss_empty_mib: life.rss_empty_mib,
        rss_per_session_kib: best
            .map_or(0.0, |best| (best.rss_mib - life.rss_empty_mib) * 1_024.0 / best.sessions.max(1) as f64),
        best,
        windows,
        joins: JoinTimes::new(&life.joined),
        profile: life.stages,
    })
}

/// Windows of a size that the machine's host spoiled, which are measured again and don't count, at most.
const MOST_SPOILED: u8 = 4;

/// A server in a scenario, at growing sizes.
struct Trial<'a> {
    options: &'a Options,
    server: Server,
    scenario: Scenario,
    /// One size was asked for.
    fixed: bool,
    search: Search,
    windows: Vec<Window>,
}

/// What a server's process showed from its start to its end.
struct Life {
    version: String,
    protection: &'static str,
    rss_empty_mib: f64,
    joined: Joined,
    stages: Vec<profile::Stage>,
}

impl Trial<'_> {
    /// The greatest load that was carried. At a size that was asked for, the figures are what is wanted, good or not.
    fn best(&self) -> Option<Window> {
        if self.fixed {
            return self.windows.last().copied();
        }
        let good = self.windows.iter().filter(|window| window.is_good());
        good.max_by(|a, b| a.forwarded.total_cmp(&b.forwarded)).copied()
    }

    /// Begins a server and goes on with the search, to its end, or until the server has so much to do that clients don't get in: `None`.
    fn live(&mut self) -> Result<Option<Life>> {
        let (options, scenario) = (self.options, self.scenario);
        let generator = Generator::start(&setup(options))?;
        let staff = Staff::new(&generator, options.load.downlink());
        let sfu = start(options, self.server, &generator)?;
        let cores = Cores { sfu: options.core, generator: options.generator_core };
        let mut lab = Lab::new(sfu, &generator, staff, scenario, options.load.shape(), cores);
        let rss_empty_mib = lab.rss_mib();
        while let Some(size) = self.search.next() {
            match lab.resize(size) {
                Err(error) if error.is_refusal() && !self.fixed => {
                    eprintln!("{} {}: size {size}, too much: {error}", scenario.name(), server_name(self.server));
                    self.search.tell(false);
                    return Ok(None);
                }
                resized => resized?,
            }
            std::thread::sleep(Duration::from_secs(options.settle));
            let is_good = self.measure(&mut lab, size)?;
            if self.fixed {
                break;
            }
            self.search.tell(is_good);
        }
        let stages = match self.best().filter(|_| options.profile) {
            Some(best) => stages(options, &mut lab, best.size)?,
            None => Vec::new(),
        };
        let (counts, _) = generator.counts()?;
        Ok(Some(Life {
            version: lab.sfu().version().to_owned(),
            protection: counts.profile.map_or("none", Profile::name),
            rss_empty_mib,
            joined: std::mem::take(&mut lab.joined),
            stages,
        }))
    }

    /// Measures a size; whether the server carries it.
    fn measure(&mut self, lab: &mut Lab<'_>, size: u32) -> Result<bool> {
        let (mut tries, mut spoiled) = (0, 0);
        while tries < self.options.tries {
            let window = lab.measure(size, self.options.window())?;
            eprintln!(
                "{} {}: size {}, {:.0} of {:.0} packets/s, loss {:.2} %, p99 {:.2} ms, CPU {:.0} %, generator {:.0} %, {:.1} % stolen, {}",
                self.scenario.name(),
                server_name(self.server),
                window.size,
                window.forwarded,
                window.due,
                window.loss * 100.0,
                window.delay_p99_ms,
                window.sfu_cpu * 100.0,
                window.generator_cpu * 100.0,
                window.stolen * 100.0,
                window.verdict(),
            );
            self.windows.push(window);
            if window.is_good() {
                return Ok(true);
            }
            if window.is_spoiled() && spoiled < MOST_SPOILED {
                spoiled += 1;
            } else {
                tries += 1;
            }
        }
        Ok(false)
    }
}

/// Has sessions come and go.
pub fn churn(options: &Options, task: &options::Churn) -> Result<churn::Outcome> {
    let generator = Generator::start(&setup(options))?;
    let staff = Staff::new(&generator, options.load.downlink());
    let sfu = Chroom::start(&sfu_program(options)?, options.seat())?;
    let task = churn::Task {
        sessions: task.sessions,
        rooms: task.rooms,
        vanish_percent: task.vanish_percent,
        seed: options.load.seed,
    };
    Ok(churn::run(&task, sfu, &generator, staff)?)
}

/// A crowd at the door.
pub fn rush(options: &Options, task: &options::Rush) -> Result<rush::Outcome> {
    let generator = Generator::start(&setup(options))?;
    let staff = Staff::new(&generator, options.load.downlink());
    let sfu = Chroom::start(&sfu_program(options)?, options.seat())?;
    let calls = Scenario::Rooms.cast(&options.load.shape(), task.receivers);
    Ok(rush::run(task.clients, &calls, sfu, &generator, staff)?)
}

/// How the generator works.
pub(crate) fn setup(options: &Options) -> Setup {
    Setup {
        subnet: Subnet::NAMESPACE,
        sockets: SOCKETS,
        batches: options.load.uplink_batches,
        uplink: options.load.uplink(),
        seed: options.load.seed,
    }
}

/// Begins a server.
pub(crate) fn start(options: &Options, server: Server, generator: &Generator) -> Result<Box<dyn Sfu>> {
    Ok(match server {
        Server::Chroom => Box::new(Chroom::start(&sfu_program(options)?, options.seat())?),
        Server::Janus => {
            let configuration = Configuration { event_loops: options.janus_loops };
            Box::new(Janus::start(options.seat(), generator.identity(), &configuration)?)
        }
    })
}

/// Where the server's time goes at a size.
fn stages(options: &Options, lab: &mut Lab<'_>, size: u32) -> Result<Vec<profile::Stage>> {
    lab.resize(size)?;
    std::thread::sleep(Duration::from_secs(options.settle));
    let folder = tempfile::tempdir()?;
    Ok(profile::profile(lab.sfu().pid(), options.window(), folder.path()).unwrap_or_else(|error| {
        eprintln!("no profile: {error}");
        Vec::new()
    }))
}

pub(crate) fn server_name(server: Server) -> &'static str {
    match server {
        Server::Chroom => "chroom",
        Server::Janus => "janus",
    }
}

fn sfu_program(options: &Options) -> Result<PathBuf> {
    let beside = || Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name("chroom-bench-sfu"));
    let program = options.sfu_program.clone().map_or_else(beside, Ok)?;
    if !program.is_file() {
        bail!(
            "there is no {}: build it with cargo build --package chroom-bench-media, or name it with --sfu-program",
            program.display()
        );
    }
    Ok(program)
}

/// Runs the bare loops on the server's core, with a sink here: beside a server that carried `best`.
pub fn bare(options: &Options, scenario: Scenario, round: u8, protection: &str, best: Option<Window>) -> Result<Bare> {
    let key_bits = if protection == Profile::Gcm128.name() { "128" } else { "256" };
    let receivers = best.map_or(1, |best| best.sessions as u32).clamp(1, BARE_RECEIVERS).to_string();
    let task = ["bare", "--of", scenario.name(), "--receivers", &receivers, "--key-bits", key_bits];
    let (sent, arrived): (Sent, u64) = bare_loop(options, &task)?;
    let per_second = sent.packets as f64 / sent.seconds;
    eprintln!("{} bare loop: {per_second:.0} packets/s, {arrived} of {} arrived", scenario.name(), sent.packets);
    // Joins have no load to look for.
    let timed = if scenario == Scenario::Joins {
        None
    } else {
        let size = best.map_or(scenario.sizes().0, |best| best.size).to_string();
        let (carried, arrived): (Carried, u64) =
            bare_loop(options, &[task.as_slice(), &["--from-size", &size]].concat())?;
        eprintln!(
            "{} bare loop within the limits: size {}, {:.0} packets/s, p99 {:.2} ms, busy {:.0} %, {arrived} of {} arrived",
            scenario.name(),
            carried.size,
            carried.per_second,
            carried.delay_p99_ms,
            carried.busy * 100.0,
            carried.packets
        );
        Some(carried)
    };
    Ok(Bare { scenario, round, sent, arrived, per_second, timed, load: machine::load() })
}

/// Has a bare loop do its task; what it printed, and how many packets arrived.
fn bare_loop<T: DeserializeOwned>(options: &Options, task: &[&str]) -> Result<(T, u64)> {
    let mut sockets = Sockets::open(SOCKETS, Subnet::NAMESPACE, Instant::now(), Default::default(), options.load.seed)?;
    let ports: Vec<String> = sockets.ports()?.iter().map(u16::to_string).collect();
    let mut command = pinned(options.seat(), &std::env::current_exe()?.to_string_lossy());
    command.args(options.load.words());
    command.arg(format!("--growth={}", options.growth)).args(task).args(["--ports", &ports.join(",")]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut ended = None;
    let arrived = crate::bare::sink(&mut sockets, || {
        // Two more rounds, so that nothing is left in the buffers.
        match child.try_wait() {
            Ok(None) => true,
            _ => ended.get_or_insert_with(Instant::now).elapsed() < Duration::from_millis(10),
        }
    })?;
    let output = child.wait_with_output()?;
    Ok((serde_json::from_slice(&output.stdout).context("the bare loop failed")?, arrived))
}
