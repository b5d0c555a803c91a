//! Against real nodes, one of its own for each test. Not part of the plain test run: it needs the node's binary, and takes
//! minutes of blocks. `make test` runs it as the stage `live`.
//!
//! ```text
//! CHROOM_TEST_NODE=target/debug/chroom-node cargo test --workspace --test live -- --ignored
//! ```
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use chroom_chain_client::{ChainClient, Membership, NewNode, NodeUpdate, SentRoots, Signer, SubmitError};
use chroom_primitives::{
    CHR, CapacityClass, H3Cell, NodeId, NodeStatus, QosEpoch, Role, SnapshotLeaf,
    evidence::{RecordEquivocation, RootEquivocation, RootStatement},
    merkle::{Root, Tree},
    record::NodeRecord,
};
use chroom_wallet::Wallet;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::{sync::Arc, time::Duration};
use subxt_signer::sr25519::dev;

/// A node of its own, so that it can be killed.
struct Node {
    binary: String,
    data: tempfile::TempDir,
    port: u16,
    process: std::process::Child,
}

impl Node {
    fn start() -> Self {
        let binary = std::env::var("CHROOM_TEST_NODE").expect("CHROOM_TEST_NODE names the chroom-node binary");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = tempfile::tempdir().unwrap();
        let process = Self::spawn(&binary, &data, port);
        Self { binary, data, port, process }
    }

    fn spawn(binary: &str, data: &tempfile::TempDir, port: u16) -> std::process::Child {
        std::process::Command::new(binary)
            .args(["--dev", "--no-prometheus", "--port", "0", "--rpc-port", &port.to_string(), "--base-path"])
            .arg(data.path())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn restart(&mut self) {
        self.process = Self::spawn(&self.binary, &self.data, self.port);
    }

    /// Stops all of its threads, and waits until the last stands still: one that still ran could answer.
    fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
        waitid(WaitId::Pid(self.pid()), WaitIdOptions::STOPPED).unwrap();
    }

    fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    async fn client(&self) -> ChainClient {
        let url = self.url();
        for _ in 0..360 {
            // The first URL leads nowhere: connecting must go on to the next.
            match ChainClient::connect(&["ws://127.0.0.1:9".into(), url.clone()]).await {
                Ok(client) => return client,
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
        panic!("the node answers within six minutes");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "needs the node's binary in CHROOM_TEST_NODE"]
async fn a_transaction_survives_the_death_of_the_node() {
    let mut node = Node::start();
    let client = node.client().await;
    let charlie = Signer::from(dev::charlie());
    let receiver = Wallet::generate().account();
    until(&client, |m| m.block >= 1).await;
    let sending = tokio::spawn({
        let (client, receiver) = (client.clone(), receiver.clone());
        async move { client.transfer(&charlie, &receiver, 5 * CHR).await }
    });
    // In the pool, most likely in no block yet; the pool is in memory only.
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.kill();
    node.restart();
    let outcome = sending.await.unwrap().unwrap();
    assert_eq!(client.balance(&receiver).await.unwrap().free, 5 * CHR);
    assert!(client.membership().borrow().block >= outcome.block_number);
}

#[tokio::test]
#[ignore = "needs the node's binary in CHROOM_TEST_NODE"]
async fn a_silent_node_is_left_for_the_next() {
    let first = Node::start();
    let client = first.client().await;
    until(&client, |m| m.block >= 1).await;
    // It keeps the connection open and says nothing any more.
    first.pause();
    let before = client.membership().borrow().block;
    let answer = tokio::time::timeout(Duration::from_secs(180), client.epoch_info()).await;
    assert!(answer.expect("a question to a silent node ends").is_err());
    first.resume();
    until(&client, |m| m.block > before + 2).await;
    client.epoch_info().await.unwrap();
}

fn new_node(role: Role, bond: u128) -> NewNode {
    NewNode {
        role,
        class: CapacityClass::Small,
        cell: H3Cell(0x0851_fb46_7fff_ffff),
        endpoint: "127.0.0.1:7400".parse().unwrap(),
        price_per_gib: if role == Role::Media { CHR } else { 0 },
        bond,
    }
}

async fn until(client: &ChainClient, what: impl Fn(&Membership) -> bool) -> Arc<Membership> {
    let mut membership = client.membership();
    let waited = tokio::time::timeout(Duration::from_secs(360), membership.wait_for(|m| what(m))).await;
    waited.expect("the membership changes within six minutes").unwrap().clone()
}

#[tokio::test]
#[ignore = "needs the node's binary in CHROOM_TEST_NODE"]
async fn a_node_lives_on_the_chain() {
    let node = Node::start();
    let client = node.client().await;
    let (charlie, dave) = (Signer::from(dev::charlie()), Signer::from(dev::dave()));
    let charlie_account = charlie.account();
    let before = client.balance(&charlie_account).await.unwrap();

    // Registering, with several transactions of one account under way at once.
    let (media, registry) = (Wallet::generate(), Wallet::generate());
    let registry_account = registry.account();
    let (first, second, third) = tokio::join!(
        client.register(&charlie, &media, new_node(Role::Media, 100 * CHR)),
        client.register(&charlie, &registry, new_node(Role::Registry, 500 * CHR)),
        client.transfer(&charlie, &registry_account, 10 * CHR),
    );
    let (first, second, third) = (first.unwrap(), second.unwrap(), third.unwrap());
    assert!(first.find("Nodes", "Registered").is_some(), "{first:?}");
    let both = until(&client, |m| m.get(&media.node_id()).is_some() && m.get(&registry.node_id()).is_some()).await;
    assert!(both.is_member(&media.node_id(), Role::Media));
    assert!(!both.is_member(&media.node_id(), Role::Registry));
    assert_eq!(both.get(&media.node_id()).unwrap().owner, charlie.account());
    let after = client.balance(&charlie.account()).await.unwrap();
    // Two bonds, and two deposits of one CHR.
    assert_eq!(after.held - before.held, 602 * CHR);
    assert_eq!(before.free - after.free, 612 * CHR + first.fee + second.fee + third.fee, "fees are told exactly");
    assert_eq!(client.balance(&registry.account()).await.unwrap().free, 10 * CHR);
    assert_eq!(client.key_proof_nonce(media.node_id()).await.unwrap(), 1);
    assert_eq!(client.registration(media.node_id()).await.unwrap().as_ref(), both.get(&media.node_id()));

    // The chain's own refusals are told by name.
    let again = client.register(&charlie, &media, new_node(Role::Media, 100 * CHR)).await.unwrap_err();
    assert!(again.is("Nodes", "AlreadyRegistered"), "{again}");
    assert!(again.to_string().contains("registered already"), "{again}");
    let poor = client.register(&charlie, &Wallet::generate(), new_node(Role::Media, CHR)).await.unwrap_err();
    assert!(poor.is("Nodes", "BondTooLow"), "{poor}");
    let broke = Signer::from(Wallet::generate());
    let unpaid = client.drain(&broke, media.node_id()).await.unwrap_err();
    assert!(matches!(unpaid, SubmitError::Refused(_)), "{unpaid}");

    // A node's own key signs too: the registry node pays from what it was given.
    let node_key = Signer::from(registry.clone());
    client.drain(&node_key, registry.node_id()).await.unwrap();
    let drained = until(&client, |m| m.get(&registry.node_id()).unwrap().status == NodeStatus::Draining).await;
    assert_eq!(drained.active(Role::Registry).filter(|node| node.node == registry.node_id()).count(), 0);
    client.resume(&node_key, registry.node_id()).await.unwrap();
    let endpoint = "[::1]:7401".parse().unwrap();
    client
        .update(&charlie, media.node_id(), NodeUpdate { endpoint: Some(endpoint), ..Default::default() })
        .await
        .unwrap();
    until(&client, |m| m.get(&media.node_id()).unwrap().endpoint.as_str() == "[::1]:7401").await;

    // The registry node becomes an attestor with the next epoch, is drawn for the media node, and sends its roots.
    let mut membership = client.membership();
    let epoch: QosEpoch = loop {
        membership.changed().await.unwrap();
        let current = membership.borrow().epoch.current;
        let Some(previous) = current.previous() else { continue };
        let drawn = client.assignments(previous, registry.node_id()).await.unwrap();
        if drawn.contains(&media.node_id()) && client.attestation(previous, registry.node_id()).await.unwrap().is_none()
        {
            break previous;
        }
    };
    assert!(client.committee(epoch, media.node_id()).await.unwrap().contains(&registry.node_id()));
    let leaf = SnapshotLeaf { node: media.node_id(), seq: 1, record_hash: Default::default() };
    let snapshot = Tree::new(&[leaf]).root();
    let sent = client.submit_root(&node_key, epoch, Root::default(), snapshot).await;
    let sent = match sent {
        // The window may have closed meanwhile: the next epoch's is whole.
        Err(error) if error.is("Qos", "WindowClosed") || error.is("Qos", "WrongEpoch") => {
            until(&client, |m| m.epoch.current == epoch.next().next()).await;
            client.submit_root(&node_key, epoch.next(), Root::default(), snapshot).await.unwrap()
        }
        sent => sent.unwrap(),
    };
    assert!(sent.find("Qos", "RootSubmitted").is_some());
    let last = client.latest_snapshot().await.unwrap();
    assert_eq!(last.map(|s| s.root), Some(snapshot), "one attestor is two thirds of one");
    assert_eq!(client.attestation(last.unwrap().epoch, registry.node_id()).await.unwrap(), Some(Root::default()));
    assert!(client.epoch_start_ms(epoch).await.unwrap() < client.epoch_start_ms(epoch.next()).await.unwrap());

    // Escrows, and what there is not.
    let escrow = client.escrow(&charlie.account()).await.unwrap();
    client.deposit_escrow(&charlie, &charlie.account(), 7 * CHR).await.unwrap();
    assert_eq!(client.escrow(&charlie.account()).await.unwrap(), escrow + 7 * CHR);
    assert_eq!(client.last_reward(media.node_id()).await.unwrap(), None);
    assert_eq!(client.registration(NodeId::default()).await.unwrap(), None);

    // What an application lets an orchestrator agree to.
    let (orchestrator, current) = (Wallet::generate(), client.membership().borrow().epoch.current);
    let limit = || client.price_limit(&charlie_account, orchestrator.node_id(), current);
    assert_eq!(limit().await.unwrap(), 0);
    client.register(&dave, &orchestrator, new_node(Role::Orchestrator, 100 * CHR)).await.unwrap();
    client.authorize(&charlie, orchestrator.node_id(), Some(3 * CHR)).await.unwrap();
    assert_eq!(limit().await.unwrap(), 3 * CHR);

    // Contradictions: shown by anybody, slashed once, and the reporter has a share and pays nothing.
    let last = client.latest_snapshot().await.unwrap().unwrap().epoch;
    let attestor = registry.node_id();
    let known = client.attestation_of(last, attestor).await.unwrap();
    assert_eq!(known.roots, Some(SentRoots { quality: Root::default(), snapshot }));
    assert!(!known.punished);
    assert_eq!(client.is_attestor(last, attestor).await.unwrap(), Some(true));
    assert_eq!(client.is_attestor(last, media.node_id()).await.unwrap(), Some(false));
    assert_eq!(client.is_attestor(QosEpoch(u32::MAX), attestor).await.unwrap(), None);
    let genesis = client.genesis_hash();
    let lie = RootStatement { attestor, epoch: last, quality: Root::default(), snapshot: Root::default() };
    let lie = RootEquivocation::AgainstChain(registry.sign(lie, &genesis));
    let stake = client.stake(attestor).await.unwrap().unwrap();
    assert_eq!((stake.bearer, stake.amount), (attestor, 500 * CHR));
    let before = client.balance(&dave.account()).await.unwrap().free;
    let report = client.report_roots(&dave, lie.clone()).await.unwrap();
    assert_eq!((report.slashed, report.reward, report.outcome.fee), (50 * CHR, 10 * CHR, 0));
    assert_eq!(client.balance(&dave.account()).await.unwrap().free, before + 10 * CHR);
    assert!(client.attestation_of(last, attestor).await.unwrap().punished);
    let again = client.report_roots(&dave, lie).await.unwrap_err();
    assert!(again.is("Qos", "EvidenceSpent"), "{again}");
    let record = |left| {
        let record = NodeRecord {
            node: media.node_id(),
            seq: 1 << 16,
            expires_ms: 2,
            role: Role::Media,
            cell: H3Cell(0x0851_fb46_7fff_ffff),
            rpc: "127.0.0.1:7400".parse().unwrap(),
            public_url: Default::default(),
            p2p: Default::default(),
            class: CapacityClass::Small,
            version: Default::default(),
            left,
        };
        media.sign(record, &genesis)
    };
    let pair = RecordEquivocation { first: record(false), second: record(true) };
    assert_eq!(client.punished(media.node_id()).await.unwrap(), None);
    let report = client.report_records(&dave, pair.clone()).await.unwrap();
    assert_eq!((report.slashed, report.reward, report.outcome.fee), (10 * CHR, 2 * CHR, 0));
    assert_eq!(client.punished(media.node_id()).await.unwrap(), Some(1 << 16));
    assert!(client.report_records(&dave, pair).await.unwrap_err().is("Nodes", "EvidenceSpent"));

    // Leaving.
    client.unbond(&charlie, media.node_id()).await.unwrap();
    until(&client, |m| m.get(&media.node_id()).unwrap().status == NodeStatus::Unbonding).await;
    client.unbond(&charlie, registry.node_id()).await.unwrap();
}
