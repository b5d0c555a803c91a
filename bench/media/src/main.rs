//! `chroom-bench-media`: see `--help`.

use anyhow::Result;
use chroom_bench_media::{
    bare::{self, timed},
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
    let (subnet, ports) = (Subnet::NAMESPACE, task.ports.clone());
    let profile = if task.key_bits == 128 { Profile::Gcm128 } else { Profile::Gcm256 };
    let (shape, time) = (options.load.shape(), run::BARE_TIME);
    let done = match task.from_size {
        Some(size) => {
            let (of, growth, seed) = (task.of, options.growth, options.load.seed);
            let plan = timed::Plan { subnet, ports, of, shape, size, growth, time, profile, seed };
            serde_json::to_string(&timed::run(&plan)?)?
        }
        None => {
            let (receivers, bursts) = (task.receivers, task.of.bursts(&shape));
            serde_json::to_string(&bare::run(&bare::Plan { subnet, ports, receivers, bursts, time, profile })?)?
        }
    };
    println!("{done}");
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
            let bare = run::bare(options, *scenario, round, first.protection, first.best)?;
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
