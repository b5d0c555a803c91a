use super::{super::finding::Verdict, *};
use std::io;

#[test]
fn who_answers_is_who_should() {
    let endpoint: Endpoint = "8.8.8.8:7400".parse().unwrap();
    let (a, b) = (NodeId([1; 20]), NodeId([2; 20]));
    let judge = |expected, answered| judge_identity(&endpoint, expected, &answered);
    assert_eq!(judge(Some(a), Ok(a)).verdict, Verdict::Ok);
    assert_eq!(judge(None, Ok(a)).verdict, Verdict::Ok);
    assert!(judge(Some(a), Ok(b)).found.contains("not 0x0101"));
    let refused = ConnectError::Handshake { endpoint: endpoint.clone(), source: io::Error::other("no TLS") };
    assert!(judge(None, Err(refused)).advice.unwrap().contains("proxy"));
    assert_eq!(judge(None, Err(ConnectError::Timeout { endpoint: endpoint.clone() })).verdict, Verdict::Fail);
}

#[test]
fn hosts_are_taken_out_of_endpoints_and_urls() {
    assert_eq!(host_and_port("[::1]:7400"), Some(("::1", 7_400)));
    assert_eq!(host_and_port("a.example:7400"), Some(("a.example", 7_400)));
    assert_eq!(bracketed("::1"), "[::1]");
    assert_eq!(host_of_url("https://a.example/x"), Some(("a.example".into(), 443, true)));
    assert_eq!(host_of_url("http://[::1]:9900"), Some(("::1".into(), 9_900, false)));
    assert_eq!(host_of_url("none"), None);
    assert!(is_here("localhost") && is_here("127.0.0.1") && !is_here("a.example"));
}

#[test]
fn what_the_node_says_of_itself_is_judged() {
    let registry = |node: Option<&str>, error: Option<&str>| RegistryStatus {
        node: node.map(str::to_owned),
        error: error.map(str::to_owned),
    };
    let verdict = |status| judge_joining("http://n", &status).map(|finding| finding.verdict);
    assert_eq!(verdict(registry(Some("0x1"), None)), None);
    assert_eq!(verdict(registry(None, None)), Some(Verdict::Warn));
    assert_eq!(verdict(registry(Some("0x1"), Some("set the clock"))), Some(Verdict::Fail));
    assert_eq!(judge_version("n", env!("CARGO_PKG_VERSION")).verdict, Verdict::Ok);
    assert_eq!(judge_version("n", "99.0.0").verdict, Verdict::Warn);
    let certificate = FetchError::Certificate("https://n".into(), "expired".into());
    assert_eq!(judge_fetch("https://n", &certificate).check, Check::Certificate);
}
