//! `chroom doctor`: which of UDP, TCP, TURN, clock, NAT, port or certificate is at fault.

use crate::{
    doctor::{
        clock::{self, Reading},
        finding::{self, Check, Finding},
        ice_server::{Credentials, ServerUrl},
        local::{self, Listening},
        node::{self, Target},
        orchestrator, register, relay,
    },
    failure::{Context, Failure},
    local as network,
    output::Output,
    up::process::unix_ms,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chroom_primitives::{Endpoint, NodeId};
use chroom_rpc::tls::Identity;
use chroom_wallet::Wallet;
use clap::{ArgGroup, Args};
use rtc_crypto::{HmacAlgorithm, default_provider};
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

/// Largest file of a token or a secret, in bytes.
const LARGEST_SECRET: u64 = 8_192;
/// How long made credentials are good, in seconds.
const CREDENTIAL_LIFETIME_S: u64 = 300;
/// Registries whose clocks are read.
const MOST_CLOCKS: usize = 3;

/// Say what keeps a node from being reached, and what to do about it
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("patient").required(true).multiple(true).args(["node", "orchestrator", "turn", "local"]),
    after_help = "Examples:
  chroom doctor --node 203.0.113.7:7400                      from another machine than the node's
  chroom doctor --node 0x8f3c… --registry-url http://registry.example:7300
  chroom doctor --orchestrator https://orchestrator.example --token-file token --node 0x8f3c…
                                                             its TURN servers too, and through them the node
  chroom doctor --turn turn:turn.example:3478 --turn-secret-file turn.secret
  chroom doctor --local --advertise 203.0.113.7              on the machine that shall become a node
  chroom doctor --node 127.0.0.1:9970 --http http://127.0.0.1:9990 --json

A line per check: ok, warn or fail, what was found, and what to do. Nothing is changed anywhere.
Exit codes: 0 nothing failed, 1 something did, 2 called wrongly."
)]
pub struct Doctor {
    /// A media node: its id, which a registry tells the place of, or host:port of its gRPC
    #[arg(long, value_name = "ID|HOST:PORT")]
    node: Option<Patient>,
    /// The node's HTTP interface [default: as in the register, else port 7600 of its host]
    #[arg(long, value_name = "URL", requires = "node")]
    http: Option<String>,
    /// Public JSON-RPC of a registry; may be repeated [default: the local network's, else http://127.0.0.1:7300]
    #[arg(long, value_name = "URL", env = "CHROOM_REGISTRY_URL", value_delimiter = ',')]
    registry_url: Vec<String>,
    /// An orchestrator
    #[arg(long, value_name = "URL")]
    orchestrator: Option<String>,
    /// File with an access token, for which the orchestrator tells its STUN and TURN servers (chroom token create)
    #[arg(long, value_name = "FILE", requires = "orchestrator")]
    token_file: Option<PathBuf>,
    /// A TURN server, as the orchestrator would hand it out; may be repeated
    #[arg(long, value_name = "URL", requires = "turn_secret_file")]
    turn: Vec<ServerUrl>,
    /// File with the secret that the TURN servers share with the orchestrator
    #[arg(long, value_name = "FILE", requires = "turn")]
    turn_secret_file: Option<PathBuf>,
    /// Look at this machine: ports, limits, address
    #[arg(long)]
    local: bool,
    /// With --local: where the node is to listen for orchestrators
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:7400")]
    rpc_listen: SocketAddr,
    /// With --local: where it is to listen for media
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:7500")]
    media_listen: SocketAddr,
    /// With --local: where it is to listen for HTTP
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:7600")]
    http_listen: SocketAddr,
    /// With --local: the address that it is to give to others
    #[arg(long, value_name = "IP", requires = "local")]
    advertise: Option<IpAddr>,
    /// Seconds that each check may take
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    limit: u64,
}

/// A node by its id or by its place.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Patient {
    Id(NodeId),
    At(Endpoint),
}

impl FromStr for Patient {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        text.parse().map(Self::At).map_err(|error| format!("neither a node's id (0x…) nor its endpoint: {error}"))
    }
}

/// What the checks gather.
#[derive(Default)]
struct Round {
    findings: Vec<Finding>,
    clocks: Vec<Reading>,
    media: Option<SocketAddr>,
}

/// Runs the command.
pub async fn run(doctor: &Doctor, output: Output) -> Result<(), Failure> {
    let limit = Duration::from_secs(doctor.limit);
    let token = doctor.token_file.as_deref().map(secret).transpose()?;
    let turn_secret = doctor.turn_secret_file.as_deref().map(secret).transpose()?;
    let mut round = Round::default();
    if doctor.local {
        let listening = Listening { rpc: doctor.rpc_listen, media: doctor.media_listen, http: doctor.http_listen };
        round.findings.extend(local::examine(&listening, doctor.advertise));
    }
    if let Some(patient) = &doctor.node {
        output.step("looking at the node…");
        look_at_node(doctor, patient, limit, &mut round).await?;
    }
    let mut servers = Vec::new();
    if let Some(url) = &doctor.orchestrator {
        output.step("looking at the orchestrator…");
        let learnt = orchestrator::examine(url, token.as_deref(), limit).await;
        round.findings.extend(learnt.findings);
        round.clocks.extend(learnt.clock);
        servers = learnt.servers;
        if token.is_none() {
            output.step("TURN is not looked at without --token-file or --turn");
        }
    }
    if let Some(secret) = &turn_secret {
        let made = credentials(secret, unix_ms() / 1_000 + CREDENTIAL_LIFETIME_S)?;
        servers.extend(doctor.turn.iter().map(|server| (server.clone(), Some(made.clone()))));
    }
    if !servers.is_empty() {
        output.step("looking at STUN and TURN servers…");
    }
    let media = round.media;
    let looked_at =
        servers.into_iter().map(|(server, made)| async move { relay::examine(&server, made, media, limit).await });
    round.findings.extend(futures::future::join_all(looked_at).await);
    look_at_clocks(doctor, limit, &mut round).await;

    let findings = round.findings;
    output.show(&finding::json(&findings), |_| finding::text(&findings));
    match finding::failed(&findings).as_slice() {
        [] => Ok(()),
        failed => Err(Failure::new(format_args!("at fault: {}", failed.join(", ")))
            .hint("each failed line says what to do; the first is often the cause of those below it")),
    }
}

/// A node's own identity is needed to call one; this one is nobody's.
fn stranger() -> Result<Identity, Failure> {
    Identity::new(&Wallet::generate()).context("cannot make a TLS certificate")
}

async fn look_at_node(doctor: &Doctor, patient: &Patient, limit: Duration, round: &mut Round) -> Result<(), Failure> {
    let registries = network::registries(&doctor.registry_url);
    let (mut target, mut entry) = match patient {
        Patient::At(endpoint) => {
            (Target { endpoint: endpoint.clone(), node: None, http: doctor.http.clone(), limit }, None)
        }
        Patient::Id(node) => {
            let entry = register::look_up(&registries, *node).await?.ok_or_else(|| {
                Failure::new(format_args!("no registry entry of {node}"))
                    .hint("give its place instead, --node host:port; chroom node status tells whether it is registered")
            })?;
            let endpoint = entry.rpc.parse().context("the register has no usable endpoint of it")?;
            let target = Target { endpoint, node: Some(*node), http: doctor.http.clone(), limit };
            (target, Some(entry))
        }
    };
    if target.http.is_none() {
        target.http = entry.as_ref().map(|entry| entry.public_url.clone()).filter(|url| !url.is_empty());
    }
    let learnt = node::examine(&target, &stranger()?).await;
    round.findings.extend(learnt.findings);
    round.clocks.extend(learnt.clock);
    round.media = learnt.media;
    let Some(node) = target.node.or(learnt.node) else { return Ok(()) };
    if entry.is_none() {
        match register::look_up(&registries, node).await {
            Ok(found) => entry = found,
            Err(failure) => {
                let advice = "name a registry with --registry-url to see whether others find the node";
                round.findings.push(Finding::warn(Check::Register, node, failure.message, advice));
                return Ok(());
            }
        }
    }
    round.findings.push(register::judge(node, entry.as_ref(), &target.endpoint, unix_ms()));
    Ok(())
}

/// Registries' clocks beside the others', so that it can be told whose is off.
async fn look_at_clocks(doctor: &Doctor, limit: Duration, round: &mut Round) {
    let registries = network::registries(&doctor.registry_url);
    let asked = registries.iter().take(MOST_CLOCKS).map(async |url| {
        let reply = node::get(&format!("{}/health", url.trim_end_matches('/')), limit).await.ok()?;
        node::reading(url, None, &reply)
    });
    round.clocks.extend(futures::future::join_all(asked).await.into_iter().flatten());
    if doctor.local && round.clocks.is_empty() {
        let advice = "name a registry with --registry-url, whose clock to compare with";
        round.findings.push(Finding::warn(Check::Clock, "this machine", "compared with no other clock", advice));
    }
    round.findings.extend(clock::judge(&round.clocks));
}

/// A secret out of a file, without white space at its end.
fn secret(path: &Path) -> Result<String, Failure> {
    let unreadable = format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).context(&unreadable)?.len();
    if size > LARGEST_SECRET {
        return Err(Failure::new(format_args!("{} has {size} bytes: that is no token or secret", path.display())));
    }
    Ok(std::fs::read_to_string(path).context(&unreadable)?.trim_end().to_owned())
}

/// Credentials as an orchestrator makes them (draft-uberti-behave-turn-rest-00 §2.2), good until `expires` in Unix seconds.
fn credentials(secret: &str, expires: u64) -> Result<Credentials, Failure> {
    let username = format!("{expires}:doctor");
    let provider = default_provider().context("cannot make TURN credentials")?;
    let mut mac =
        provider.crypto().new_hmac(HmacAlgorithm::Sha1, secret.as_bytes()).context("cannot make TURN credentials")?;
    let mut bytes = [0; 20];
    mac.sign(&[username.as_bytes()], &mut bytes).context("cannot make TURN credentials")?;
    Ok(Credentials { username, password: BASE64_STANDARD.encode(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_of_an_orchestrator() {
        // The same as in the orchestrator's tests, but for the user's name: as Python's hmac makes it.
        let made = credentials("north-south-east-west", 1_433_895_918).unwrap();
        assert_eq!(made.username, "1433895918:doctor");
        assert_eq!(made.password, "Pc2wCJ/HIrG6DNSkKcakFkOdAIk=");
    }

    #[test]
    fn a_node_is_named_by_its_id_or_by_its_place() {
        let id = "0x0101010101010101010101010101010101010101";
        assert_eq!(id.parse(), Ok(Patient::Id(NodeId([1; 20]))));
        assert_eq!("[::1]:7400".parse(), Ok(Patient::At("[::1]:7400".parse().unwrap())));
        assert!("nothing".parse::<Patient>().is_err());
    }
}
