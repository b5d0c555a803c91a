//! Runs the simulation and writes tables and plots.

use anyhow::Context;
use chroom_economics::{
    report,
    scenario::{Scenario, catalogue},
    simulation::{Size, run},
    sweep,
};
use clap::Parser;
use std::{fs, num::NonZero, path::PathBuf, thread, time::Instant};

/// What honest nodes and attackers earn over many epochs, as tables, plots and a line of JSON.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder for tables and plots
    #[arg(long, default_value = "docs/plots")]
    out: PathBuf,
    /// Epochs (hours under the live parameters)
    #[arg(long, default_value_t = 1_000)]
    epochs: u32,
    /// Media nodes; reserve and cap are scaled from the live network's 10,000
    #[arg(long, default_value_t = 10_000)]
    nodes: usize,
    /// Registry nodes, which attest
    #[arg(long, default_value_t = 300)]
    attestors: usize,
    /// Epochs of each network of the sweeps
    #[arg(long, default_value_t = 72)]
    sweep_epochs: u32,
    /// Media nodes of each network of the sweeps
    #[arg(long, default_value_t = 2_000)]
    sweep_nodes: usize,
    /// Registry nodes of each network of the sweeps
    #[arg(long, default_value_t = 60)]
    sweep_attestors: usize,
    /// What all randomness comes from
    #[arg(long, default_value_t = 2026)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let Arguments { epochs, nodes, attestors, seed, .. } = arguments;
    let size = Size { epochs, nodes, attestors, seed, threads };
    let scenarios: Vec<Scenario> = catalogue().into_iter().map(|scenario| scenario.scaled(nodes)).collect();
    eprintln!("{} networks of {nodes} media nodes and {attestors} attestors, {epochs} epochs", scenarios.len());
    let outcomes = run(&size, &scenarios)?;
    eprintln!("[{:>5.1} s] sweeps", began.elapsed().as_secs_f32());
    let sweeps = sweep::all(&Size {
        epochs: arguments.sweep_epochs,
        nodes: arguments.sweep_nodes,
        attestors: arguments.sweep_attestors,
        ..size
    })?;
    fs::create_dir_all(&arguments.out).with_context(|| format!("cannot make {}", arguments.out.display()))?;
    for file in report::files(&outcomes, &sweeps) {
        let path = arguments.out.join(&file.name);
        fs::write(&path, file.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    eprint!("{}", report::summary(&outcomes));
    eprintln!("[{:>5.1} s] tables and plots are in {}", began.elapsed().as_secs_f32(), arguments.out.display());
    println!("{}", report::json(&size, &outcomes, &sweeps));
    Ok(())
}
