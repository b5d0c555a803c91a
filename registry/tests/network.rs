//! Several registry nodes over loopback that share a chain in memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use chroom_primitives::{
    AccountId, NodeStatus, QosEpoch, Role, Signed,
    evidence::{RecordEquivocation, RootStatement},
    record::SessionGrant,
    runtime_api::MemberProof,
};
use chroom_registry::{clock::now_ms, datastore::Store, node::RegistryNode, qos::attestation::Attestation};
use chroom_rpc::{
    receipt::{Receipt, ReceiptBody, SessionId, public_key},
    v1::{self, watch_event::Event},
};
use codec::{Decode, Encode};
use p256::ecdsa::SigningKey;
use support::*;
use tonic::Code;

async fn three(chain: &MemoryChain, folder: &tempfile::TempDir) -> Vec<RegistryNode> {
    let mut nodes: Vec<RegistryNode> = Vec::new();
    for n in 1..=3u8 {
        chain.register(wallet(n).node_id(), Role::Registry, NodeStatus::Active);
        // Each knows only the one before it.
        let bootstrap: Vec<&RegistryNode> = nodes.last().into_iter().collect();
        let node = start(chain, &wallet(n), &folder.path().join(n.to_string()), &bootstrap).await;
        nodes.push(node);
    }
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_spread_forgeries_do_not_and_nothing_acknowledged_is_lost() {
    let chain = MemoryChain::new();
    let folder = tempfile::tempdir().unwrap();
    let media = wallet(10);
    let orchestrator = wallet(11);
    let stranger = wallet(12);
    chain.register(media.node_id(), Role::Media, NodeStatus::Active);
    chain.register(orchestrator.node_id(), Role::Orchestrator, NodeStatus::Active);
    let mut nodes = three(&chain, &folder).await;

    // A watcher on the third node hears of what joins at the first.
    let mut watching = registry(&nodes[2], &orchestrator)
        .watch(v1::WatchRequest { roles: vec!["media".into()] })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watching.message().await.unwrap().unwrap().event, Some(Event::Synced(true)));

    let mut first = registry(&nodes[0], &media);
    let now = now_ms();
    let request = join_request(&media, record(&media, Role::Media, now));
    let answer = first.join(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.seq, now << 16);
    let upsert = watching.message().await.unwrap().unwrap().event;
    assert!(matches!(upsert, Some(Event::Upsert(entry)) if entry.node == media.node_id().0 && !entry.scored));
    for node in &nodes {
        until("the record is everywhere", || node.register().view(&media.node_id()).is_some()).await;
        until("registries find each other", || node.register().views(Some(Role::Registry)).len() == 3).await;
    }

    // Replayed, older, ahead of time, forged, another's, unstaked, wrong role: each refused with its code and a reason.
    let refused = |result: Result<tonic::Response<v1::JoinResponse>, tonic::Status>, code: Code, word: &str| {
        let status = result.expect_err(word);
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(word), "{status:?}");
    };
    refused(first.join(request).await, Code::AlreadyExists, "stored already");
    refused(
        first.join(join_request(&media, record(&media, Role::Media, now - 60_000))).await,
        Code::AlreadyExists,
        "older",
    );
    refused(
        first.join(join_request(&media, record(&media, Role::Media, now + 120_000))).await,
        Code::InvalidArgument,
        "clock",
    );
    let forged =
        v1::JoinRequest { signed_record: stranger.sign(record(&media, Role::Media, now + 1), &GENESIS).encode() };
    refused(first.join(forged.clone()).await, Code::InvalidArgument, "signature");
    refused(registry(&nodes[0], &stranger).join(forged).await, Code::PermissionDenied, "not registered");
    refused(
        registry(&nodes[0], &orchestrator).join(join_request(&media, record(&media, Role::Media, now + 2))).await,
        Code::PermissionDenied,
        "own record",
    );
    refused(
        registry(&nodes[0], &orchestrator)
            .join(join_request(&orchestrator, record(&orchestrator, Role::Media, now + 3)))
            .await,
        Code::PermissionDenied,
        "registered as orchestrator",
    );
    refused(first.join(v1::JoinRequest { signed_record: vec![1, 2, 3] }).await, Code::InvalidArgument, "SCALE");

    // Two records of one number: the second is refused, and anyone can have the pair as evidence.
    let mut twin = record(&media, Role::Media, now);
    twin.version = b"0.2.0".to_vec().try_into().unwrap();
    refused(first.join(join_request(&media, twin)).await, Code::AlreadyExists, "evidence");
    let evidence = call(nodes[0].http, "registry_evidence", serde_json::json!([media.node_id()])).await;
    let pair: RecordEquivocation = unhex(&evidence[0]);
    assert_eq!(pair.offender(&GENESIS), Some(media.node_id()));
    assert_eq!(call(nodes[0].http, "registry_evidence", serde_json::json!([])).await, evidence);
    let last = format!("{}{:016x}", media.node_id().to_hex(), pair.first.payload.seq);
    let rest = call(nodes[0].http, "registry_evidence", serde_json::json!({ "after": last, "limit": 1 })).await;
    assert_eq!(rest, serde_json::json!([]));
    let other = call(nodes[0].http, "registry_evidence", serde_json::json!([orchestrator.node_id()])).await;
    assert_eq!(other, serde_json::json!([]));

    // Load reports reach the others by gossip, and the watcher.
    let report = load(&media, now_ms());
    first.report_load(v1::ReportLoadRequest { signed_report: report.encode() }).await.unwrap();
    until("the load is known at the third node", || {
        nodes[2].register().view(&media.node_id()).is_some_and(|view| view.load.is_some())
    })
    .await;
    // The twin may come before it, if its hash is the greater one.
    loop {
        let event = watching.message().await.unwrap().unwrap().event;
        let Some(Event::Upsert(entry)) = event else { panic!("{event:?}") };
        if entry.signed_load == report.encode() {
            break;
        }
    }

    // A new registry node that knows one other gets everything.
    let fourth = wallet(4);
    chain.register(fourth.node_id(), Role::Registry, NodeStatus::Active);
    let new = start(&chain, &fourth, &folder.path().join("4"), &[&nodes[2]]).await;
    until("the new node has the register", || new.register().view(&media.node_id()).is_some()).await;
    until("the others know the new node", || nodes[0].register().view(&fourth.node_id()).is_some()).await;
    new.stop().await;

    // A registry that the chain does not know is turned away.
    let unknown = start(&chain, &wallet(5), &folder.path().join("5"), &[&nodes[0]]).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(unknown.register().views(None).is_empty());
    unknown.stop().await;

    // Stopped and started again with its folder it still has what it acknowledged, alone.
    drop((first, watching));
    let second = nodes.remove(1);
    let third = nodes.remove(1);
    second.stop().await;
    third.stop().await;
    let only = nodes.remove(0);
    only.stop().await;
    let again = start(&chain, &wallet(1), &folder.path().join("1"), &[]).await;
    let view = again.register().view(&media.node_id()).expect("acknowledged, so on disk");
    assert_eq!(view.record.payload.seq, now << 16);

    // A farewell takes the node out; revoked nodes go too.
    let mut farewell = record(&media, Role::Media, now_ms());
    farewell.left = true;
    let signed_record = media.sign(farewell, &GENESIS).encode();
    registry(&again, &media).leave(v1::LeaveRequest { signed_record }).await.unwrap();
    let got = registry(&again, &orchestrator).get(v1::GetRequest { node: media.node_id().0.to_vec() }).await;
    assert_eq!(got.unwrap_err().code(), Code::NotFound);
    let mut client = registry(&again, &orchestrator);
    client.join(join_request(&orchestrator, record(&orchestrator, Role::Orchestrator, now_ms()))).await.unwrap();
    assert!(again.register().view(&orchestrator.node_id()).is_some());
    chain.register(orchestrator.node_id(), Role::Orchestrator, NodeStatus::Jailed);
    until("the jailed node is gone", || again.register().view(&orchestrator.node_id()).is_none()).await;
    let refused = client.get(v1::GetRequest { node: media.node_id().0.to_vec() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("jailed"));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_ends_with_one_root_per_attestor_and_one_snapshot_for_all() {
    let chain = MemoryChain::new();
    let folder = tempfile::tempdir().unwrap();
    let media = wallet(10);
    let orchestrator = wallet(11);
    chain.register(media.node_id(), Role::Media, NodeStatus::Active);
    chain.register(orchestrator.node_id(), Role::Orchestrator, NodeStatus::Active);
    let nodes = three(&chain, &folder).await;
    let began = now_ms();
    registry(&nodes[0], &media).join(join_request(&media, record(&media, Role::Media, began - 15_000))).await.unwrap();
    for node in &nodes {
        until("the record is everywhere", || node.register().view(&media.node_id()).is_some()).await;
        until("the epoch is known", || node.intake.with_schedule(|s| s.times.current().is_some())).await;
    }

    // A caller's receipts, handed to two of the three committee members.
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let epoch = chain.epoch();
    let application = AccountId::new([77; 32]);
    let grant = SessionGrant {
        orchestrator: orchestrator.node_id(),
        node: media.node_id(),
        session: [5; 16],
        application: application.clone(),
        receipt_key: public_key(&key),
        started_ms: epoch.started_ms,
        expires_ms: epoch.started_ms + 3_600_000,
    };
    let body = |seq: u64, from: u64, to: u64| ReceiptBody {
        v: 1,
        session: SessionId([5; 16]),
        node: media.node_id(),
        seq,
        from,
        to,
        rx_packets: 90,
        rx_lost: 10,
        rx_bytes: 400,
        tx_bytes: 100,
        rtt_ms: 20,
        jitter_ms: 2,
        wanted_kbps: 0,
        delivered_kbps: 0,
        frames_decoded: 0,
        freeze_ms: 0,
    };
    let start_ms = epoch.started_ms;
    let sound = [body(1, start_ms, start_ms + 500), body(2, start_ms + 500, start_ms + 1_000)];
    let mut receipts: Vec<v1::Receipt> = sound.iter().map(|b| Receipt::sign(b, &key).unwrap().into()).collect();
    let other_key = SigningKey::from_slice(&[8; 32]).unwrap();
    receipts.push(Receipt::sign(&body(3, start_ms + 1_000, start_ms + 1_500), &other_key).unwrap().into());
    let request = v1::SubmitReceiptsRequest {
        signed_grant: orchestrator.sign(grant.clone(), &GENESIS).encode(),
        receipts: receipts.clone(),
    };
    for node in &nodes[..2] {
        let refused = qos(node, &orchestrator).submit_receipts(request.clone()).await.unwrap().into_inner().refused;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0].index, 2);
        assert!(refused[0].reason.contains("signature"));
        // Handed over again: no refusal of what is there already.
        let refused = qos(node, &orchestrator).submit_receipts(request.clone()).await.unwrap().into_inner().refused;
        assert_eq!(refused.len(), 1);
    }
    // One number, two contents; and a grant that another orchestrator signed.
    let twin = Receipt::sign(&ReceiptBody { rx_lost: 0, ..body(2, start_ms + 500, start_ms + 1_000) }, &key).unwrap();
    let mut replayed = request.clone();
    replayed.receipts = vec![twin.into()];
    let refused = qos(&nodes[0], &orchestrator).submit_receipts(replayed).await.unwrap().into_inner().refused;
    assert!(refused[0].reason.contains("only grow"), "{refused:?}");
    let mut forged = request.clone();
    forged.signed_grant = media.sign(grant, &GENESIS).encode();
    assert_eq!(
        qos(&nodes[0], &orchestrator).submit_receipts(forged.clone()).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(qos(&nodes[0], &media).submit_receipts(forged).await.unwrap_err().code(), Code::PermissionDenied);

    // The next epoch begins 11 s ago, as it were: the one before can be closed at once.
    let ended = epoch.current;
    let cut = start_ms + 1_500;
    // Real time must have passed the grace period after the cut.
    let closable = cut + 10_000;
    until("the grace period is over", || now_ms() > closable).await;
    chain.next_epoch(cut);
    for node in &nodes {
        until("roots are sent", || !chain.roots(ended, node.node).is_empty()).await;
    }
    let sent: Vec<_> = nodes.iter().map(|node| chain.roots(ended, node.node)).collect();
    assert!(sent.iter().all(|roots| roots.len() == 1 && roots[0].1 == sent[0][0].1), "one snapshot for all: {sent:?}");
    assert_eq!(sent[0][0].1.leaves, 1, "the media node's record alone is old enough");
    assert_ne!(sent[0][0].0, sent[1][0].0, "the same receipts, and each attestor's own root");

    // Leaves are shown when nobody can send them as its own any more.
    let request = v1::GetProofRequest { epoch: ended.0, node: media.node_id().0.to_vec() };
    let early = qos(&nodes[0], &orchestrator).get_proof(request.clone()).await.unwrap_err();
    assert_eq!(early.code(), Code::FailedPrecondition, "{early:?}");
    let epoch = call(nodes[0].http, "registry_epoch", serde_json::json!([])).await;
    assert_eq!(epoch["lastAttested"]["leaves"], serde_json::json!([]));
    chain.close_window();
    for node in &nodes {
        until("the window is over", || node.intake.with_schedule(|s| s.times.roots_are_in(ended))).await;
    }

    // Proofs fit the roots that were sent, and the attestor signs for both.
    for node in &nodes {
        until("the chain's roots are noted", || attestation(node, ended).is_some_and(|own| own.submitted)).await;
    }
    let shown = qos(&nodes[0], &orchestrator).get_proof(request).await.unwrap().into_inner();
    let proof = MemberProof::decode(&mut &*shown.member_proof).unwrap();
    let root = sent[0][0].0;
    let statement = Signed::<RootStatement>::decode(&mut &*shown.signed_statement).unwrap();
    assert_eq!(statement.signer(&GENESIS), Some(nodes[0].node));
    let stated = RootStatement { attestor: nodes[0].node, epoch: ended, quality: root, snapshot: sent[0][0].1 };
    assert_eq!(statement.payload, stated);
    assert!(root.contains(&chroom_primitives::Leaf::Qos(proof.quality.0.clone()), &proof.quality.1));
    assert!(proof.quality.0.score.0 < 5_500, "a tenth was lost: {:?}", proof.quality.0);
    assert_eq!(proof.quality.0.samples, 2);
    assert_eq!((proof.usage[0].0.bytes, &proof.usage[0].0.application), (1_000, &application));
    assert_eq!(proof.usage[0].0.orchestrator, orchestrator.node_id());
    assert_eq!((proof.attestor, proof.quality.0.attestor), (nodes[0].node, nodes[0].node));
    assert!(root.contains(&chroom_primitives::Leaf::Usage(proof.usage[0].0.clone()), &proof.usage[0].1));

    // The public interface gives the same, without anything about callers.
    let http = nodes[1].http;
    let snapshot = call(http, "registry_snapshot", serde_json::json!([ended.0])).await;
    assert_eq!(snapshot["root"]["leaves"], 1);
    assert_eq!(snapshot["leaves"][0]["node"], media.node_id().to_hex());
    let proof = call(http, "registry_proof", serde_json::json!([ended.0, media.node_id().to_hex()])).await;
    assert!(proof["memberProof"].as_str().unwrap().starts_with("0x"));
    let statement: Signed<RootStatement> = unhex(&proof["signedStatement"]);
    assert_eq!(statement.signer(&GENESIS), Some(nodes[1].node));
    assert_eq!((statement.payload.quality, statement.payload.snapshot), sent[1][0]);
    let listed = call(http, "registry_nodes", serde_json::json!(["media"])).await;
    assert_eq!(listed[0]["node"], media.node_id().to_hex());
    let near = call(http, "registry_near", serde_json::json!(["851f1d4bfffffff", "media", 5])).await;
    assert_eq!(near.as_array().unwrap().len(), 1);
    let summary = call(http, "registry_summary", serde_json::json!([])).await;
    assert_eq!(summary["totals"]["registries"], 3);

    // Restarted, it sends nothing else for the epoch, and the root can be recomputed from the folder.
    let mut nodes = nodes;
    let last = nodes.remove(2);
    let id = last.node;
    last.stop().await;
    let again = start(&chain, &wallet(3), &folder.path().join("3"), &[&nodes[0]]).await;
    until("the chain is followed", || again.intake.with_schedule(|s| s.times.current().is_some())).await;
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    assert_eq!(chain.roots(ended, id).len(), 1);
    let proof = call(again.http, "registry_proof", serde_json::json!([ended.0, media.node_id().to_hex()])).await;
    let statement: Signed<RootStatement> = unhex(&proof["signedStatement"]);
    assert_eq!((statement.payload.quality, statement.payload.snapshot), sent[2][0]);
    again.stop().await;
    let store = Store::open_read_only(&folder.path().join("3").join("db")).unwrap();
    let kept = store.snapshot(ended).unwrap().unwrap();
    assert_eq!(kept.root(), sent[2][0].1);
    assert!(kept.forged(&GENESIS).is_empty());
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_lost_its_data_gives_no_evidence_against_itself() {
    let chain = MemoryChain::new();
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let media = wallet(10);
    chain.register(media.node_id(), Role::Media, NodeStatus::Active);
    chain.register(wallet(1).node_id(), Role::Registry, NodeStatus::Active);
    let node = start(&chain, &wallet(1), before.path(), &[]).await;
    let epoch = chain.epoch();
    registry(&node, &media).join(join_request(&media, record(&media, Role::Media, now_ms()))).await.unwrap();
    let report = v1::ReportLoadRequest { signed_report: load(&media, now_ms()).encode() };
    registry(&node, &media).report_load(report).await.unwrap();
    until("the epoch is known", || node.intake.with_schedule(|s| s.times.current().is_some())).await;
    // Uptime is counted in whole slots of five seconds: the one after the report's is in the epoch, wherever the report was.
    let cut = now_ms() + 10_100;
    until("the grace period is over", || now_ms() > cut + 10_000).await;
    chain.next_epoch(cut);
    let ended = epoch.current;
    until("the chain's roots are noted", || attestation(&node, ended).is_some_and(|own| own.submitted)).await;
    let sent = chain.roots(ended, node.node);
    node.stop().await;

    // With an empty folder it closes the epoch anew, without what it had heard of the node.
    let node = start(&chain, &wallet(1), after.path(), &[]).await;
    until("the epoch is closed again", || attestation(&node, ended).is_some()).await;
    assert_ne!(attestation(&node, ended).unwrap().roots().quality, sent[0].0, "nothing was lost: this shows nothing");
    while !exchange(node.http, "GET", "/metrics", "").await.contains("outcome=\"refused\"") {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(chain.roots(ended, node.node), sent, "the chain has what it had");
    chain.close_window();
    until("the window is over", || node.intake.with_schedule(|s| s.times.roots_are_in(ended))).await;
    let shown = call(node.http, "registry_proof", serde_json::json!([ended.0, media.node_id()])).await;
    assert!(shown["memberProof"].is_string());
    assert_eq!(shown["signedStatement"], serde_json::Value::Null);
    node.stop().await;
}

/// What a node says of an epoch.
fn attestation(node: &RegistryNode, epoch: QosEpoch) -> Option<Attestation> {
    node.register().store().attestation(epoch).unwrap()
}

/// Reads a SCALE value out of a hex text.
fn unhex<T: Decode>(text: &serde_json::Value) -> T {
    let bytes = hex::decode(text.as_str().unwrap().trim_start_matches("0x")).unwrap();
    T::decode(&mut &*bytes).unwrap()
}

/// The answer to a plain HTTP request.
async fn exchange(address: std::net::SocketAddr, verb: &str, path: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{verb} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A JSON-RPC call over plain HTTP.
async fn call(address: std::net::SocketAddr, method: &str, params: serde_json::Value) -> serde_json::Value {
    let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let answer = exchange(address, "POST", "/", &body).await;
    let start = answer.find('{').unwrap();
    let end = answer.rfind('}').unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer[start..=end]).unwrap();
    assert!(answer.get("error").is_none(), "{answer}");
    answer["result"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_falls_behind_gets_everything_anew() {
    let chain = MemoryChain::new();
    let folder = tempfile::tempdir().unwrap();
    let (media, gone) = (wallet(10), wallet(12));
    for wallet in [&media, &gone] {
        chain.register(wallet.node_id(), Role::Media, NodeStatus::Active);
    }
    chain.register(wallet(1).node_id(), Role::Registry, NodeStatus::Active);
    let node = start(&chain, &wallet(1), folder.path(), &[]).await;
    for wallet in [&media, &gone] {
        registry(&node, wallet).join(join_request(wallet, record(wallet, Role::Media, now_ms()))).await.unwrap();
    }
    let mut watching =
        registry(&node, &media).watch(v1::WatchRequest { roles: vec!["media".into()] }).await.unwrap().into_inner();
    // It reads nothing while more happens than any buffer holds.
    let mut last = None;
    for n in 0..12_000u64 {
        let mut report = load(&media, now_ms());
        report.payload.seq = (now_ms() << 16) + n;
        report = media.sign(report.payload, &GENESIS);
        if n % 2_000 == 0 {
            tokio::task::yield_now().await;
        }
        if node.register().report_load(report.clone()) == chroom_registry::datastore::register::LoadOutcome::Accepted {
            last = Some(report);
        }
    }
    chain.register(gone.node_id(), Role::Media, NodeStatus::Jailed);
    until("the node is gone", || node.register().view(&gone.node_id()).is_none()).await;
    // Whatever it missed, it ends with the state as it is.
    let (mut removed, mut newest) = (false, Vec::new());
    let wanted = last.unwrap().encode();
    while !(removed && newest == wanted) {
        match watching.message().await.unwrap().unwrap().event.unwrap() {
            Event::Removed(id) => removed |= id == gone.node_id().0,
            Event::Upsert(entry) if entry.node == media.node_id().0 => newest = entry.signed_load,
            Event::Upsert(entry) => removed &= entry.node != gone.node_id().0,
            Event::Synced(_) => {}
        }
    }
    drop(watching);
    node.stop().await;
}
