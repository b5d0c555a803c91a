//! Chroom's SFU alone, for the load generator: the media node's own shards, sockets, router and engine, without the parts that need a chain,
//! a registry and orchestrators. Requests come as JSON lines on standard input, answers go to standard output.

use anyhow::{Context, Result};
use chroom_bench_media::sfu::chroom::{Answer, OnLine, Request, Totals};
use chroom_media_node::sfu::{
    Sfu, SfuConfig,
    event::CloseReason,
    id::{Mid, RoomId, SessionId},
    priority::Priority,
    router::{Opening, Publish, Subscribe},
};
use clap::Parser;
use futures::{StreamExt, stream::FuturesOrdered};
use std::{
    io::{BufRead, IsTerminal, Write},
    net::SocketAddr,
};
use tokio::sync::mpsc;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// Kilobits a second that a session may publish: more than any load here.
const UPLINK_KBPS: u32 = 1_000_000;

/// Runs Chroom's SFU alone, told what to do by JSON lines on standard input; it ends with them. The load generator starts it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// UDP address for media.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Media threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
}

/// The media node's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal).with_writer(std::io::stderr).init();
    let shards = usize::from(arguments.threads);
    let config = SfuConfig { listen: arguments.listen, tcp: false, advertise: None, shards, egress_loss: None };
    let sfu = Sfu::start(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    say(&Answer::Ready { version: env!("CARGO_PKG_VERSION").into() })?;
    let (lines, requests) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let served = runtime.block_on(serve(&sfu, requests));
    runtime.block_on(sfu.stop(CloseReason::Draining));
    served
}

/// Carries out requests side by side, as they would come from many; answers are in their order.
async fn serve(sfu: &Sfu, mut requests: mpsc::Receiver<std::io::Result<String>>) -> Result<()> {
    let mut answers = FuturesOrdered::new();
    loop {
        tokio::select! {
            line = requests.recv() => {
                let Some(line) = line else { return Ok(()) };
                let request = serde_json::from_str(&line?).context("a request is not understood")?;
                answers.push_back(answer(sfu, request));
            }
            Some(answer) = answers.next() => {
                let refused = |error: anyhow::Error| Answer::Refused { reason: format!("{error:#}") };
                say(&answer.unwrap_or_else(refused))?;
            }
        }
    }
}

fn say(answer: &Answer) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, answer)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

async fn answer(sfu: &Sfu, request: Request) -> Result<Answer> {
    match request {
        Request::Join { room, participant, offer, publish, subscribe } => {
            let (room, session): (RoomId, _) = (room.parse()?, session(participant));
            let opening = Opening {
                room: room.clone(),
                session,
                participant: format!("participant-{participant}").parse()?,
                publish: true,
                subscribe: true,
                uplink_kbps: UPLINK_KBPS,
            };
            sfu.open(opening)?.done().await??;
            let line = |on: &OnLine| Mid::parse(&on.mid).context("an m-line without a name");
            let publish: Result<Vec<Publish>> = publish
                .iter()
                .map(|on| Ok(Publish { mid: line(on)?, track: on.track.parse()?, source: "camera".into() }))
                .collect();
            let subscribe: Result<Vec<Subscribe>> = subscribe
                .iter()
                .map(|on| {
                    let (mid, track) = (line(on)?, Some(on.track.parse()?));
                    Ok(Subscribe { mid, track, max_height: 0, priority: Priority::default() })
                })
                .collect();
            let sdp = sfu.negotiate(&room, session, offer, publish?, subscribe?)?.done().await??;
            Ok(Answer::Joined { sdp })
        }
        Request::Leave { room, participant } => {
            sfu.close(&room.parse()?, session(participant), CloseReason::Requested("left".into()))?.done().await?;
            Ok(Answer::Left)
        }
        Request::Totals => {
            let (totals, _) = sfu.stats(None).await?;
            Ok(Answer::Totals(Totals { rooms: totals.rooms, sessions: totals.sessions, tracks: totals.tracks }))
        }
    }
}

fn session(participant: u32) -> SessionId {
    SessionId(u128::from(participant).to_be_bytes())
}
