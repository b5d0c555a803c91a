//! Commands against a real node. Not part of the plain test run: it needs the node's binary. `make test` runs it as the stage `live`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use chroom_chain_client::{ChainClient, NewNode, Signer};
use chroom_cli::evidence::{self, Evidence};
use chroom_primitives::{
    CHR, CapacityClass, H3Cell, Hash, Role, Signed, evidence::RecordEquivocation, record::NodeRecord,
};
use chroom_wallet::Wallet;
use serde_json::Value;
use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};
use subxt_signer::sr25519::dev;

const CELL: H3Cell = H3Cell(0x0851_fb46_7fff_ffff);

struct Node {
    url: String,
    process: Child,
    _data: tempfile::TempDir,
}

impl Node {
    fn start() -> Self {
        let binary = std::env::var("CHROOM_TEST_NODE").expect("CHROOM_TEST_NODE names the chroom-node binary");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = tempfile::tempdir().unwrap();
        let process = Command::new(binary)
            .args(["--dev", "--no-prometheus", "--port", "0", "--rpc-port", &port.to_string(), "--base-path"])
            .arg(data.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { url: format!("ws://127.0.0.1:{port}"), process, _data: data }
    }

    async fn client(&self) -> ChainClient {
        let connecting = ChainClient::connect_when_up(std::slice::from_ref(&self.url));
        tokio::time::timeout(Duration::from_secs(120), connecting).await.expect("the node answers").unwrap()
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
    let new = NewNode {
        role: Role::Media,
        class: CapacityClass::Small,
        cell: CELL,
        endpoint: "127.0.0.1:7400".parse().unwrap(),
        price_per_gib: CHR,
        bond: 100 * CHR,
    };
    client.register(&Signer::from(dev::charlie()), &media, new).await.unwrap();

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
