//! The command line.

use crate::{
    model::line::{Delay, Loss},
    netem,
    scenario::{Scenario, Shape},
    sfu::process::Seat,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{path::PathBuf, time::Duration};

/// A media server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Server {
    /// Chroom's SFU, in chroom-bench-sfu.
    Chroom,
    /// Janus's video room, as installed.
    Janus,
}

/// Puts thousands of synthetic WebRTC clients on a media server that has one core to itself, and finds the greatest load that it carries with
/// less than 1 % of packets lost and 99 of 100 delayed by less than 5 ms.
#[derive(Parser, Clone, Debug)]
#[command(
    version,
    after_help = "Examples:
  Everything, Chroom beside Janus, beside the bare loop:
    chroom-bench-media
  One publisher and many receivers, Chroom only, with a profile of where its time goes:
    chroom-bench-media --server chroom --scenario fan-out --profile
  A day's joins and leaves, and what is left after them:
    chroom-bench-media churn --sessions 100000
  Two thousand who join at the same moment, as when another node has died:
    chroom-bench-media rush --clients 2000
  Receivers behind bad lines, Chroom beside Janus:
    chroom-bench-media impair --loss 0,2,10 --rtt 100
  The same with the kernel's netem between network namespaces:
    chroom-bench-media impair --netem --loss 0,2 --rtt 50
  What processing costs, beside what a node reserves for it:
    chroom-bench-media processing
  200 receivers for 20 seconds behind lines that lose 2 % and take 40 ms:
    chroom-bench-media --scenario fan-out --size 200 --window 20 --downlink-loss 0.02 --uplink-delay 40

Exit codes: 0 all was measured, 1 something couldn't be, 2 wrong usage, 3 a target of --check is missed, or the server didn't forget who left."
)]
pub struct Options {
    /// What else to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Servers, in turn.
    #[arg(long, value_delimiter = ',', default_values = ["chroom", "janus"])]
    pub server: Vec<Server>,
    /// Scenarios, one after the other.
    #[arg(long, value_delimiter = ',', default_values = ["fan-out", "rooms", "mesh", "audio", "joins"])]
    pub scenario: Vec<Scenario>,
    /// A fixed size instead of the search for the greatest.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub size: Option<u32>,
    /// Rounds: in each, every server is measured once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub rounds: u8,
    /// The server's core.
    #[arg(long, default_value_t = 0)]
    pub core: usize,
    /// The generator's core.
    #[arg(long, default_value_t = 1)]
    pub generator_core: usize,
    /// Seconds that a load is measured.
    #[arg(long, default_value_t = 5)]
    pub window: u64,
    /// Seconds before that, in which a new load settles.
    #[arg(long, default_value_t = 2)]
    pub settle: u64,
    /// A load counts as carried if it is in one of so many windows; others on the machine may spoil some.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    pub tries: u8,
    /// Factor from step to step of the search.
    #[arg(long, default_value_t = 1.35)]
    pub growth: f64,
    /// The load's shape.
    #[command(flatten)]
    pub load: Load,
    /// Threads that serve all of Janus's peers together; 0: each peer has its own, Janus's default.
    #[arg(long, default_value_t = 1)]
    pub janus_loops: u16,
    /// chroom-bench-sfu; by default the one beside this program.
    #[arg(long)]
    pub sfu_program: Option<PathBuf>,
    /// Leaves the bare loop out.
    #[arg(long)]
    pub no_bare: bool,
    /// Profiles the server with `perf` at the greatest load that it carried.
    #[arg(long)]
    pub profile: bool,
    /// Prints JSON lines only, one per scenario and server.
    #[arg(long)]
    pub json: bool,
    /// Ends with 3 if Chroom misses a target: 3 times Janus's packets a second, 60,000, half of the bare loop's.
    #[arg(long)]
    pub check: bool,
}

/// The load's shape.
#[derive(Args, Clone, Debug)]
pub struct Load {
    /// Bit rate of fan-out's video, in kb/s.
    #[arg(long, default_value_t = 2_500)]
    video_kbps: u32,
    /// Bit rate of each video of a mesh, in kb/s.
    #[arg(long, default_value_t = 600)]
    mesh_kbps: u32,
    /// Participants of a mesh.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=16))]
    party: u32,
    /// Voices pause, and silence isn't sent.
    #[arg(long)]
    dtx: bool,
    /// Share of packets that get lost on the way to the clients, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    downlink_loss: f64,
    /// Share of packets that get lost on the way to the server.
    #[arg(long, default_value_t = 0.0)]
    uplink_loss: f64,
    /// Mean number of packets that are lost at once; above 1, losses follow Gilbert and Elliott.
    #[arg(long, default_value_t = 1.0)]
    burst: f64,
    /// Delay on the way to the server, in milliseconds.
    #[arg(long, default_value_t = 0)]
    uplink_delay: u64,
    /// Up to as many milliseconds more, evenly spread.
    #[arg(long, default_value_t = 0)]
    uplink_jitter: u64,
    /// Publishers hand a frame's packets to the kernel together, so that the server gets them together.
    #[arg(long)]
    pub uplink_batches: bool,
    /// Randomness begins with this.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What the program also does.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// The bare encrypt-and-send loop; the generator starts it.
    #[command(hide = true)]
    Bare(Bare),
    /// Joins and leaves: whether Chroom's SFU forgets who left.
    Churn(Churn),
    /// A crowd that joins all at once beside calls: how long it takes, and what the calls notice.
    Rush(Rush),
    /// Lines that lose, delay, and get narrow for a while: what can be seen behind them.
    Impair(Impair),
    /// What mixes, recordings, bridges and thumbnails cost a media node, in thousandths of a core.
    Processing(Processing),
}

/// What processing costs.
#[derive(Args, Clone, Debug)]
pub struct Processing {
    /// Seconds of material.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
}

/// Quality under impairment. Every loss is measured with every round trip, on a line of 3 Mb/s, then 0.5, then 3 again.
#[derive(Args, Clone, Debug)]
pub struct Impair {
    /// Losses, in percent, each way.
    #[arg(long, value_delimiter = ',', default_values_t = [0.0, 2.0, 5.0, 10.0, 20.0])]
    pub loss: Vec<f64>,
    /// Round trips, in milliseconds.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 100, 300])]
    pub rtt: Vec<u64>,
    /// Up to as many milliseconds more each way.
    #[arg(long, default_value_t = 0)]
    pub jitter: u64,
    /// Lines are the kernel's (netem and tbf between network namespaces) instead of the generator's model. Needs a kernel that has them.
    #[arg(long, conflicts_with = "jitter")]
    pub netem: bool,
    /// Seconds of each of the three phases.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(5..=600))]
    pub phase: u64,
    /// Bit rate of the publisher's top layer, in kb/s.
    #[arg(long, default_value_t = 2_200, value_parser = clap::value_parser!(u32).range(600..=20_000))]
    pub top_kbps: u32,
    /// Conditions that are measured at the same time, in a room each.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub at_once: u8,
}

/// Joins and leaves.
#[derive(Args, Clone, Debug)]
pub struct Churn {
    /// Sessions in all.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=120_000))]
    pub sessions: u32,
    /// Rooms of five at a time.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rooms: u32,
    /// Of a hundred that leave, so many vanish without a word.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub vanish_percent: u32,
}

/// A crowd at the door.
#[derive(Args, Clone, Debug)]
pub struct Rush {
    /// Clients who join at once.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub clients: u32,
    /// Receivers of a video who are there already, in rooms of 25.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub receivers: u32,
}

/// The bare loop's task.
#[derive(Args, Clone, Debug)]
pub struct Bare {
    /// Ports of the sink.
    #[arg(long, value_delimiter = ',')]
    pub ports: Vec<u16>,
    /// The scenario whose packets are sent.
    #[arg(long)]
    pub of: Scenario,
    /// Receivers.
    #[arg(long)]
    pub receivers: u32,
    /// Length of the cipher's key in bits, 128 or 256.
    #[arg(long)]
    pub key_bits: u16,
    /// Frames come when they are due, and the greatest load within the limits is looked for, from this size on.
    #[arg(long)]
    pub from_size: Option<u32>,
}

impl Options {
    /// Where the server runs.
    pub fn seat(&self) -> Seat {
        let is_routed = matches!(&self.command, Some(Command::Impair(task)) if task.netem);
        Seat { core: self.core, namespace: is_routed.then_some(netem::SERVER) }
    }

    /// How long a window is.
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window.max(1))
    }
}

impl Load {
    /// Numbers of the scenarios.
    pub fn shape(&self) -> Shape {
        let mut shape = Shape::default();
        shape.video.kbps = self.video_kbps.max(50);
        shape.small.kbps = self.mesh_kbps.max(50);
        shape.party = self.party;
        shape.audio.dtx = self.dtx;
        shape
    }

    /// The words that give another process of this program the same shape.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![
            format!("--video-kbps={}", self.video_kbps),
            format!("--mesh-kbps={}", self.mesh_kbps),
            format!("--party={}", self.party),
        ];
        words.extend(self.dtx.then(|| "--dtx".into()));
        words
    }

    /// What is lost on the way to the clients.
    pub fn downlink(&self) -> Loss {
        self.loss(self.downlink_loss)
    }

    /// What is lost on the way to the server, and how long it takes.
    pub fn uplink(&self) -> (Loss, Delay) {
        let delay =
            Delay { base: Duration::from_millis(self.uplink_delay), jitter: Duration::from_millis(self.uplink_jitter) };
        (self.loss(self.uplink_loss), delay)
    }

    /// Loss of a share (0 to 1), in bursts if so asked.
    pub fn loss(&self, share: f64) -> Loss {
        if share <= 0.0 {
            Loss::None
        } else if self.burst <= 1.0 {
            Loss::Random { share }
        } else {
            // Bad for as long as a burst, and so often that the share comes out.
            let recovers = 1.0 / self.burst;
            Loss::Bursts { worsens: (recovers * share / (1.0 - share).max(0.01)).min(1.0), recovers, share: 1.0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_understood() {
        let parse = |words: &str| Options::try_parse_from(words.split_whitespace());
        let all = parse("chroom-bench-media").unwrap();
        assert_eq!((all.server.len(), all.scenario.len()), (2, 5));
        let one = parse("chroom-bench-media --server chroom --scenario fan-out --profile").unwrap();
        assert_eq!((one.server, one.scenario), (vec![Server::Chroom], vec![Scenario::FanOut]));
        let lossy =
            parse("x --scenario fan-out --size 200 --window 20 --downlink-loss 0.02 --uplink-delay 40").unwrap();
        assert_eq!(lossy.load.downlink(), Loss::Random { share: 0.02 });
        assert_eq!(lossy.load.uplink().1.base, Duration::from_millis(40));
        let Some(Command::Impair(impair)) = parse("x impair --loss 0,2.5 --rtt 100").unwrap().command else { panic!() };
        assert_eq!((impair.loss, impair.rtt, impair.phase), (vec![0.0, 2.5], vec![100], 25));
        let Some(Command::Impair(real)) = parse("x impair --netem --loss 0,2 --rtt 50").unwrap().command else {
            panic!()
        };
        assert!(real.netem && !impair.netem && parse("x impair --netem --jitter 5").is_err());
        let Some(Command::Processing(task)) = parse("chroom-bench-media processing").unwrap().command else { panic!() };
        assert_eq!(task.seconds, 10);
        let bursts = parse("x --uplink-loss 0.05 --burst 5").unwrap().load.uplink().0;
        let Loss::Bursts { worsens, recovers, share } = bursts else { panic!("{bursts:?}") };
        assert!((worsens / (worsens + recovers) * share - 0.05).abs() < 1e-9 && recovers == 0.2);
        assert!(parse("x --server nothing").is_err());
    }
}
