//! What is printed: a table for people, a line of JSON per scenario and server for programs.

use crate::{
    bare::{Sent, timed::Carried},
    lab::{Joined, quantile},
    machine,
    profile::Stage,
    scenario::{Scenario, Shape},
    window::Window,
};
use std::fmt::Write;

/// The machine, for whoever compares.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Setting {
    /// Model of the processor.
    pub processor: String,
    /// Number of cores.
    pub cores: usize,
    /// Release of the kernel.
    pub kernel: String,
    /// Version of the generator.
    pub generator: &'static str,
    /// Whether the generator and Chroom's SFU were built with optimisations.
    pub optimised: bool,
    /// Numbers of the scenarios.
    pub shape: Shape,
}

impl Setting {
    /// Of this machine.
    pub fn new(shape: Shape) -> Self {
        Self {
            processor: machine::processor(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: machine::kernel(),
            generator: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            shape,
        }
    }
}

/// Quantiles of join times, in milliseconds.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct JoinTimes {
    /// Joins.
    pub count: usize,
    /// Until ICE and DTLS were up: half of them.
    pub up_p50_ms: f64,
    /// 99 of 100 of them.
    pub up_p99_ms: f64,
    /// Until the first media packet: half of them.
    pub media_p50_ms: f64,
    /// 99 of 100 of them.
    pub media_p99_ms: f64,
}

impl JoinTimes {
    /// Of a run.
    pub fn new(joined: &Joined) -> Self {
        Self {
            count: joined.up.len(),
            up_p50_ms: quantile(&joined.up, 0.5),
            up_p99_ms: quantile(&joined.up, 0.99),
            media_p50_ms: quantile(&joined.media, 0.5),
            media_p99_ms: quantile(&joined.media, 0.99),
        }
    }
}

/// One server under one scenario.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Run {
    /// The scenario.
    pub scenario: Scenario,
    /// Name and version of the server.
    pub server: String,
    /// The round, from 1.
    pub round: u8,
    /// What media was protected with.
    pub protection: &'static str,
    /// The greatest load within the limits.
    pub best: Option<Window>,
    /// Whether the generator, not the server, ended the search.
    pub generators_limit: bool,
    /// All windows.
    pub windows: Vec<Window>,
    /// Memory of the server before anyone joined, in MiB.
    pub rss_empty_mib: f64,
    /// Memory that each connection took at the best load, in KiB.
    pub rss_per_session_kib: f64,
    /// Join times.
    pub joins: JoinTimes,
    /// Where the server's time went.
    pub profile: Vec<Stage>,
}

impl Run {
    /// Packets a second at the best load.
    pub fn forwarded(&self) -> f64 {
        self.best.map_or(0.0, |best| best.forwarded)
    }

    /// CPU time of the server's process per forwarded packet, in microseconds.
    pub fn micros_per_packet(&self) -> f64 {
        self.best.map_or(0.0, |best| best.sfu_cpu * 1e6 / best.forwarded.max(1.0))
    }
}

/// The bare loop of a scenario's packets.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Bare {
    /// The scenario.
    pub scenario: Scenario,
    /// The round, from 1.
    pub round: u8,
    /// What the loop did.
    pub sent: Sent,
    /// Packets that the sink got.
    pub arrived: u64,
    /// Packets a second that the kernel took.
    pub per_second: f64,
    /// What it carried within the limits.
    pub timed: Option<Carried>,
    /// Load average of the machine.
    pub load: f64,
}

/// The table of all runs.
pub fn table(setting: &Setting, runs: &[Run], bare: &[Bare]) -> String {
    let mut out = String::new();
    let Setting { processor, cores, kernel, .. } = setting;
    let build = if setting.optimised { "optimised" } else { "UNOPTIMISED" };
    let _ = writeln!(
        out,
        "{processor}, {cores} cores, Linux {kernel}; {build} build; server and generator on a core each\n"
    );
    out.push_str("| Scenario | Server | Round | Size | Sessions | Packets/s | Loss | p50, p99 delay | CPU, core busy | µs/packet | Memory/session | Join p50, p99 | Media p50, p99 | Load |\n");
    out.push_str("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for run in runs {
        let _ = write!(out, "| {} | {} | {} | ", run.scenario.name(), run.server, run.round);
        match &run.best {
            None => out.push_str("none | | | | | | | | | | |\n"),
            Some(best) => {
                let more = if run.generators_limit { "≥ " } else { "" };
                let _ = writeln!(
                    out,
                    "{more}{} | {} | {more}{:.0} | {:.2} % | {:.2}, {:.2} ms | {:.0} %, {:.0} % | {:.2} | {:.0} KiB | {:.0}, {:.0} ms | {:.0}, {:.0} ms | {:.1} |",
                    best.size,
                    best.sessions,
                    best.forwarded,
                    best.loss * 100.0,
                    best.delay_p50_ms,
                    best.delay_p99_ms,
                    best.sfu_cpu * 100.0,
                    best.core_busy * 100.0,
                    run.micros_per_packet(),
                    run.rss_per_session_kib,
                    run.joins.up_p50_ms,
                    run.joins.up_p99_ms,
                    run.joins.media_p50_ms,
                    run.joins.media_p99_ms,
                    best.load,
                );
            }
        }
    }
    for bare in bare {
        let _ = writeln!(
            out,
            "| {} | bare loop | {} | | | {:.0} | {:.2} % | | | {:.2} | | | | {:.1} |",
            bare.scenario.name(),
            bare.round,
            bare.per_second,
            100.0 * (1.0 - bare.arrived as f64 / bare.sent.packets.max(1) as f64),
            1e6 / bare.per_second.max(1.0),
            bare.load,
        );
        if let Some(carried) = bare.timed {
            let _ = writeln!(
                out,
                "| {} | bare loop within the limits | {} | {} | | {:.0} | {:.2} % | {:.2}, {:.2} ms | {:.0} % | {:.2} | | | | {:.1} |",
                bare.scenario.name(),
                bare.round,
                carried.size,
                carried.per_second,
                carried.loss * 100.0,
                carried.delay_p50_ms,
                carried.delay_p99_ms,
                carried.busy * 100.0,
                1e6 * carried.busy / carried.per_second.max(1.0),
                bare.load,
            );
        }
    }
    for run in runs.iter().filter(|run| !run.profile.is_empty()) {
        let _ = writeln!(
            out,
            "\n{}, {}: {:.2} µs of CPU time per packet\n",
            run.server,
            run.scenario.name(),
            run.micros_per_packet()
        );
        out.push_str("| Stage | Share | µs/packet |\n|---|--:|--:|\n");
        for stage in &run.profile {
            let micros = stage.share * run.micros_per_packet();
            let _ = writeln!(out, "| {} | {:.1} % | {micros:.3} |", stage.name, stage.share * 100.0);
        }
    }
    out
}

/// The targets that Chroom misses, in words.
pub fn missed(runs: &[Run], bare: &[Bare]) -> Vec<String> {
    let best = |scenario: Scenario, name: &str| {
        let of = |run: &&Run| run.scenario == scenario && run.server.starts_with(name);
        runs.iter()
            .filter(of)
            .map(Run::forwarded)
            .fold(None, |best: Option<f64>, next| Some(best.unwrap_or(0.0).max(next)))
    };
    let mut missed = Vec::new();
    for scenario in [Scenario::FanOut, Scenario::Rooms, Scenario::Mesh, Scenario::Audio] {
        let Some(chroom) = best(scenario, "Chroom") else { continue };
        let mut target = |what: &str, least: f64| {
            if chroom < least {
                missed
                    .push(format!("{}: Chroom forwarded {chroom:.0} packets/s, {what} is {least:.0}", scenario.name()));
            }
        };
        // Of sound there are no more packets than sounds.
        if scenario != Scenario::Audio {
            target("the least", 60_000.0);
        }
        if let Some(janus) = best(scenario, "Janus") {
            target("three times Janus's", 3.0 * janus);
        }
        let loops = bare.iter().filter(|bare| bare.scenario == scenario).map(|bare| bare.per_second);
        if let Some(bare) = loops.reduce(f64::max) {
            target("half of the bare loop's", 0.5 * bare);
        }
    }
    missed
}

/// The table of joins and leaves.
pub fn churn(outcome: &crate::churn::Outcome) -> String {
    let mut text =
        String::from("| Sessions so far | Seconds | Memory | Descriptors | Threads | Sessions | Rooms | Tracks |\n");
    text.push_str("|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for note in &outcome.notes {
        text.push_str(&format!(
            "| {} | {:.0} | {:.1} MiB | {} | {} | {} | {} | {} |\n",
            note.sessions,
            note.seconds,
            note.rss_mib,
            note.descriptors,
            note.threads,
            note.known,
            note.rooms,
            note.tracks
        ));
    }
    text.push_str(&format!(
        "{} sessions didn't come up; over the second half memory grew by {:.1} bytes a session",
        outcome.failed, outcome.growth
    ));
    text
}

/// What became of a crowd, and of the calls beside it.
pub fn rush(outcome: &crate::rush::Outcome) -> String {
    let mut text = format!(
        "{} clients at once: {} up, {} refused, {} failed; the first after {:.2} s, half after {:.2}, 99 of 100 after {:.2}, the last after {:.2}\n\n",
        outcome.clients,
        outcome.up,
        outcome.refused,
        outcome.failed,
        outcome.first,
        outcome.half,
        outcome.most,
        outcome.last
    );
    text.push_str(
        "| Calls beside it | Seconds | Packets/s | Loss | p50, p99, longest delay |\n|---|--:|--:|--:|--:|\n",
    );
    for (when, calls) in [("before", outcome.before), ("during", outcome.during), ("after", outcome.after)] {
        text.push_str(&format!(
            "| {when} | {:.1} | {:.0} | {:.2} % | {:.2}, {:.2}, {:.0} ms |\n",
            calls.seconds,
            calls.packets,
            calls.loss * 100.0,
            calls.p50_ms,
            calls.p99_ms,
            calls.longest_ms
        ));
    }
    text
}
