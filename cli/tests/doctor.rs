//! `chroom doctor` against a media node, and against what can be wrong with one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod doctor {
    pub mod fake;
    pub mod node;
    pub mod turn;
}

use doctor::{
    fake::{Http, registry},
    node::Node,
    turn::TurnServer,
};
use serde_json::{Value, json};
use std::net::UdpSocket;

/// Runs `chroom doctor --json` with these arguments: its exit code and its report.
async fn run(arguments: &[&str]) -> (i32, Value) {
    let program = tokio::process::Command::new(env!("CARGO_BIN_EXE_chroom"))
        .args(["doctor", "--json"])
        .args(arguments)
        .env_remove("CHROOM_REGISTRY_URL")
        .env_remove("CHROOM_NETWORK")
        .output();
    let output = program.await.unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), report)
}

/// The verdicts of a check, and what it found.
fn of(report: &Value, check: &str) -> Vec<(String, String)> {
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let all = report["checks"].as_array().unwrap_or_else(|| panic!("{report}"));
    all.iter()
        .filter(|finding| finding["check"] == check)
        .map(|finding| (text(finding, "verdict"), text(finding, "found") + " → " + &text(finding, "advice")))
        .collect()
}

/// The one verdict of a check.
fn verdict(report: &Value, check: &str) -> String {
    let [(verdict, _)] = &of(report, check)[..] else { panic!("{check}: {report}") };
    verdict.clone()
}

/// What a check says, when it failed.
fn fault(report: &Value, check: &str) -> String {
    let failed: Vec<_> = of(report, check).into_iter().filter(|(verdict, _)| verdict == "fail").collect();
    let [(_, words)] = &failed[..] else { panic!("{check}: {report}") };
    words.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_in_good_health_passes() {
    let node = Node::start().await;
    let registry = registry(node.entry(&node.endpoint)).await;
    let arguments = ["--node", &node.endpoint, "--http", &node.http, "--registry-url", &registry.url];
    let (code, report) = run(&arguments).await;
    assert_eq!(code, 0, "{report}");
    let tcp: Vec<String> = of(&report, "tcp").into_iter().map(|(verdict, _)| verdict).collect();
    assert_eq!(tcp, ["ok", "ok"], "control and media: {report}");
    for check in ["name", "certificate", "http", "health", "version"] {
        assert_eq!(verdict(&report, check), "ok", "{check}: {report}");
    }
    let udp: Vec<String> = of(&report, "udp").into_iter().map(|(verdict, _)| verdict).collect();
    assert_eq!(udp, ["ok", "ok"], "media and pipes: {report}");
    // Its address is good on this machine only, and it has not joined.
    assert_eq!(verdict(&report, "nat"), "warn", "{report}");
    assert!(of(&report, "udp")[0].1.contains("sees this machine as 127.0.0.1:"), "{report}");
    assert_eq!(of(&report, "clock").len(), 2, "the node's and the registry's: {report}");
    // By its id, with its places from the register.
    let (code, report) = run(&["--node", &node.id, "--registry-url", &registry.url]).await;
    assert_eq!((code, of(&report, "udp")[0].0.as_str()), (0, "ok"), "{report}");
    assert_eq!(of(&report, "register").last().unwrap().0, "ok", "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_at_the_endpoint_and_no_node_at_all_are_faults_of_the_certificate() {
    let (expected, other) = (Node::start().await, Node::start().await);
    let misled = registry(expected.entry(&other.endpoint)).await;
    let (code, report) = run(&["--node", &expected.id, "--http", &other.http, "--registry-url", &misled.url]).await;
    assert_eq!(code, 1, "{report}");
    assert!(
        fault(&report, "certificate").contains(&format!("{} answers there, not {}", other.id, expected.id)),
        "{report}"
    );
    // A port that speaks HTTP instead.
    let plain = other.http.strip_prefix("http://").unwrap();
    let (code, report) = run(&["--node", plain, "--http", &other.http, "--registry-url", &misled.url]).await;
    assert_eq!(code, 1, "{report}");
    assert!(fault(&report, "certificate").contains("no Chroom node"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_trusts_is_a_fault_of_the_certificate() {
    // A node's own certificate is good among nodes, and for no browser.
    let node = Node::start().await;
    let (code, report) = run(&["--orchestrator", &format!("https://{}", node.endpoint)]).await;
    assert_eq!(code, 1, "{report}");
    let words = of(&report, "certificate").into_iter().find(|(verdict, _)| verdict == "fail").unwrap().1;
    assert!(words.contains("renew the certificate"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_a_fault_of_tcp() {
    let node = Node::start().await;
    let closed = node.endpoint.clone();
    node.stop().await;
    let (code, report) = run(&["--node", &closed, "--registry-url", "http://127.0.0.1:1"]).await;
    assert_eq!(code, 1, "{report}");
    assert!(fault(&report, "tcp").contains("nobody listens"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_found_and_named() {
    let node = Node::start().await;
    let registry = registry(node.entry(&node.endpoint)).await;
    let mut status = node.status().await;
    status["nowMs"] = json!(status["nowMs"].as_u64().unwrap() + 60_000);
    let skewed = Http::node(status, 0, 0).await;
    let (code, report) = run(&["--node", &node.endpoint, "--http", &skewed.url, "--registry-url", &registry.url]).await;
    assert_eq!(code, 1, "{report}");
    let words = fault(&report, "clock");
    assert!(words.contains("ahead of") && words.contains(&format!("set the clock of {}", skewed.url)), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn swallowed_datagrams_are_faults_of_udp_and_the_count_tells_which_way() {
    let node = Node::start().await;
    let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut status = node.status().await;
    status["media"] = json!(mute.local_addr().unwrap());
    status["pipes"] = status["media"].clone();
    for (counted, words) in [(0, "UDP does not get there"), (4, "no answer comes back")] {
        let http = Http::node(status.clone(), 100, counted).await;
        let (code, report) =
            run(&["--node", &node.endpoint, "--http", &http.url, "--registry-url", "http://127.0.0.1:1"]).await;
        assert_eq!(code, 1, "{report}");
        assert!(fault(&report, "udp").contains(words), "{report}");
        assert_eq!(of(&report, "udp")[1].0, "warn", "the pipes' packets are swallowed too: {report}");
    }
    let closed = mute.local_addr().unwrap();
    drop(mute);
    status["media"] = json!(closed);
    let http = Http::node(status, 0, 0).await;
    let (_, report) =
        run(&["--node", &node.endpoint, "--http", &http.url, "--registry-url", "http://127.0.0.1:1"]).await;
    assert!(fault(&report, "udp").contains("nobody listens on UDP"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_leads_elsewhere_is_a_fault_of_the_register() {
    let node = Node::start().await;
    let registry = registry(node.entry("192.0.2.1:7400")).await;
    let (code, report) = run(&["--node", &node.endpoint, "--http", &node.http, "--registry-url", &registry.url]).await;
    assert_eq!(code, 1, "{report}");
    assert!(fault(&report, "register").contains("the register says that it is at 192.0.2.1:7400"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_server_relays_to_the_node_or_is_at_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, secret: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, secret).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (file("right", "north-south-east-west\n"), file("wrong", "south-north-west-east\n"));
    let node = Node::start().await;
    let server = TurnServer::start("north-south-east-west").await;
    let with = |secret: &str, url: &str| {
        let arguments = ["--node", &node.endpoint, "--http", &node.http, "--turn", url, "--turn-secret-file", secret];
        arguments.map(str::to_owned)
    };
    let arguments = with(&right, &server.url);
    let (code, report) = run(&arguments.each_ref().map(String::as_str)).await;
    assert_eq!((code, verdict(&report, "turn").as_str()), (0, "ok"), "{report}");
    assert!(of(&report, "turn")[0].1.contains("the media node answers through it"), "{report}");
    assert_eq!(server.released(), 1, "the relay is given back");

    let arguments = with(&wrong, &server.url);
    let (code, report) = run(&arguments.each_ref().map(String::as_str)).await;
    assert_eq!(code, 1, "{report}");
    assert!(fault(&report, "turn").contains("its secret differs"), "{report}");

    let arguments = with(&right, "turn:127.0.0.1:1?transport=tcp");
    let (code, report) = run(&arguments.each_ref().map(String::as_str)).await;
    assert_eq!(code, 1, "{report}");
    assert!(fault(&report, "turn").contains("cannot reach it"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_hands_out_its_servers_for_a_token() {
    let server = TurnServer::start("north-south-east-west").await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "good\n").unwrap();
    let orchestrator = Http::orchestrator("good", &server.link("north-south-east-west")).await;
    let (code, report) = run(&["--orchestrator", &orchestrator.url, "--token-file", token.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{report}");
    let turn = of(&report, "turn");
    assert!(turn[0].1.contains("0 STUN and 1 TURN") && turn[1].1.contains("relays from"), "{report}");
    assert_eq!((verdict(&report, "health").as_str(), verdict(&report, "register").as_str()), ("ok", "ok"), "{report}");
    std::fs::write(&token, "stale\n").unwrap();
    let (_, report) = run(&["--orchestrator", &orchestrator.url, "--token-file", token.to_str().unwrap()]).await;
    assert_eq!(verdict(&report, "turn"), "warn", "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_looked_at_and_wrong_usage_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    let ports = ["--local", "--rpc-listen", &at, "--media-listen", free, "--http-listen", free];
    let (_, report) = run(&ports).await;
    let verdicts: Vec<String> = of(&report, "port").into_iter().map(|(verdict, _)| verdict).collect();
    assert_eq!(verdicts, ["warn", "ok", "ok"], "{report}");
    for check in ["nat", "files", "clock"] {
        assert_eq!(of(&report, check).len(), 1, "{check}: {report}");
    }
    assert_eq!(of(&report, "buffers").len(), 2, "{report}");
    for wrong in
        [&[][..], &["--http", "http://a"], &["--node", "nothing"], &["--turn", "turn:a"], &["--local", "--limit", "0"]]
    {
        assert_eq!(run(wrong).await.0, 2, "{wrong:?}");
    }
}
