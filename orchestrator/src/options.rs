//! The command line.

use crate::ice::{DEFAULT_LIFETIME_S, StunUrl, TurnUrl};
use chroom_primitives::H3Cell;
use chroom_rpc::{NodeAddress, telemetry::LogFormat};
use clap::Parser;
use std::{net::SocketAddr, path::PathBuf};

/// Runs a Chroom orchestrator: signalling for clients, media nodes for their rooms.
#[derive(Parser, Clone, Debug)]
#[command(name = "chroom-orchestrator", version, about, after_help = EXAMPLES)]
pub struct Options {
    /// Keystore V3 file of this node's key
    #[arg(long, value_name = "KEYSTORE")]
    pub wallet: PathBuf,

    /// File with the keystore's passphrase; without it CHROOM_PASSPHRASE is used, or the terminal asks
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,

    /// Chain node to follow; give several for fail-over
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:9944")]
    pub chain: Vec<String>,

    /// Folder for sessions and for receipts on their way
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,

    /// Where clients connect: WebSocket, POST /whip and /whep, and GET /health, /metrics and /v1/network
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7700")]
    pub ws_listen: SocketAddr,

    /// Signalling URL that is published; the default is made from --ws-listen
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,

    /// Registry node to begin with, 0x<node id>@host:port; give several. More are learnt from the chain
    #[arg(long, value_name = "ID@HOST:PORT")]
    pub registry: Vec<NodeAddress>,

    /// Applications: [[app]] entries with key, secret_file and account
    #[arg(long, value_name = "FILE")]
    pub apps: PathBuf,

    /// H3 cell of this orchestrator in hex; must equal its registration
    #[arg(long, value_name = "HEX", value_parser = cell)]
    pub cell: Option<H3Cell>,

    /// text or json, to standard error
    #[arg(long, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// A second place for GET /metrics
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<SocketAddr>,

    /// WebSocket connections at once
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub max_connections: u32,

    /// Connections at once from one address (IPv4 address or IPv6 /64), plain HTTP included; 0 for no such limit, behind
    /// a proxy that has its own
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub max_connections_per_address: usize,

    /// STUN server that clients are told of, stun:host[:port]; give several
    #[arg(long, value_name = "URL")]
    pub stun_url: Vec<StunUrl>,

    /// TURN server that clients are told of, turn:host[:port][?transport=udp|tcp] or turns:…; give several. All share the secret
    #[arg(long, value_name = "URL")]
    pub turn_url: Vec<TurnUrl>,

    /// File with the secret by which the TURN servers check credentials (coturn: static-auth-secret); at least 16 bytes
    #[arg(long, value_name = "FILE")]
    pub turn_secret_file: Option<PathBuf>,

    /// How long TURN credentials are good, in seconds
    #[arg(long, value_name = "S", default_value_t = DEFAULT_LIFETIME_S, value_parser = clap::value_parser!(u64).range(60..=2_592_000))]
    pub turn_lifetime: u64,

    /// Requests per second of one connection, in the long run
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub max_requests_per_second: u32,
}

const EXAMPLES: &str = "\
Examples:
  chroom-orchestrator --wallet orchestrator.json --passphrase-file pass --data ./orchestrator \\
      --registry 0x7e5f4552091a69125d5dfcb7b8c2659029395bdf@127.0.0.1:7100 --apps apps.toml

  apps.toml:
    [[app]]
    key = \"demo\"
    secret_file = \"demo.secret\"      # at least 32 bytes: openssl rand -hex 32 > demo.secret
    account = \"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\"

  With TURN servers (coturn: use-auth-secret, static-auth-secret=<the same>):
    openssl rand -hex 32 > turn.secret
    chroom-orchestrator … --turn-url turn:turn.example.org --turn-url 'turns:turn.example.org?transport=tcp' \\
        --turn-secret-file turn.secret

Exit codes: 0 ended as asked, 1 failed, 2 wrong usage.";

fn cell(text: &str) -> Result<H3Cell, String> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16)
        .ok()
        .map(H3Cell)
        .filter(|cell| cell.is_plausible())
        .ok_or_else(|| "an H3 cell of resolution 0 to 7 in hex, such as 851f8d5bfffffff".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
        let options = Options::try_parse_from([
            "chroom-orchestrator",
            "--wallet",
            "w.json",
            "--data",
            "d",
            "--apps",
            "apps.toml",
            "--registry",
            "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf@127.0.0.1:7100",
            "--cell",
            "851f8d5bfffffff",
            "--stun-url",
            "stun:stun.example.org",
            "--turn-url",
            "turns:turn.example.org:443?transport=tcp",
            "--turn-secret-file",
            "turn.secret",
        ])
        .unwrap();
        assert_eq!((options.stun_url.len(), options.turn_url.len(), options.turn_lifetime), (1, 1, 86_400));
        assert_eq!(options.registry.len(), 1);
        assert_eq!(options.cell, Some(H3Cell(0x0851_f8d5_bfff_ffff)));
    }
}
