//! `chroom up`: a whole network on loopback, supervised.
//!
//! The supervisor loop runs on the program's main task, since the kernel ties the children's lives to the thread that starts
//! them; the steps of the start run beside it and hand it the processes to launch.

pub mod demo;
pub mod enrol;
pub mod keys;
pub mod lock;
pub mod options;
pub mod plan;
pub mod ports;
pub mod process;
pub mod readiness;
pub mod ready;
pub mod startup;
pub mod supervisor;

use crate::{
    failure::{Context, Failure},
    output::Output,
};
use lock::Lock;
use options::Options;
use plan::Plan;
use process::Processes;
use std::path::{Path, PathBuf};
use supervisor::Policy;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

/// What `chroom up --help` says after the options.
pub const HELP: &str = "\
Starts validators, registry nodes, media nodes and orchestrators on 127.0.0.1, each with a wallet of its own, registers
and bonds them through extrinsics, and serves the demo. Ctrl-C ends all of it; the next start goes on with the same data.

Examples:
  chroom up --web web/dist
  chroom up --registries 4 --media 3 --orchestrators 2
  chroom up --data /tmp/net --base-port 11000 --clean --json
  chroom up --media-args media-2=--fault-egress-loss=0.1    tests: media-2 drops a tenth of what it sends

Ports, from --base-port (9900):
   +0        demo and network pages, POST /token, GET /network
   +1..+8    orchestrators: signalling (WebSocket), /health, /metrics, /v1/network
  +10..+17   registries: gRPC
  +20..+27   registries: libp2p
  +30..+37   validators: libp2p
  +44..+51   validators: JSON-RPC
  +52..+59   validators: metrics
  +60..+67   registries: JSON-RPC, /health, /metrics
  +70..+77   media nodes: gRPC
  +80..+87   media nodes: media over UDP
  +90..+97   media nodes: public API, /health, /metrics

Who pays: //Eve bonds for registries, //Charlie and //Dave for media nodes, //Ferdie for orchestrators and for the demo
application, whose account it is; //Alice and //Bob validate.

In the data folder: a folder for each node with its keystore and passphrase; logs/<name>.log; apps/ with the demo
application's secret; processes.json, what runs now; network.json, what --json prints, where other commands take their
defaults from.

With --json, one line is printed on stdout once all is up:
  { ready, demo, explorer, orchestrators, registries, mediaNodes, validators, operator, logs, processes, apps, chain }

The programs are looked for beside this one, or in the folder that CHROOM_BIN_DIR names.";

/// Runs the network until a signal comes or the start fails.
pub async fn run(options: &Options, output: Output) -> Result<(), Failure> {
    if let Some(web) = &options.web
        && !web.join("index.html").is_file()
    {
        return Err(Failure::usage(format_args!("{} holds no built web pages", web.display()))
            .hint("build them first: npm --prefix web run build"));
    }
    let data = prepare(options)?;
    let _lock = Lock::take(&data)?;
    let plan = Plan::new(options, &data)?;
    ports::check(&plan)?;
    keys::folder(&plan.logs())?;
    let mut interrupts = Interrupts::new()?;
    let mut processes = Processes::new(Policy::default(), data.join("processes.json"));
    let (orders, mut launches) = mpsc::unbounded_channel();
    let startup = startup::Startup::new(plan, options, orders, processes.views(), output);
    let mut startup = tokio::spawn(startup.run());
    let mut up = None;
    let result = loop {
        tokio::select! {
            Some(spec) = launches.recv() => processes.launch(spec),
            () = processes.advance() => {}
            ended = &mut startup, if up.is_none() => match ended.context("the start was cut off").and_then(|result| result) {
                Ok((ready, demo)) => {
                    ready.announce(output);
                    up = Some(demo);
                }
                Err(failure) => break Err(failure),
            },
            () = interrupts.next() => break Ok(()),
        }
    };
    startup.abort();
    if let Some(demo) = up {
        demo.abort();
    }
    output.step("ending all processes (once more Ctrl-C kills them)");
    processes.stop();
    while !processes.is_finished() {
        tokio::select! {
            () = processes.advance() => {}
            () = interrupts.next() => processes.kill(),
            () = tokio::time::sleep(process::LONGEST_STOP) => processes.kill(),
        }
    }
    output.step("all processes ended");
    result
}

/// Makes the data folder, empty if that was asked for.
fn prepare(options: &Options) -> Result<PathBuf, Failure> {
    keys::folder(&options.data)?;
    let data = std::fs::canonicalize(&options.data)
        .context(format_args!("cannot open the folder {}", options.data.display()))?;
    if options.clean {
        // Another network's folder must not be pulled away from under it, and a mistyped path not be emptied.
        let _lock = Lock::take(&data)?;
        clean(&data)?;
    }
    Ok(data)
}

fn clean(data: &Path) -> Result<(), Failure> {
    let entries = std::fs::read_dir(data).context(format_args!("cannot read {}", data.display()))?;
    let entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let strange = entries.iter().find(|path| !is_ours(path));
    if let Some(path) = strange {
        return Err(Failure::new(format_args!("{} was not made by chroom up: nothing was removed", path.display()))
            .hint("give --data a folder that holds a local network and nothing else"));
    }
    for path in entries {
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.context(format_args!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Whether a file of the data folder has a name that this program gives.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let numbered = name.rsplit_once('-').is_some_and(|(kind, number)| {
        matches!(kind, "validator" | "registry" | "media" | "orchestrator") && number.parse::<u16>().is_ok()
    });
    numbered
        || matches!(
            name,
            "lock" | "logs" | "apps" | "processes.json" | "processes.draft" | "network.json" | "network.draft"
        )
}

struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning_empties_a_network_folder_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { data: dir.path().join("net"), clean: true, ..Options::default() };
        let data = prepare(&options).unwrap();
        std::fs::create_dir_all(data.join("media-1/data")).unwrap();
        std::fs::write(data.join("processes.json"), "[]").unwrap();
        prepare(&options).unwrap();
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0);
        std::fs::create_dir_all(data.join("media-1")).unwrap();
        std::fs::write(data.join("thesis.tex"), "years of work").unwrap();
        let failure = prepare(&options).unwrap_err();
        assert!(failure.message.contains("thesis.tex"), "{failure}");
        assert!(data.join("media-1").exists() && data.join("thesis.tex").exists());
    }
}
