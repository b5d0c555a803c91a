//! What is printed: a table for people, a line of JSON for programs.

use crate::{load::Measured, options::Database, options::Size};
use std::fmt::Write;

/// The state after an epoch in which so many calls were attested and all nodes claimed.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Growth {
    /// Calls in the epoch.
    pub calls: u64,
    /// Entries of the whole state before the epoch's roots and claims.
    pub entries_before: u64,
    /// Entries afterwards.
    pub entries_after: u64,
    /// Bytes of the state's values before.
    pub bytes_before: u64,
    /// Bytes afterwards.
    pub bytes_after: u64,
    /// Bytes of transactions in blocks for the epoch.
    pub block_bytes: u64,
}

/// What one database showed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Run {
    /// The database.
    pub database: Database,
    /// The loads.
    pub loads: Vec<Measured>,
    /// The state's growth.
    pub growth: Vec<Growth>,
}

/// The machine and versions, for whoever compares.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Setting {
    /// Model of the processor.
    pub processor: String,
    /// Number of cores.
    pub cores: usize,
    /// `chroom-node --version`.
    pub node: String,
    /// The load.
    pub size: Size,
}

/// The processor's model, as Linux names it.
pub fn processor() -> String {
    std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            text.lines()
                .find(|line| line.starts_with("model name"))
                .and_then(|line| line.split(": ").nth(1))
                .map(str::to_owned)
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The tables.
pub fn table(setting: &Setting, runs: &[Run]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{}, {} cores; {}; {} media nodes, {} registry nodes, committees of {}\n",
        setting.processor,
        setting.cores,
        setting.node,
        setting.size.media,
        setting.size.registries,
        setting.size.committee
    );
    for run in runs {
        let transfers =
            run.loads.iter().find(|load| load.kind == "transfers").map_or(1, |load| load.most_per_block.max(1));
        let _ = writeln!(
            text,
            "{:<9} {:>6} {:>9} {:>6} {:>10} {:>9} {:>11} {:>11} {:>11} {:>11}",
            run.database.flag(),
            "sent",
            "succeeded",
            "failed",
            "most/block",
            "transfers",
            "weight each",
            "fit/block",
            "built in",
            "block bytes"
        );
        for load in &run.loads {
            let _ = writeln!(
                text,
                "{:<9} {:>6} {:>9} {:>6} {:>10} {:>8.2}x {:>8} µs {:>11} {:>8} ms {:>11}",
                load.kind,
                load.sent,
                load.succeeded,
                load.failed,
                load.most_per_block,
                f64::from(load.most_per_block) / f64::from(transfers),
                load.weight_each / 1_000_000,
                load.fit_by_weight,
                load.building_ms_of_fullest.map_or_else(|| "?".to_owned(), |ms| ms.to_string()),
                load.bytes_of_fullest
            );
        }
        let _ =
            writeln!(text, "{:<9} {:>16} {:>16} {:>16}", "calls", "entries added", "state bytes +", "bytes in blocks");
        for growth in &run.growth {
            let _ = writeln!(
                text,
                "{:<9} {:>16} {:>16} {:>16}",
                growth.calls,
                growth.entries_after as i64 - growth.entries_before as i64,
                growth.bytes_after as i64 - growth.bytes_before as i64,
                growth.block_bytes
            );
        }
        text.push('\n');
    }
    text
}
