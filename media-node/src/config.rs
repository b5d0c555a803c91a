//! The command line.

use crate::{
    place,
    processing::{budget::Millicores, recording::room::RecordingLimits, studio::StudioConfig},
};
use chroom_primitives::{CapacityClass, Endpoint, H3Cell};
use chroom_rpc::{NodeAddress, telemetry::LogFormat};
use clap::{Parser, ValueEnum};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// A media node of the Chroom network: forwards calls' media, and is paid for the quality that callers get.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "chroom-media-node",
    version,
    after_help = "Examples:
  chroom-media-node --wallet media.json --passphrase-file pass.txt --cell 851fae07fffffff
  chroom-media-node --wallet media.json --chain wss://rpc.example.net --rpc-listen 0.0.0.0:7400 --rpc-advertise 203.0.113.7:7400 \\
      --media-listen 0.0.0.0:7500 --media-advertise 203.0.113.7 --http-listen 0.0.0.0:7600 --public-url http://203.0.113.7:7600 \\
      --class medium --cell 851fae07fffffff --registry 0x7e5f4552091a69125d5dfcb7b8c2659029395bdf@198.51.100.2:7100

The node must be registered on the chain first: chroom node register --help
Exit codes: 0 ended as asked, 1 failed, 2 wrong usage."
)]
pub struct Config {
    /// The node's keystore (Ethereum keystore V3)
    #[arg(long, value_name = "FILE")]
    pub wallet: PathBuf,
    /// File with the keystore's passphrase [default: the variable CHROOM_PASSPHRASE, or asked for]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// WebSocket URL of a chain node; may be given more than once
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:9944")]
    pub chain: Vec<String>,
    /// Folder for what must survive a restart (a media node keeps nothing there yet)
    #[arg(long, value_name = "DIR", default_value = "media-node-data")]
    pub data: PathBuf,
    /// Log lines for people, or JSON
    #[arg(long, value_name = "text|json", default_value_t)]
    pub log_format: LogFormat,
    /// Address for Prometheus alone, beside /metrics on --http-listen
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Address for orchestrators (gRPC over mutual TLS)
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7400")]
    pub rpc_listen: SocketAddr,
    /// host:port by which orchestrators reach it, as registered on the chain [default: --rpc-listen]
    #[arg(long, value_name = "HOST:PORT")]
    pub rpc_advertise: Option<Endpoint>,
    /// Address for media: UDP, and on the same port TCP for clients whose network lets no UDP through
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7500")]
    pub media_listen: SocketAddr,
    /// IP address that clients send media to, if it isn't that of --media-listen
    #[arg(long, value_name = "IP")]
    pub media_advertise: Option<IpAddr>,
    /// Media threads, which share the UDP port
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub media_threads: u16,
    /// UDP address for pipes to other media nodes [default: that of --media-listen, any port]
    #[arg(long, value_name = "ADDR:PORT")]
    pub pipe_listen: Option<SocketAddr>,
    /// IP address that other media nodes send to, if it isn't that of --pipe-listen [default: --media-advertise]
    #[arg(long, value_name = "IP")]
    pub pipe_advertise: Option<IpAddr>,
    /// Address for the public HTTP interface
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7600")]
    pub http_listen: SocketAddr,
    /// URL by which the public reaches it [default: http://<http-listen>]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// A registry node, 0x<node id>@host:port; may be given more than once. More are learnt from the chain and from registries
    #[arg(long, value_name = "ID@HOST:PORT")]
    pub registry: Vec<NodeAddress>,
    /// The H3 cell that the node is in, in hex, as registered on the chain
    #[arg(long, value_name = "HEX", value_parser = place::parse)]
    pub cell: H3Cell,
    /// Capacity class, as registered on the chain
    #[arg(long, default_value = "small")]
    pub class: Class,
    /// Egress that the node may give, in kb/s [default: the most of the class]. Below what the class commits it to (50 Mb/s per unit of its
    /// weight: 50, 200, 800 Mb/s) it is paid less
    #[arg(long, value_name = "KBPS")]
    pub egress_limit: Option<u32>,
    /// Most sessions at once
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub max_sessions: u32,
    /// Seconds that orchestrators have to move calls away before they are ended, when the node is asked to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    pub drain: u64,
    /// Seconds to wait for the registration to appear in finalised blocks
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub registration_wait: u64,
    /// Folder for recordings of rooms [default: nothing is recorded]
    #[arg(long, value_name = "DIR")]
    pub recordings: Option<PathBuf>,
    /// Longest recording, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 4 * 3_600)]
    pub max_recording_seconds: u64,
    /// Largest recording, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 8_192)]
    pub max_recording_size: u64,
    /// Threads that mix, record and transcode, at the lowest priority; 0: none
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=64))]
    pub processing_threads: u16,
    /// What mixing, recording and transcoding may take, in percent of a core [default: 80 per thread]
    #[arg(long, value_name = "PERCENT")]
    pub processing_budget: Option<u32>,
    /// For tests only: drops this share of outgoing RTP packets
    #[arg(long, hide = true, value_name = "0..1", value_parser = share)]
    pub fault_egress_loss: Option<f64>,
    /// For tests only: starts without a registration, to see others refuse the node
    #[arg(long, hide = true)]
    pub fault_skip_registration: bool,
}

impl Config {
    /// host:port by which orchestrators reach the node.
    pub fn rpc_endpoint(&self) -> Result<Endpoint, chroom_primitives::endpoint::EndpointError> {
        match &self.rpc_advertise {
            Some(endpoint) => Ok(endpoint.clone()),
            None => self.rpc_listen.to_string().parse(),
        }
    }

    /// Where pipes to other media nodes end.
    pub fn pipe_listen(&self) -> SocketAddr {
        self.pipe_listen.unwrap_or(SocketAddr::new(self.media_listen.ip(), 0))
    }

    /// How media are processed.
    pub fn studio(&self) -> StudioConfig {
        let percent = self.processing_budget.unwrap_or(u32::from(self.processing_threads) * 80);
        StudioConfig {
            threads: self.processing_threads.into(),
            budget: Millicores(percent.saturating_mul(10)),
            recordings: self.recordings.clone(),
            limits: RecordingLimits {
                duration: Duration::from_secs(self.max_recording_seconds),
                bytes: self.max_recording_size.saturating_mul(1024 * 1024),
            },
        }
    }

    /// URL of the public interface.
    pub fn public_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.http_listen))
    }
}

/// A capacity class, as the command line names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Class {
    /// Up to 100 Mb/s
    Small,
    /// Up to 1 Gb/s
    Medium,
    /// Up to 10 Gb/s
    Large,
}

impl From<Class> for CapacityClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Small => CapacityClass::Small,
            Class::Medium => CapacityClass::Medium,
            Class::Large => CapacityClass::Large,
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Config::command().debug_assert();
        let config = Config::try_parse_from([
            "chroom-media-node",
            "--wallet",
            "w",
            "--cell",
            "851fae07fffffff",
            "--chain",
            "ws://a",
            "--chain",
            "ws://b",
            "--fault-egress-loss=0.1",
        ])
        .unwrap();
        assert_eq!(config.chain, ["ws://a", "ws://b"]);
        assert_eq!(config.rpc_endpoint().unwrap().as_str(), "127.0.0.1:7400");
        assert_eq!(config.public_url(), "http://127.0.0.1:7600");
        let wrong = ["chroom-media-node", "--wallet", "w", "--cell", "851fae07fffffff", "--fault-egress-loss=2"];
        assert!(Config::try_parse_from(wrong).is_err());
    }
}
