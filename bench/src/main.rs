//! `chroom-participant`: native participants in a room.

use anyhow::Context;
use chroom_bench::{
    intake::Intake,
    participant::{Plan, run},
    reception::Totals,
    source::Ptime,
    token,
};
use clap::Parser;
use std::{io::Write, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Joins a room as one or more native participants that publish and receive stamped media, sign receipts, and report what they measured.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:
  Ten participants with audio, two of them with video, for a minute:
    chroom-participant --url ws://127.0.0.1:7700 --key demo --secret-file demo.secret --room lobby \\
        --count 10 --video 2 --videos 2 --duration 60 --json
  One with a token that another program made:
    chroom-participant --url ws://127.0.0.1:7700 --token-file token.jwt --duration 10

Exit codes: 0 every participant got through, 1 one or more failed, 2 wrong usage."
)]
struct Arguments {
    /// Orchestrator's WebSocket URL.
    #[arg(long)]
    url: String,
    /// File with an access token; then one participant joins.
    #[arg(long, conflicts_with_all = ["key", "secret_file", "count"])]
    token_file: Option<PathBuf>,
    /// Key id of the application, to make tokens with.
    #[arg(long, requires = "secret_file", required_unless_present = "token_file")]
    key: Option<String>,
    /// File with the application's secret.
    #[arg(long, requires = "key")]
    secret_file: Option<PathBuf>,
    /// Room to join.
    #[arg(long, default_value = "lobby")]
    room: String,
    /// Prefix of the participants' identities.
    #[arg(long, default_value = "native")]
    name: String,
    /// Number of participants, 1 to 1,000.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    count: u16,
    /// How many of them publish video.
    #[arg(long, default_value_t = 0)]
    video: u16,
    /// Bit rate of each published video in kb/s.
    #[arg(long, default_value_t = 240)]
    video_kbps: u32,
    /// How many videos of others each asks for.
    #[arg(long, default_value_t = 2)]
    videos: usize,
    /// Publishes no audio.
    #[arg(long)]
    no_audio: bool,
    /// Milliseconds of sound in a packet: 20, 40 or 60.
    #[arg(long, default_value = "20", value_parser = ptime)]
    ptime: Ptime,
    /// Seconds to stay after joining.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    duration: u64,
    /// Milliseconds between one participant's joining and the next's.
    #[arg(long, default_value_t = 100)]
    stagger: u64,
    /// Prints the reports as one JSON array instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,chroom_bench=info".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the async runtime")
        .and_then(|runtime| runtime.block_on(participate(Arguments::parse())));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chroom-participant: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn ptime(value: &str) -> Result<Ptime, String> {
    let wrong = || format!("it is one of {:?}", Ptime::MILLISECONDS);
    value.parse().ok().and_then(Ptime::from_milliseconds).ok_or_else(wrong)
}

async fn participate(arguments: Arguments) -> anyhow::Result<bool> {
    let stop = CancellationToken::new();
    let on_signal = stop.clone();
    tokio::spawn(async move {
        chroom_rpc::telemetry::shutdown_signal().await;
        on_signal.cancel();
    });
    let given = arguments
        .token_file
        .as_ref()
        .map(|path| std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display())))
        .transpose()?;
    let secret = arguments
        .secret_file
        .as_ref()
        .map(|path| std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display())))
        .transpose()?;
    let intake = Arc::new(Intake::start().context("starting the thread that reads sockets")?);
    let mut tasks = Vec::new();
    for index in 0..arguments.count {
        let identity = format!("{}-{index}", arguments.name);
        let token = match (&given, &arguments.key, &secret) {
            (Some(token), _, _) => token.trim().to_owned(),
            (None, Some(key), Some(secret)) => {
                token::mint(key, secret.trim().as_bytes(), &arguments.room, &identity).context("making a token")?
            }
            _ => anyhow::bail!("give --token-file, or --key and --secret-file"),
        };
        let plan = Plan {
            url: arguments.url.clone(),
            token,
            identity: identity.clone(),
            audio: (!arguments.no_audio).then_some(arguments.ptime),
            video_kbps: (index < arguments.video).then_some(arguments.video_kbps),
            videos: arguments.videos,
            duration: Duration::from_secs(arguments.duration),
        };
        tasks.push((identity, tokio::spawn(run(plan, intake.clone(), stop.clone()))));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(arguments.stagger)) => {}
            () = stop.cancelled() => break,
        }
    }
    let mut reports = Vec::new();
    let mut all_well = true;
    for (identity, task) in tasks {
        match task.await.context("a participant's task ended abnormally")? {
            Ok(report) => reports.push(report),
            Err(error) => {
                all_well = false;
                eprintln!("{identity}: {error}");
            }
        }
    }
    if intake.overflowed() > 0 {
        tracing::warn!(
            messages = intake.overflowed(),
            "this machine is too slow for so many participants: what it could not take in is counted as lost"
        );
    }
    let mut out = std::io::stdout().lock();
    if arguments.json {
        serde_json::to_writer(&mut out, &reports)?;
        writeln!(out)?;
    } else {
        writeln!(
            out,
            "{:<14} {:>8} {:>8} {:>6} {:>8} {:>9} {:>9} {:>8}",
            "identity", "sent", "received", "lost", "withheld", "delay ms", "receipts", "tracks"
        )?;
        for report in &reports {
            let sum = |what: fn(&Totals) -> u64| report.tracks.iter().map(|track| what(&track.totals)).sum::<u64>();
            let delay = report.tracks.iter().map(|track| track.totals.mean_delay_ms).sum::<f64>()
                / report.tracks.len().max(1) as f64;
            writeln!(
                out,
                "{:<14} {:>8} {:>8} {:>6} {:>8} {:>9.1} {:>9} {:>8}",
                report.identity,
                report.sent_packets,
                report.received_packets,
                sum(|totals| totals.lost),
                sum(|totals| totals.withheld),
                delay,
                report.receipts,
                report.tracks.len()
            )?;
        }
    }
    Ok(all_well)
}
