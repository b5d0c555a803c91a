//! `chroom-bench-media`: see `--help`.

use anyhow::Result;
use chroom_bench_media::{
    bare,
    client::address::Subnet,
    impair::{round, table},
    machine,
    namespace::{self, Network},
    options::{Command, Options},
    processing,
    report::{self, Setting},
    run,
    wire::srtp::Profile,
};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        Some(Command::Bare(task)) => bare_loop(&options, task),
        Some(Command::Churn(task)) => churn(&options, task),
        Some(Command::Rush(task)) => rush(&options, task),
        Some(Command::Impair(task)) => impair(&options, task),
        Some(Command::Processing(task)) => costs(&options, task),
        None => all(&options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("chroom-bench-media: {error:#}");
        ExitCode::FAILURE
    })
}

fn bare_loop(options: &Options, task: &chroom_bench_media::options::Bare) -> Result<ExitCode> {
    let plan = bare::Plan {
        subnet: Subnet::NAMESPACE,
        ports: task.ports.clone(),
        receivers: task.receivers,
        bursts: task.of.bursts(&options.load.shape()),
        time: run::BARE_TIME,
        profile: if task.key_bits == 128 { Profile::Gcm128 } else { Profile::Gcm256 },
    };
    println!("{}", serde_json::to_string(&bare::run(&plan)?)?);
    Ok(ExitCode::SUCCESS)
}

fn churn(options: &Options, task: &chroom_bench_media::options::Churn) -> Result<ExitCode> {
    namespace::enter(Network::Shared)?;
    run::pin(options.generator_core)?;
    let outcome = run::churn(options, task)?;
    if options.json {
        println!("{}", serde_json::json!({ "bench": "churn", "outcome": outcome }));
    } else {
        println!("{}", report::churn(&outcome));
    }
    let leaks = outcome.leaks();
    leaks.iter().for_each(|leak| eprintln!("not forgotten: {leak}"));
    Ok(if leaks.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn rush(options: &Options, task: &chroom_bench_media::options::Rush) -> Result<ExitCode> {
    namespace::enter(Network::Shared)?;
    run::pin(options.generator_core)?;
    let outcome = run::rush(options, task)?;
    if options.json {
        println!("{}", serde_json::json!({ "bench": "rush", "outcome": outcome }));
    } else {
        println!("{}", report::rush(&outcome));
    }
    Ok(if outcome.up + outcome.refused == outcome.clients { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn impair(options: &Options, task: &chroom_bench_media::options::Impair) -> Result<ExitCode> {
    namespace::enter(if task.netem { Network::Routed } else { Network::Shared })?;
    run::pin(options.generator_core)?;
    let (mut rows, mut failed) = (Vec::new(), false);
    for server in &options.server {
        failed |= !round::measure(options, task, *server, |row| {
            if options.json {
                println!("{}", serde_json::json!({ "bench": "impair", "row": row }));
            }
            rows.push(row);
        });
    }
    if !options.json {
        println!("{}", table::table(&rows));
    }
    let missed = table::missed(&rows);
    missed.iter().for_each(|missed| eprintln!("missed: {missed}"));
    Ok(match (failed, options.check && !missed.is_empty()) {
        (true, _) => ExitCode::FAILURE,
        (_, true) => ExitCode::from(3),
        _ => ExitCode::SUCCESS,
    })
}

fn costs(options: &Options, task: &chroom_bench_media::options::Processing) -> Result<ExitCode> {
    let setting = Setting::new(options.load.shape());
    if !setting.optimised {
        eprintln!("this build isn't optimised: its figures are of no worth");
    }
    let rows = processing::measure(task.seconds, |row| {
        if options.json {
            println!("{}", serde_json::json!({ "bench": "processing", "cost": row }));
        }
    })?;
    if !options.json {
        println!("{} seconds on {}\n\n{}", task.seconds, machine::processor(), processing::table(&rows));
    }
    let short: Vec<_> = rows.iter().filter(|row| row.millicores > f64::from(row.reserved)).collect();
    short.iter().for_each(|row| eprintln!("takes more than is reserved: {}", row.job));
    Ok(if options.check && !short.is_empty() { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

fn all(options: &Options) -> Result<ExitCode> {
    namespace::enter(Network::Shared)?;
    run::pin(options.generator_core)?;
    let setting = Setting::new(options.load.shape());
    if !setting.optimised {
        eprintln!("this build isn't optimised: its figures are of no worth");
    }
    let (mut runs, mut loops, mut failed) = (Vec::new(), Vec::new(), false);
    for scenario in &options.scenario {
        for round in 1..=options.rounds {
            let before = runs.len();
            for server in &options.server {
                match run::run(options, *server, *scenario, round) {
                    Ok(run) => {
                        if options.json {
                            println!("{}", serde_json::json!({ "bench": "media", "setting": setting, "run": run }));
                        }
                        runs.push(run);
                    }
                    Err(error) => {
                        eprintln!("{} on {server:?}: {error:#}", scenario.name());
                        failed = true;
                    }
                }
            }
            let Some(first) = runs.get(before).filter(|_| !options.no_bare) else { continue };
            let sessions = first.best.map_or(1, |best| best.sessions as u32);
            let bare = run::bare(options, *scenario, round, first.protection, sessions)?;
            if options.json {
                println!("{}", serde_json::json!({ "bench": "media", "setting": setting, "bare": bare }));
            }
            loops.push(bare);
        }
    }
    if !options.json {
        println!("{}", report::table(&setting, &runs, &loops));
    }
    if failed {
        return Ok(ExitCode::FAILURE);
    }
    let missed = report::missed(&runs, &loops);
    missed.iter().for_each(|missed| eprintln!("missed: {missed}"));
    Ok(if options.check && !missed.is_empty() { ExitCode::from(3) } else { ExitCode::SUCCESS })
}
