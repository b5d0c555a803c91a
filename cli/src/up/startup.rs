//! The steps from nothing (or from what an earlier start left) to a network that holds calls.

use super::{
    demo::{self, Demo},
    enrol, keys,
    options::Options,
    plan::{Kind, ORCHESTRATOR_OWNERS, Plan, Service, Validator},
    process::{Spec, Views, find_program, write_whole},
    readiness::wait_for,
    ready::{App, Learnt, Ready},
};
use crate::{
    failure::{Context, Failure, chain_of},
    fetch,
    output::Output,
    owner, place, token,
};
use chroom_chain_client::ChainClient;
use jsonrpsee::{
    core::{client::ClientT, params::ArrayParams},
    http_client::HttpClientBuilder,
    rpc_params,
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::OnceLock,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};

/// Key id of the demo application.
const DEMO_KEY: &str = "demo";
/// The account whose escrow pays for the demo application's calls: the one that owns the orchestrators, which so need no leave to spend.
const DEMO_ACCOUNT: &str = ORCHESTRATOR_OWNERS[0];

/// The start of a network.
pub struct Startup {
    plan: Plan,
    web: Option<PathBuf>,
    patience: Duration,
    orders: mpsc::UnboundedSender<Spec>,
    views: watch::Receiver<Views>,
    output: Output,
    began: Instant,
}

impl Startup {
    /// A start that launches its processes through `orders` and watches them through `views`.
    pub fn new(
        plan: Plan,
        options: &Options,
        orders: mpsc::UnboundedSender<Spec>,
        views: watch::Receiver<Views>,
        output: Output,
    ) -> Self {
        Self {
            plan,
            web: options.web.clone(),
            patience: Duration::from_secs(options.patience),
            orders,
            views,
            output,
            began: Instant::now(),
        }
    }

    /// Goes through all steps. The handle is the demo server's.
    pub async fn run(self) -> Result<(Ready, tokio::task::JoinHandle<()>), Failure> {
        let mut learnt = Learnt::default();
        let programs = programs()?;
        let peers = self.make_keys(&mut learnt)?;
        self.start_validators(&programs, &peers).await?;
        let finality = self.finality();
        let network = async {
            let chain = self.connect().await?;
            let progress = |text: &str| self.step(text);
            let enrolled = enrol::all(&chain, &self.plan, &learnt.nodes, &progress);
            let ((), app) = tokio::try_join!(enrolled, self.application(&chain))?;
            learnt.apps = vec![app];
            self.start_registries(&programs, &mut learnt).await?;
            self.start_serving(&programs, &learnt).await
        };
        // Nothing waits for a new final block but the end of the start: after a restart all services find what they need in
        // the old ones.
        tokio::try_join!(finality, network)?;
        let demo = self.start_demo(&learnt).await?;
        let ready = Ready::new(&self.plan, &learnt, &self.views.borrow());
        ready.save(&self.plan.data).context("cannot write network.json")?;
        self.step("all is up");
        Ok((ready, demo))
    }

    fn step(&self, text: impl std::fmt::Display) {
        self.output.step(format_args!("[{:>5.1} s] {text}", self.began.elapsed().as_secs_f32()));
    }

    /// Keys of all nodes; returns the validators' peer ids by name.
    fn make_keys(&self, learnt: &mut Learnt) -> Result<BTreeMap<String, String>, Failure> {
        let mut peers = BTreeMap::new();
        for validator in &self.plan.validators {
            peers.insert(validator.name.clone(), keys::validator(validator)?);
        }
        for service in self.plan.services() {
            learnt.nodes.insert(service.name.clone(), keys::service(service)?);
            let signer = owner::dev(&service.owner)?;
            learnt.accounts.insert(service.owner.clone(), signer.account().to_string());
        }
        self.step(format_args!("{} wallets and {} network keys are ready", learnt.nodes.len(), peers.len()));
        Ok(peers)
    }

    fn launch(&self, name: &str, kind: Kind, programs: &BTreeMap<Kind, PathBuf>, arguments: Vec<String>) {
        let program = programs.get(&kind).cloned().unwrap_or_default();
        let spec = Spec { name: name.to_owned(), kind, program, arguments, log: self.plan.log(name) };
        // The receiver is gone only when the whole program ends.
        let _ = self.orders.send(spec);
    }

    async fn start_validators(
        &self,
        programs: &BTreeMap<Kind, PathBuf>,
        peers: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let boot = self
            .plan
            .validators
            .first()
            .and_then(|first| Some(format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", first.p2p, peers.get(&first.name)?)));
        for (index, validator) in self.plan.validators.iter().enumerate() {
            let boot = boot.as_deref().filter(|_| index > 0);
            let arguments = validator_arguments(validator, &self.plan.chain, boot);
            self.launch(&validator.name, Kind::Validator, programs, arguments);
        }
        self.step(format_args!("{} validators started", self.plan.validators.len()));
        // Before they have found each other, each would build blocks of its own.
        let peers = usize::from(self.plan.validators.len() > 1);
        let all = self.plan.validators.iter().map(|validator| async move {
            wait_for(&validator.name, &self.plan.log(&validator.name), &self.views, self.patience, || async move {
                let health: Health = ask(validator, "system_health", rpc_params![]).await?;
                if health.peers >= peers { Ok(()) } else { Err("it has found no other validator yet".to_owned()) }
            })
            .await
        });
        futures::future::try_join_all(all).await?;
        self.step("the validators have found each other");
        Ok(())
    }

    /// Waits until each validator sees a block become final. After a restart an old one is final at once: only a new one
    /// shows that finality goes on.
    async fn finality(&self) -> Result<(), Failure> {
        let all = self.plan.validators.iter().map(|validator| async move {
            let first = OnceLock::new();
            let first = &first;
            wait_for(&validator.name, &self.plan.log(&validator.name), &self.views, self.patience, || async move {
                let now = finalised(validator).await?;
                if now > *first.get_or_init(|| now) {
                    Ok(())
                } else {
                    Err(format!("block {now} is final, none newer yet"))
                }
            })
            .await
        });
        futures::future::try_join_all(all).await?;
        self.step("the chain finalises blocks");
        Ok(())
    }

    async fn connect(&self) -> Result<ChainClient, Failure> {
        let urls: Vec<String> = self.plan.validators.iter().map(Validator::ws_url).collect();
        ChainClient::connect(&urls).await.context("cannot follow the chain")
    }

    /// The demo application: its secret, the orchestrators' list of applications, and money for its calls.
    async fn application(&self, chain: &ChainClient) -> Result<App, Failure> {
        let dir = self.plan.data.join("apps");
        keys::folder(&dir)?;
        let secret_file = dir.join("demo.secret");
        keys::secret_file(&secret_file)?;
        let account = owner::dev(DEMO_ACCOUNT)?.account();
        // The secret is named relative to the list.
        let text = format!("[[app]]\nkey = \"{DEMO_KEY}\"\nsecret_file = \"demo.secret\"\naccount = \"{account}\"\n");
        write_whole(&self.apps_file(), text.as_bytes()).context("cannot write the list of applications")?;
        enrol::escrow(chain, &account, &|text| self.step(text)).await?;
        Ok(App { key: DEMO_KEY.to_owned(), secret_file, account: account.to_string() })
    }

    fn apps_file(&self) -> PathBuf {
        self.plan.data.join("apps").join("apps.toml")
    }

    /// What every service is told.
    fn service_arguments(&self, service: &Service) -> Vec<String> {
        let mut arguments = vec![
            "--wallet".to_owned(),
            service.keystore().display().to_string(),
            "--passphrase-file".to_owned(),
            service.passphrase().display().to_string(),
            "--data".to_owned(),
            service.data().display().to_string(),
            "--cell".to_owned(),
            place::hex(service.cell),
        ];
        for validator in &self.plan.validators {
            arguments.extend(["--chain".to_owned(), validator.ws_url()]);
        }
        arguments
    }

    fn registry_arguments(&self, learnt: &Learnt) -> Vec<String> {
        let mut arguments = Vec::new();
        for registry in &self.plan.registries {
            if let Some(node) = learnt.nodes.get(&registry.name) {
                arguments.extend(["--registry".to_owned(), format!("{node}@{}", registry.endpoint())]);
            }
        }
        arguments
    }

    async fn start_registries(&self, programs: &BTreeMap<Kind, PathBuf>, learnt: &mut Learnt) -> Result<(), Failure> {
        let mut bootstrap: Option<String> = None;
        for registry in &self.plan.registries {
            let listen = format!("/ip4/127.0.0.1/tcp/{}", registry.peer);
            let mut arguments = self.service_arguments(registry);
            arguments.extend([
                "--rpc-listen".to_owned(),
                registry.endpoint(),
                "--p2p-listen".to_owned(),
                listen.clone(),
                "--http-listen".to_owned(),
                format!("127.0.0.1:{}", registry.http),
            ]);
            if let Some(address) = &bootstrap {
                arguments.extend(["--bootstrap".to_owned(), address.clone()]);
            }
            arguments.extend(registry.extra.iter().cloned());
            let peer = keys::open(registry)?.libp2p_keypair().public().to_peer_id();
            let address = format!("{listen}/p2p/{peer}");
            self.launch(&registry.name, Kind::Registry, programs, arguments);
            learnt.registry_p2p.insert(registry.name.clone(), address.clone());
            if bootstrap.is_none() {
                // The others bootstrap from the first, as any newcomer would from any registry.
                self.healthy(registry).await?;
                bootstrap = Some(address);
            }
        }
        for registry in &self.plan.registries {
            self.healthy(registry).await?;
        }
        self.step(format_args!("{} registries are healthy", self.plan.registries.len()));
        Ok(())
    }

    async fn start_serving(&self, programs: &BTreeMap<Kind, PathBuf>, learnt: &Learnt) -> Result<(), Failure> {
        for media in &self.plan.media {
            let mut arguments = self.service_arguments(media);
            arguments.extend(self.registry_arguments(learnt));
            arguments.extend([
                "--rpc-listen".to_owned(),
                media.endpoint(),
                "--media-listen".to_owned(),
                format!("127.0.0.1:{}", media.peer),
                "--http-listen".to_owned(),
                format!("127.0.0.1:{}", media.http),
                "--class".to_owned(),
                "small".to_owned(),
            ]);
            arguments.extend(media.extra.iter().cloned());
            self.launch(&media.name, Kind::Media, programs, arguments);
        }
        for orchestrator in &self.plan.orchestrators {
            let mut arguments = self.service_arguments(orchestrator);
            arguments.extend(self.registry_arguments(learnt));
            arguments.extend([
                "--ws-listen".to_owned(),
                format!("127.0.0.1:{}", orchestrator.http),
                "--apps".to_owned(),
                self.apps_file().display().to_string(),
            ]);
            arguments.extend(orchestrator.extra.iter().cloned());
            self.launch(&orchestrator.name, Kind::Orchestrator, programs, arguments);
        }
        for service in self.plan.media.iter().chain(&self.plan.orchestrators) {
            self.healthy(service).await?;
        }
        self.step(format_args!(
            "{} media nodes and {} orchestrators are healthy",
            self.plan.media.len(),
            self.plan.orchestrators.len()
        ));
        Ok(())
    }

    async fn healthy(&self, service: &Service) -> Result<(), Failure> {
        let url = format!("{}/health", service.http_url());
        wait_for(&service.name, &self.plan.log(&service.name), &self.views, self.patience, || {
            let url = url.clone();
            async move { fetch::get(&url, Duration::from_secs(5)).await.map(|_| ()).map_err(|error| chain_of(&error)) }
        })
        .await
    }

    async fn start_demo(&self, learnt: &Learnt) -> Result<tokio::task::JoinHandle<()>, Failure> {
        let app = learnt.apps.first().ok_or_else(|| Failure::new("there is no demo application"))?;
        let http: Vec<String> = self.plan.orchestrators.iter().map(Service::http_url).collect();
        let routes = demo::routes(Demo {
            key: app.key.clone(),
            secret: token::read_secret(&app.secret_file)?,
            orchestrators: http.iter().map(|url| url.replacen("http", "ws", 1)).collect(),
            orchestrators_http: http,
            chain: self.plan.validators.first().map(Validator::ws_url).unwrap_or_default(),
            registries: self.plan.registries.iter().map(Service::http_url).collect(),
            web: self.web.clone(),
        });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", self.plan.demo))
            .await
            .context("cannot open the demo server's port")?;
        Ok(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "the demo server ended");
            }
        }))
    }
}

fn programs() -> Result<BTreeMap<Kind, PathBuf>, Failure> {
    [Kind::Validator, Kind::Registry, Kind::Media, Kind::Orchestrator]
        .into_iter()
        .map(|kind| Ok((kind, find_program(kind)?)))
        .collect()
}

fn validator_arguments(validator: &Validator, chain: &str, boot: Option<&str>) -> Vec<String> {
    let mut arguments = vec!["--chain".to_owned(), chain.to_owned()];
    arguments.extend(validator.authority.map(|name| format!("--{name}")));
    let pairs = [
        ("--name", validator.name.clone()),
        ("--base-path", validator.dir.join("chain").display().to_string()),
        ("--node-key-file", validator.node_key().display().to_string()),
        ("--listen-addr", format!("/ip4/127.0.0.1/tcp/{}", validator.p2p)),
        ("--rpc-port", validator.ws.to_string()),
        ("--prometheus-port", validator.metrics.to_string()),
        ("--rpc-cors", "all".to_owned()),
    ];
    for (flag, value) in pairs {
        arguments.extend([flag.to_owned(), value]);
    }
    arguments.extend(["--no-telemetry".to_owned(), "--no-mdns".to_owned()]);
    if let Some(boot) = boot {
        arguments.extend(["--bootnodes".to_owned(), boot.to_owned()]);
    }
    arguments.extend(validator.extra.iter().cloned());
    arguments
}

/// What matters of a node's own view of itself.
#[derive(Deserialize)]
struct Health {
    peers: usize,
}

/// Asks a validator's own JSON-RPC.
async fn ask<T: DeserializeOwned>(validator: &Validator, method: &str, params: ArrayParams) -> Result<T, String> {
    let client = HttpClientBuilder::default()
        .request_timeout(Duration::from_secs(5))
        .build(format!("http://127.0.0.1:{}", validator.ws))
        .map_err(|error| chain_of(&error))?;
    client.request(method, params).await.map_err(|error| chain_of(&error))
}

/// Number of the newest final block.
async fn finalised(validator: &Validator) -> Result<u32, String> {
    let hash: String = ask(validator, "chain_getFinalizedHead", rpc_params![]).await?;
    let header: serde_json::Value = ask(validator, "chain_getHeader", rpc_params![hash]).await?;
    let number = header.get("number").and_then(serde_json::Value::as_str).unwrap_or_default();
    u32::from_str_radix(number.trim_start_matches("0x"), 16).map_err(|_| format!("{number:?} is no block number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_single_validator_gets_a_chain_that_it_can_finalise_alone() {
        let plan = Plan::new(&Options { validators: 1, ..Options::default() }, Path::new("/data")).unwrap();
        let arguments = validator_arguments(&plan.validators[0], &plan.chain, None).join(" ");
        assert!(arguments.starts_with("--chain dev --alice "), "{arguments}");
    }

    #[test]
    fn validators_find_each_other_and_no_telemetry_is_sent() {
        let plan = Plan::new(&Options { validators: 3, ..Options::default() }, Path::new("/data")).unwrap();
        let first = validator_arguments(&plan.validators[0], &plan.chain, None).join(" ");
        assert!(first.starts_with("--chain local --alice ") && !first.contains("--bootnodes"), "{first}");
        let boot = "/ip4/127.0.0.1/tcp/9930/p2p/12D3";
        let second = validator_arguments(&plan.validators[1], &plan.chain, Some(boot)).join(" ");
        assert!(second.contains("--bob") && second.contains(&format!("--bootnodes {boot}")), "{second}");
        let third = validator_arguments(&plan.validators[2], &plan.chain, Some(boot)).join(" ");
        assert!(!third.contains("--alice") && !third.contains("--bob") && third.contains("--no-telemetry"), "{third}");
    }
}
