//! What a local network consists of: names, ports, places, owners and command lines, all worked out beforehand.

use super::options::Options;
use crate::{failure::Failure, place};
use chroom_primitives::H3Cell;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Most processes of one kind: each kind has this many ports in each of its ranges.
pub const MOST_OF_A_KIND: u16 = 8;

/// Offsets from the base port. `docs/cli.md` and `chroom up --help` list them.
pub mod offset {
    /// Demo and network pages.
    pub const DEMO: u16 = 0;
    /// Orchestrators: signalling and HTTP, +1 to +8.
    pub const ORCHESTRATOR: u16 = 1;
    /// Registries: gRPC.
    pub const REGISTRY_RPC: u16 = 10;
    /// Registries: libp2p.
    pub const REGISTRY_P2P: u16 = 20;
    /// Validators: libp2p.
    pub const VALIDATOR_P2P: u16 = 30;
    /// Validators: JSON-RPC (with the default base port, the first is the usual 9944).
    pub const VALIDATOR_WS: u16 = 44;
    /// Validators: Prometheus.
    pub const VALIDATOR_METRICS: u16 = 52;
    /// Registries: public JSON-RPC, health, metrics.
    pub const REGISTRY_HTTP: u16 = 60;
    /// Media nodes: gRPC.
    pub const MEDIA_RPC: u16 = 70;
    /// Media nodes: media over UDP.
    pub const MEDIA_UDP: u16 = 80;
    /// Media nodes: public API, health, metrics.
    pub const MEDIA_HTTP: u16 = 90;
    /// Ports in all.
    pub const SPAN: u16 = 98;
}

/// What a process is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `chroom-node`.
    Validator,
    /// `chroom-registry`.
    Registry,
    /// `chroom-media-node`.
    Media,
    /// `chroom-orchestrator`.
    Orchestrator,
}

impl Kind {
    /// The program.
    pub const fn program(self) -> &'static str {
        match self {
            Kind::Validator => "chroom-node",
            Kind::Registry => "chroom-registry",
            Kind::Media => "chroom-media-node",
            Kind::Orchestrator => "chroom-orchestrator",
        }
    }

    /// The kind as text, as in the names.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Validator => "validator",
            Kind::Registry => "registry",
            Kind::Media => "media",
            Kind::Orchestrator => "orchestrator",
        }
    }

    /// Order of stopping, the highest first: those who serve callers, then the registries, then the chain, so that each can
    /// still say goodbye to those it depends on.
    pub const fn stage(self) -> u8 {
        match self {
            Kind::Validator => 0,
            Kind::Registry => 1,
            Kind::Media | Kind::Orchestrator => 2,
        }
    }
}

/// A place with a name.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Region {
    /// Name, for people.
    pub name: &'static str,
    /// Latitude in degrees.
    pub latitude: f64,
    /// Longitude in degrees.
    pub longitude: f64,
}

/// The places that the nodes of a local network declare, in turn.
pub const REGIONS: [Region; 8] = [
    Region { name: "Frankfurt", latitude: 50.11, longitude: 8.68 },
    Region { name: "Singapore", latitude: 1.35, longitude: 103.82 },
    Region { name: "Ashburn", latitude: 39.04, longitude: -77.49 },
    Region { name: "São Paulo", latitude: -23.55, longitude: -46.63 },
    Region { name: "Tokyo", latitude: 35.68, longitude: 139.69 },
    Region { name: "Sydney", latitude: -33.87, longitude: 151.21 },
    Region { name: "Mumbai", latitude: 19.08, longitude: 72.88 },
    Region { name: "Johannesburg", latitude: -26.20, longitude: 28.05 },
];

/// The well-known development accounts that run the validators; each is an authority of the `local` preset.
pub const AUTHORITIES: [&str; 2] = ["alice", "bob"];
/// Who bonds for registries.
pub const REGISTRY_OWNERS: [&str; 1] = ["Eve"];
/// Who bonds for media nodes, in turn: two operators, so that their pay can be told apart.
pub const MEDIA_OWNERS: [&str; 2] = ["Charlie", "Dave"];
/// Who bonds for orchestrators and pays for the demo application, whose account the first is.
pub const ORCHESTRATOR_OWNERS: [&str; 1] = ["Ferdie"];

/// One service to run (everything but a validator): where it listens, where it says it is, whose it is.
#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    /// Kind.
    pub kind: Kind,
    /// Name, such as `media-1`.
    pub name: String,
    /// gRPC port; 0 for an orchestrator, which has none.
    pub rpc: u16,
    /// libp2p port of a registry, UDP port of a media node; 0 otherwise.
    pub peer: u16,
    /// HTTP port: JSON-RPC, public API or signalling.
    pub http: u16,
    /// Declared place.
    pub region: Region,
    /// The place's cell.
    pub cell: H3Cell,
    /// Name of the development account that bonds for it.
    pub owner: String,
    /// The service's folder.
    pub dir: PathBuf,
    /// Further arguments, for tests.
    pub extra: Vec<String>,
}

impl Service {
    /// Its keystore.
    pub fn keystore(&self) -> PathBuf {
        self.dir.join("wallet.json")
    }

    /// The keystore's passphrase.
    pub fn passphrase(&self) -> PathBuf {
        self.dir.join("passphrase")
    }

    /// Its database.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// `http://…` of its HTTP interface.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// What is registered on the chain as its endpoint.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", if self.rpc == 0 { self.http } else { self.rpc })
    }
}

/// One validator (or, beyond the preset's authorities, full node) to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Validator {
    /// Name, such as `validator-1`.
    pub name: String,
    /// Its development account, if it is an authority.
    pub authority: Option<&'static str>,
    /// libp2p port.
    pub p2p: u16,
    /// JSON-RPC port.
    pub ws: u16,
    /// Prometheus port.
    pub metrics: u16,
    /// The node's folder.
    pub dir: PathBuf,
    /// Further arguments, for tests.
    pub extra: Vec<String>,
}

impl Validator {
    /// `ws://…` of its JSON-RPC.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.ws)
    }

    /// The file with its network key.
    pub fn node_key(&self) -> PathBuf {
        self.dir.join("node-key")
    }
}

/// The whole network.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// Validators, the first one everybody's bootnode.
    pub validators: Vec<Validator>,
    /// Registries, the first one everybody's bootstrap.
    pub registries: Vec<Service>,
    /// Media nodes.
    pub media: Vec<Service>,
    /// Orchestrators.
    pub orchestrators: Vec<Service>,
    /// Port of the demo page.
    pub demo: u16,
    /// Folder of everything.
    pub data: PathBuf,
    /// What the validators take as `--chain`: a preset, or the file of a specification.
    pub chain: String,
}

/// The genesis preset: `local` has Alice and Bob as authorities and finalises with both only, `dev` has Alice alone.
const fn preset(validators: u16) -> &'static str {
    if validators == 1 { "dev" } else { "local" }
}

impl Plan {
    /// Works out the network that was asked for.
    pub fn new(options: &Options, data: &Path) -> Result<Self, Failure> {
        let base = options.base_port;
        if base < 1_024 || u32::from(base) + u32::from(offset::SPAN) > 65_535 {
            return Err(Failure::usage(format_args!("--base-port {base} leaves no room for {} ports", offset::SPAN))
                .hint(format_args!("choose one from 1024 to {}", u16::MAX - offset::SPAN)));
        }
        for (flag, count) in [
            ("--validators", options.validators),
            ("--registries", options.registries),
            ("--media", options.media),
            ("--orchestrators", options.orchestrators),
        ] {
            if count == 0 || count > MOST_OF_A_KIND {
                return Err(Failure::usage(format_args!("{flag} {count} is out of range"))
                    .hint(format_args!("a local network has 1 to {MOST_OF_A_KIND} of each kind")));
            }
        }
        let mut extra = extra_arguments(&options.media_args)?;
        let mut validators = Vec::new();
        for index in 0..options.validators {
            let name = format!("validator-{}", index + 1);
            validators.push(Validator {
                authority: AUTHORITIES.get(usize::from(index)).copied(),
                p2p: base + offset::VALIDATOR_P2P + index,
                ws: base + offset::VALIDATOR_WS + index,
                metrics: base + offset::VALIDATOR_METRICS + index,
                dir: data.join(&name),
                extra: extra.remove(&name).unwrap_or_default(),
                name,
            });
        }
        let mut services = |kind: Kind, count: u16, rpc: Option<u16>, peer: Option<u16>, http: u16, owners: &[&str]| {
            let mut list = Vec::new();
            for (index, (region, owner)) in (0..count).zip(REGIONS.iter().zip(owners.iter().cycle())) {
                let name = format!("{}-{}", kind.name(), index + 1);
                list.push(Service {
                    kind,
                    rpc: rpc.map_or(0, |at| base + at + index),
                    peer: peer.map_or(0, |at| base + at + index),
                    http: base + http + index,
                    region: *region,
                    cell: place::cell_at(region.latitude, region.longitude).map_err(Failure::new)?,
                    owner: (*owner).to_owned(),
                    dir: data.join(&name),
                    extra: extra.remove(&name).unwrap_or_default(),
                    name,
                });
            }
            Ok::<_, Failure>(list)
        };
        let chain = match &options.chain_spec {
            Some(file) => file
                .canonicalize()
                .map_err(|error| {
                    Failure::usage(format_args!("cannot read --chain-spec {}: {error}", file.display()))
                        .hint("chroom-node export-chain-spec --chain local writes one")
                })?
                .display()
                .to_string(),
            None => preset(options.validators).to_owned(),
        };
        let plan = Self {
            registries: services(
                Kind::Registry,
                options.registries,
                Some(offset::REGISTRY_RPC),
                Some(offset::REGISTRY_P2P),
                offset::REGISTRY_HTTP,
                &REGISTRY_OWNERS,
            )?,
            media: services(
                Kind::Media,
                options.media,
                Some(offset::MEDIA_RPC),
                Some(offset::MEDIA_UDP),
                offset::MEDIA_HTTP,
                &MEDIA_OWNERS,
            )?,
            orchestrators: services(
                Kind::Orchestrator,
                options.orchestrators,
                None,
                None,
                offset::ORCHESTRATOR,
                &ORCHESTRATOR_OWNERS,
            )?,
            validators,
            demo: base + offset::DEMO,
            data: data.to_owned(),
            chain,
        };
        if let Some(name) = extra.keys().next() {
            return Err(Failure::usage(format_args!("--media-args names {name}, which is not in this network"))
                .hint("names are validator-1, registry-1, media-1, orchestrator-1 and so on"));
        }
        Ok(plan)
    }

    /// The folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    /// The log of one process.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Every service: registries, media nodes, orchestrators.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.registries.iter().chain(&self.media).chain(&self.orchestrators)
    }

    /// Every TCP port that has to be free, with its user.
    pub fn tcp_ports(&self) -> Vec<(u16, String)> {
        let mut ports = vec![(self.demo, "the demo page".to_owned())];
        for validator in &self.validators {
            ports.push((validator.p2p, format!("{} (libp2p)", validator.name)));
            ports.push((validator.ws, format!("{} (JSON-RPC)", validator.name)));
            ports.push((validator.metrics, format!("{} (metrics)", validator.name)));
        }
        for service in self.services() {
            ports.push((service.http, format!("{} (HTTP)", service.name)));
            if service.rpc != 0 {
                ports.push((service.rpc, format!("{} (gRPC)", service.name)));
            }
            if service.kind == Kind::Registry {
                ports.push((service.peer, format!("{} (libp2p)", service.name)));
            }
        }
        ports
    }

    /// Every UDP port that has to be free, with its user.
    pub fn udp_ports(&self) -> Vec<(u16, String)> {
        self.media.iter().map(|service| (service.peer, format!("{} (media)", service.name))).collect()
    }
}

/// Reads `name=arguments` texts; several for one name add up.
fn extra_arguments(texts: &[String]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in texts {
        let Some((name, arguments)) = text.split_once('=').filter(|(name, _)| !name.starts_with('-')) else {
            return Err(Failure::usage(format_args!("--media-args {text} does not say for which node"))
                .hint("write name=arguments, for example --media-args media-2=--fault-egress-loss=0.1"));
        };
        extra.entry(name.to_owned()).or_default().extend(arguments.split_whitespace().map(str::to_owned));
    }
    Ok(extra)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn plan(options: &Options) -> Result<Plan, Failure> {
        Plan::new(options, Path::new("/data"))
    }

    #[test]
    fn the_largest_network_uses_each_port_once() {
        let most = MOST_OF_A_KIND;
        let options =
            Options { validators: most, registries: most, media: most, orchestrators: most, ..Options::default() };
        let plan = plan(&options).unwrap();
        let ports: Vec<u16> = plan.tcp_ports().into_iter().chain(plan.udp_ports()).map(|(port, _)| port).collect();
        let distinct: BTreeSet<u16> = ports.iter().copied().collect();
        assert_eq!(ports.len(), 1 + 8 * (3 + 3 + 2 + 1 + 1));
        assert_eq!(distinct.len(), ports.len());
        assert!(ports.iter().all(|port| (9_900..9_900 + offset::SPAN).contains(port)), "{ports:?}");
    }

    #[test]
    fn the_default_network_is_the_documented_one() {
        let plan = plan(&Options::default()).unwrap();
        assert_eq!(
            (plan.validators.len(), plan.registries.len(), plan.media.len(), plan.orchestrators.len()),
            (2, 3, 2, 1)
        );
        assert_eq!(plan.validators[0].ws_url(), "ws://127.0.0.1:9944");
        assert_ne!(plan.media[0].cell, plan.media[1].cell);
        assert_ne!(plan.media[0].owner, plan.media[1].owner);
        assert_eq!(plan.orchestrators[0].endpoint(), "127.0.0.1:9901");
    }

    #[test]
    fn extra_arguments_reach_the_named_node_only() {
        let options = Options {
            media_args: vec!["media-2=--fault-egress-loss=0.1 --x".into(), "media-2=--y".into()],
            ..Options::default()
        };
        let plan = plan(&options).unwrap();
        assert!(plan.media[0].extra.is_empty());
        assert_eq!(plan.media[1].extra, ["--fault-egress-loss=0.1", "--x", "--y"]);
    }

    #[test]
    fn what_cannot_be_is_refused_as_wrong_usage() {
        for options in [
            Options { media: 0, ..Options::default() },
            Options { registries: 9, ..Options::default() },
            Options { base_port: 80, ..Options::default() },
            Options { base_port: 65_500, ..Options::default() },
            Options { media_args: vec!["media-7=--x".into()], ..Options::default() },
            Options { media_args: vec!["--x=1".into()], ..Options::default() },
        ] {
            assert!(plan(&options).unwrap_err().wrong_usage, "{options:?}");
        }
    }
}
