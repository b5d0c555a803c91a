//! Commands against a real node. Not part of the plain test run: it needs the node's binary. `make test` runs it as the stage `live`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use axum::{Json, Router, routing};
use chroom_chain_client::{ChainClient, NewNode, Signer};
use chroom_cli::evidence::{self, Evidence};
use chroom_primitives::{
    CHR, CapacityClass, H3Cell, Hash, Leaf, NodeId, QosEpoch, QosLeaf, Role, Score, Signed,
    evidence::{RecordEquivocation, RootStatement},
    leaf::SourceClasses,
    merkle::{Root, Tree},
    record::NodeRecord,
    runtime_api::MemberProof,
};
use chroom_wallet::Wallet;
use codec::Encode;
use serde_json::{Value, json as value};
use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};
use subxt_signer::sr25519::dev;

const CELL: H3Cell = H3Cell(0x0851_fb46_7fff_ffff);

/// File of a node's log, in its data folder.
const LOG: &str = "log";

struct Node {
    url: String,
    process: Child,
    data: tempfile::TempDir,
}

impl Node {
    fn start() -> Self {
        Self::start_with(&["--no-prometheus"])
    }

    fn start_with(more: &[&str]) -> Self {
        let binary = std::env::var("CHROOM_TEST_NODE").expect("CHROOM_TEST_NODE names the chroom-node binary");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = tempfile::tempdir().unwrap();
        let process = Command::new(binary)
            .args(["--dev", "--port", "0", "--rpc-port", &port.to_string(), "--base-path"])
            .arg(data.path())
            .args(more)
            .stderr(File::create(data.path().join(LOG)).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { url: format!("ws://127.0.0.1:{port}"), process, data }
    }

    /// The word behind `before` in the node's log, once it is there.
    async fn told(&self, before: &str) -> String {
        let found = async {
            loop {
                let log = std::fs::read_to_string(self.data.path().join(LOG)).unwrap();
                // Only of lines that are whole.
                let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
                if let Some((_, after)) = whole.split_once(before) {
                    return after.split_whitespace().next().unwrap().to_owned();
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(300), found).await.expect("the node logs it")
    }

    async fn client(&self) -> ChainClient {
        let connecting = ChainClient::connect_when_up(std::slice::from_ref(&self.url));
        tokio::time::timeout(Duration::from_secs(300), connecting).await.expect("the node answers").unwrap()
    }

    /// Runs a command that needs the chain, with `--json`.
    fn chroom(&self, dir: &Path, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_chroom"))
            .args(arguments)
            .args(["--chain", &self.url, "--json"])
            .current_dir(dir)
            .env_remove("CHROOM_CHAIN")
            .env_remove("CHROOM_REGISTRY_URL")
            .env_remove("CHROOM_NETWORK")
            .output()
            .unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(bytes)))
}

fn new_node(role: Role, bond: u128) -> NewNode {
    NewNode {
        role,
        class: CapacityClass::Small,
        cell: CELL,
        endpoint: "127.0.0.1:7400".parse().unwrap(),
        price_per_gib: 0,
        bond,
    }
}

fn pair(signer: &Wallet, seq: u64, genesis: &Hash) -> Evidence {
    let signed = |left| -> Signed<NodeRecord> {
        let record = NodeRecord {
            node: signer.node_id(),
            seq,
            expires_ms: 2,
            role: Role::Media,
            cell: CELL,
            rpc: "127.0.0.1:7400".parse().unwrap(),
            public_url: Default::default(),
            p2p: Default::default(),
            class: CapacityClass::Small,
            version: Default::default(),
            left,
        };
        signer.sign(record, genesis)
    };
    Evidence::Records(RecordEquivocation { first: signed(false), second: signed(true) })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the node's binary in CHROOM_TEST_NODE"]
async fn evidence_in_a_file_is_weighed_and_reported_once() {
    let node = Node::start();
    let client = node.client().await;
    let (media, stranger) = (Wallet::generate(), Wallet::generate());
    client.register(&Signer::from(dev::charlie()), &media, new_node(Role::Media, 100 * CHR)).await.unwrap();

    let dir = tempfile::tempdir().unwrap();
    let genesis = client.genesis_hash();
    let file = |evidence: &Evidence| {
        evidence::save(evidence, &genesis, dir.path()).unwrap().file_name().unwrap().to_str().unwrap().to_owned()
    };
    let (first, second) = (file(&pair(&media, 1 << 16, &genesis)), file(&pair(&media, 2 << 16, &genesis)));
    let unknown = file(&pair(&stranger, 1 << 16, &genesis));

    let listed = node.chroom(dir.path(), &["evidence", "list", "--file", &unknown, "--file", &first]);
    let listed = json(&listed.stdout);
    let of = |node: &Wallet| {
        let id = node.node_id().to_hex();
        listed["evidence"].as_array().unwrap().iter().find(|entry| entry["offender"] == id).unwrap().clone()
    };
    assert_eq!((&of(&media)["worthReporting"], &of(&media)["stake"]), (&true.into(), &(100 * CHR).to_string().into()));
    assert!(of(&stranger)["reason"].as_str().unwrap().contains("not registered"));

    // What is worthless is told for nothing.
    let refused = node.chroom(dir.path(), &["evidence", "report", "--file", &unknown, "--dev", "dave"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(json(&refused.stderr)["error"].as_str().unwrap().contains("not registered"));

    // Two contradictions of one node, in whatever order the files come: each costs it a tenth of what it has left.
    let arguments = ["evidence", "report", "--file", &second, "--file", &first, "--dev", "dave"];
    let reported = node.chroom(dir.path(), &arguments);
    assert_eq!(reported.status.code(), Some(0), "{}", String::from_utf8_lossy(&reported.stderr));
    let reported = json(&reported.stdout);
    let slashed: Vec<(&Value, &Value, &Value)> = reported["reported"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["slashed"], &entry["reward"], &entry["feePaid"]))
        .collect();
    let text = |amount: u128| Value::from(amount.to_string());
    assert_eq!(slashed, [(&text(10 * CHR), &text(2 * CHR), &text(0)), (&text(9 * CHR), &text(9 * CHR / 5), &text(0))]);

    // Once is enough.
    let again = node.chroom(dir.path(), &["evidence", "report", "--file", &first, "--dev", "dave"]);
    assert_eq!(again.status.code(), Some(1));
    // Its own account's fee would be the cost of finding out: it is spent, and the chain was not bothered.
    assert!(
        json(&again.stderr)["error"].as_str().unwrap().contains("spent"),
        "{}",
        String::from_utf8_lossy(&again.stderr)
    );
}

/// An attestor that measured one node, what it shows of that, and the snapshot root that it sent.
struct Attested {
    epoch: QosEpoch,
    proof: MemberProof,
    quality: Root,
    snapshot: Root,
}

/// Attests the node in the first epoch that the attestor was drawn for it.
async fn attest(client: &ChainClient, attestor: &Wallet, node: NodeId) -> Attested {
    let snapshot = Root { hash: Hash::repeat_byte(5), leaves: 1 };
    let mut membership = client.membership();
    loop {
        membership.changed().await.unwrap();
        let Some(epoch) = membership.borrow().epoch.current.previous() else { continue };
        if !client.assignments(epoch, attestor.node_id()).await.unwrap().contains(&node) {
            continue;
        }
        let leaf = QosLeaf {
            epoch,
            node,
            attestor: attestor.node_id(),
            sources: SourceClasses::default(),
            score: Score(9_000),
            uptime: 10_000,
            samples: 3,
        };
        let tree = Tree::new(&[Leaf::Qos(leaf.clone())]);
        let quality = tree.root();
        match client.submit_root(&Signer::from(attestor.clone()), epoch, quality, snapshot).await {
            // The window has closed meanwhile: the next epoch's is whole.
            Err(error) if error.is("Qos", "WindowClosed") || error.is("Qos", "WrongEpoch") => continue,
            sent => drop(sent.unwrap()),
        }
        let proof =
            MemberProof { attestor: attestor.node_id(), quality: (leaf, tree.prove(0).unwrap()), usage: Vec::new() };
        return Attested { epoch, proof, quality, snapshot };
    }
}

/// A registry that shows these leaves and signs for these roots.
async fn registry(attestor: &Wallet, proof: &MemberProof, statement: &Signed<RootStatement>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let nodes = value!([{ "node": attestor.node_id(), "publicUrl": url }]);
    let scale = |bytes: Vec<u8>| format!("0x{}", hex::encode(bytes));
    let shown = value!({ "memberProof": scale(proof.encode()), "signedStatement": scale(statement.encode()) });
    let answer = move |Json(request): Json<Value>| async move {
        let result = if request["method"] == "registry_nodes" { nodes } else { shown };
        Json(value!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
    };
    let app = Router::new().route("/", routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the node's binary in CHROOM_TEST_NODE"]
async fn a_registry_that_lies_to_a_claimant_is_found_and_reported() {
    let node = Node::start();
    let client = node.client().await;
    let charlie = Signer::from(dev::charlie());
    let (media, attestor) = (Wallet::generate(), Wallet::generate());
    client.register(&charlie, &media, new_node(Role::Media, 100 * CHR)).await.unwrap();
    client.register(&charlie, &attestor, new_node(Role::Registry, 500 * CHR)).await.unwrap();
    client.transfer(&charlie, &attestor.account(), 10 * CHR).await.unwrap();
    let Attested { epoch, proof, quality, snapshot } = attest(&client, &attestor, media.node_id()).await;

    let genesis = client.genesis_hash();
    let stated = |snapshot| {
        let statement = RootStatement { attestor: attestor.node_id(), epoch, quality, snapshot };
        attestor.sign(statement, &genesis)
    };
    let dir = tempfile::tempdir().unwrap();
    let show = |url: &str| {
        let (id, number) = (media.node_id().to_hex(), epoch.0.to_string());
        let arguments = ["rewards", "show", &id, "--epoch", &number, "--registry-url", url];
        let shown = node.chroom(dir.path(), &arguments);
        assert_eq!(shown.status.code(), Some(0), "{}", String::from_utf8_lossy(&shown.stderr));
        (json(&shown.stdout)["epochs"][0].clone(), String::from_utf8_lossy(&shown.stderr).into_owned())
    };
    let honest = registry(&attestor, &proof, &stated(snapshot)).await;
    let (shown, said) = show(&honest);
    assert_eq!(
        (&shown["proofs"], &shown["evidence"], &shown["remarks"]),
        (&value!(1), &value!([]), &value!([])),
        "{said}"
    );

    // The leaves are as good as before; the word about the snapshot is not.
    let liar = registry(&attestor, &proof, &stated(Root::default())).await;
    let (shown, said) = show(&liar);
    assert_eq!(shown["proofs"], 1);
    let file = shown["evidence"][0].as_str().unwrap().to_owned();
    assert!(said.contains(&format!("chroom evidence report --file {file}")), "{said}");
    let reported = node.chroom(dir.path(), &["evidence", "report", "--file", &file, "--dev", "dave"]);
    assert_eq!(reported.status.code(), Some(0), "{}", String::from_utf8_lossy(&reported.stderr));
    let reported = json(&reported.stdout)["reported"][0].clone();
    assert_eq!((&reported["kind"], &reported["epoch"]), (&value!("root-equivocation"), &value!(epoch)));
    assert_eq!(reported["slashed"], (50 * CHR).to_string());
    assert_eq!((&reported["reward"], &reported["feePaid"]), (&value!((10 * CHR).to_string()), &value!("0")));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the node's binary in CHROOM_TEST_NODE"]
async fn every_metric_of_the_chain_nodes_dashboard_is_exported() {
    // A port that is chosen before the node takes it may be another node's by then.
    let node = Node::start_with(&["--prometheus-port", "0"]);
    node.client().await;
    let metrics = format!("http://{}/metrics", node.told("Prometheus exporter started at ").await);
    let metrics = chroom_cli::fetch::get(&metrics, Duration::from_secs(60)).await.unwrap();
    let dashboard = include_str!("../../grafana/chain-node.json");
    let missing = chroom_rpc::dashboard::missing(dashboard, "substrate_", &String::from_utf8_lossy(&metrics));
    assert_eq!(missing, Ok(Default::default()));
}
