//! What a network that is up says of itself: a table for people, one line of JSON for programs.

use super::{
    plan::{Plan, Service},
    process::{Views, write_whole},
};
use crate::{
    output::{Output, table},
    place,
};
use chroom_primitives::NodeId;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A validator.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Validator {
    name: String,
    pid: Option<u32>,
    ws: String,
    metrics: String,
}

/// A registry node.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    name: String,
    pid: Option<u32>,
    http: String,
    rpc: String,
    p2p: String,
    node_id: NodeId,
    data: PathBuf,
    region: String,
    cell: String,
    owner: String,
}

/// A media node.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaNode {
    name: String,
    pid: Option<u32>,
    http: String,
    node_id: NodeId,
    region: String,
    cell: String,
    udp: String,
    rpc: String,
    owner: String,
    owner_account: String,
    data: PathBuf,
}

/// An orchestrator.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orchestrator {
    name: String,
    pid: Option<u32>,
    ws: String,
    http: String,
    node_id: NodeId,
    region: String,
    cell: String,
    owner: String,
}

/// An application.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct App {
    /// Its key id.
    pub key: String,
    /// File with its secret.
    pub secret_file: PathBuf,
    /// The account whose escrow pays.
    pub account: String,
}

/// The whole network.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    ready: bool,
    demo: String,
    explorer: String,
    orchestrators: Vec<Orchestrator>,
    registries: Vec<Registry>,
    media_nodes: Vec<MediaNode>,
    validators: Vec<Validator>,
    operator: BTreeMap<String, String>,
    logs: PathBuf,
    processes: PathBuf,
    apps: Vec<App>,
    chain: String,
    #[serde(skip)]
    rows: Vec<Vec<String>>,
}

/// What the start learnt beyond the plan.
#[derive(Clone, Debug, Default)]
pub struct Learnt {
    /// Node ids by name.
    pub nodes: BTreeMap<String, NodeId>,
    /// The libp2p addresses of the registries by name.
    pub registry_p2p: BTreeMap<String, String>,
    /// Accounts by development name.
    pub accounts: BTreeMap<String, String>,
    /// Applications.
    pub apps: Vec<App>,
}

impl Ready {
    /// Puts the plan, what the start learnt and the running processes together.
    pub fn new(plan: &Plan, learnt: &Learnt, views: &Views) -> Self {
        let pid = |name: &str| views.get(name).and_then(|view| view.pid);
        let node = |service: &Service| learnt.nodes.get(&service.name).copied().unwrap_or_default();
        let account = |owner: &str| learnt.accounts.get(owner).cloned().unwrap_or_default();
        let chain = plan.validators.first().map(super::plan::Validator::ws_url).unwrap_or_default();
        let demo = format!("http://127.0.0.1:{}/", plan.demo);
        let mut rows = Vec::new();
        let mut row = |name: &str, kind: &str, urls: Vec<String>| {
            let log = views.get(name).map(|view| view.log.display().to_string()).unwrap_or_default();
            let pid = pid(name).map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            rows.push(vec![name.to_owned(), kind.to_owned(), pid, urls.join(" "), log]);
        };
        for validator in &plan.validators {
            let kind = if validator.authority.is_some() { "validator" } else { "full node" };
            row(&validator.name, kind, vec![validator.ws_url()]);
        }
        for service in plan.services() {
            let url = service.http_url();
            let (kind, urls) = match service.kind {
                super::plan::Kind::Orchestrator => {
                    ("orchestrator", vec![url.replacen("http", "ws", 1), format!("{url}/v1/network")])
                }
                super::plan::Kind::Media => ("media node", vec![format!("{url}/v1/status")]),
                _ => ("registry", vec![url]),
            };
            row(&service.name, &format!("{kind}, {}", service.region.name), urls);
        }
        Self {
            ready: true,
            explorer: format!("{demo}explorer/"),
            orchestrators: plan
                .orchestrators
                .iter()
                .map(|service| Orchestrator {
                    name: service.name.clone(),
                    pid: pid(&service.name),
                    ws: service.http_url().replacen("http", "ws", 1),
                    http: service.http_url(),
                    node_id: node(service),
                    region: service.region.name.to_owned(),
                    cell: place::hex(service.cell),
                    owner: service.owner.to_lowercase(),
                })
                .collect(),
            registries: plan
                .registries
                .iter()
                .map(|service| Registry {
                    name: service.name.clone(),
                    pid: pid(&service.name),
                    http: service.http_url(),
                    rpc: service.endpoint(),
                    p2p: learnt.registry_p2p.get(&service.name).cloned().unwrap_or_default(),
                    node_id: node(service),
                    data: service.data(),
                    region: service.region.name.to_owned(),
                    cell: place::hex(service.cell),
                    owner: service.owner.to_lowercase(),
                })
                .collect(),
            media_nodes: plan
                .media
                .iter()
                .map(|service| MediaNode {
                    name: service.name.clone(),
                    pid: pid(&service.name),
                    http: service.http_url(),
                    node_id: node(service),
                    region: service.region.name.to_owned(),
                    cell: place::hex(service.cell),
                    udp: format!("127.0.0.1:{}", service.peer),
                    rpc: service.endpoint(),
                    owner: service.owner.to_lowercase(),
                    owner_account: account(&service.owner),
                    data: service.data(),
                })
                .collect(),
            validators: plan
                .validators
                .iter()
                .map(|validator| Validator {
                    name: validator.name.clone(),
                    pid: pid(&validator.name),
                    ws: validator.ws_url(),
                    metrics: format!("http://127.0.0.1:{}/metrics", validator.metrics),
                })
                .collect(),
            operator: learnt.accounts.iter().map(|(name, account)| (name.to_lowercase(), account.clone())).collect(),
            logs: plan.logs(),
            processes: plan.data.join("processes.json"),
            apps: learnt.apps.clone(),
            chain,
            rows,
            demo,
        }
    }

    /// Writes the JSON into the data folder, for other commands.
    pub fn save(&self, data: &Path) -> std::io::Result<()> {
        write_whole(&data.join("network.json"), &serde_json::to_vec_pretty(self)?)
    }

    /// Says on stdout that the network is up.
    pub fn announce(&self, output: Output) {
        // Plain data: it always has a JSON form.
        let json = serde_json::to_value(self).unwrap_or_default();
        output.show(&json, |_| self.text());
    }

    fn text(&self) -> String {
        let apps: String = self
            .apps
            .iter()
            .map(|app| format!("application    {} (secret in {})\n", app.key, app.secret_file.display()))
            .collect();
        format!(
            "\n{}\ndemo           {}\nnetwork        {}\nchain          {}\n{apps}logs           {}\n\nCtrl-C ends all of it; the next start goes on with the same data.\n",
            table(&["name", "what", "pid", "where", "log"], &self.rows),
            self.demo,
            self.explorer,
            self.chain,
            self.logs.display(),
        )
    }
}
