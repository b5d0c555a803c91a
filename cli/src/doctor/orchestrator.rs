//! An orchestrator, and the ICE servers that it hands out.

use super::{
    clock::Reading,
    finding::{Check, Finding},
    ice_server::{Credentials, ServerUrl, of_link},
    name,
    node::{get, host_of_url, is_here, judge_fetch, judge_version, reading},
};
use crate::fetch::exchange;
use http_body_util::Full;
use hyper::{Method, Request, header};
use serde::Deserialize;
use std::time::Duration;

/// ICE servers that are taken from one answer.
const MOST_SERVERS: usize = 16;

/// What is read of an orchestrator's view of the network.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct View {
    /// Its clock, Unix ms.
    pub now: u64,
    /// The nodes.
    pub nodes: Vec<ViewNode>,
}

/// A node in it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewNode {
    /// What it is.
    pub role: String,
    /// Whether it is in the register.
    pub online: bool,
    /// Its public URL.
    pub public_url: String,
    /// Its version.
    pub version: String,
}

/// What was learnt of an orchestrator.
#[derive(Debug, Default)]
pub struct Learnt {
    /// A line for each check.
    pub findings: Vec<Finding>,
    /// Its clock.
    pub clock: Option<Reading>,
    /// The ICE servers that it hands out.
    pub servers: Vec<(ServerUrl, Option<Credentials>)>,
}

/// Looks at the orchestrator at `url`, with an access token for its ICE servers.
pub async fn examine(url: &str, token: Option<&str>, limit: Duration) -> Learnt {
    let mut learnt = Learnt::default();
    let url = http_url(url);
    let Some((host, port, secure)) = host_of_url(&url) else {
        let advice = "an orchestrator's URL looks like https://orchestrator.example";
        learnt.findings.push(Finding::fail(Check::Name, &url, "no URL", advice));
        return learnt;
    };
    let (addresses, finding) = name::resolve(&host, port, limit).await;
    learnt.findings.push(finding);
    let (reached, findings) = name::connect(&addresses, limit).await;
    learnt.findings.extend(findings);
    if reached.is_empty() {
        return learnt;
    }
    let health = get(&format!("{url}/health"), limit).await;
    if health.is_ok() {
        learnt.findings.extend(judge_scheme(&url, &host, secure));
    }
    match health {
        Ok(reply) if reply.status.is_success() => learnt.findings.push(Finding::ok(Check::Health, &url, "serves")),
        Ok(reply) => {
            let words: String = String::from_utf8_lossy(&reply.body).chars().take(200).collect();
            let found = format!("does not serve ({}): {}", reply.status, words.trim());
            learnt.findings.push(Finding::fail(Check::Health, &url, found, "look at the orchestrator's log"));
        }
        Err(error) => {
            learnt.findings.push(judge_fetch(&url, &error));
            return learnt;
        }
    }
    look_at_view(&url, limit, &mut learnt).await;
    if let Some(token) = token {
        look_for_servers(&url, token, limit, &mut learnt).await;
    }
    learnt
}

/// The HTTP URL of one that may be of a WebSocket, without a slash at its end.
fn http_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    match url.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => url.to_owned(),
    }
}

fn judge_scheme(url: &str, host: &str, secure: bool) -> Option<Finding> {
    match (secure, is_here(host)) {
        (true, _) => Some(Finding::ok(Check::Certificate, url, "trusted by this system's roots")),
        (false, true) => None,
        (false, false) => Some(Finding::warn(
            Check::Certificate,
            url,
            "no TLS: pages that may use a camera are https://, and must not connect to ws://",
            "put the orchestrator behind something that ends TLS, with a certificate that browsers trust",
        )),
    }
}

async fn look_at_view(url: &str, limit: Duration, learnt: &mut Learnt) {
    let place = format!("{url}/v1/network");
    let reply = match get(&place, limit).await {
        Ok(reply) => reply,
        Err(error) => {
            learnt.findings.push(judge_fetch(&place, &error));
            return;
        }
    };
    match serde_json::from_slice::<View>(&reply.body) {
        Ok(view) => {
            learnt.clock = reading(url, Some(view.now), &reply);
            learnt.findings.extend(judge_view(url, &view));
        }
        Err(_) => {
            let advice = "is this an orchestrator's URL?";
            let found = format!("what answers ({}) is no orchestrator's view of the network", reply.status);
            learnt.findings.push(Finding::fail(Check::Http, &place, found, advice));
        }
    }
}

fn judge_view(url: &str, view: &View) -> Vec<Finding> {
    let media =
        |online: bool| view.nodes.iter().filter(|node| node.role == "media" && (!online || node.online)).count();
    let found = format!("sees {} of {} media nodes", media(true), media(false));
    let mut findings = vec![match media(true) {
        0 => Finding::fail(
            Check::Register,
            url,
            format!("{found}: calls find no place"),
            "start media nodes, or look at the orchestrator's log for why it refuses registry entries",
        ),
        _ => Finding::ok(Check::Register, url, found),
    }];
    let own = |node: &&ViewNode| http_url(&node.public_url) == url;
    findings.extend(view.nodes.iter().find(own).map(|node| judge_version(url, &node.version)));
    findings
}

async fn look_for_servers(url: &str, token: &str, limit: Duration, learnt: &mut Learnt) {
    let place = format!("{url}/whip");
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri(&place)
        .header(header::AUTHORIZATION, format!("Bearer {}", token.trim()))
        .body(Full::default());
    let Ok(request) = request else {
        let advice = "chroom token create makes one";
        learnt.findings.push(Finding::fail(Check::Turn, &place, "the token is no token", advice));
        return;
    };
    match exchange(request, limit).await {
        Ok(reply) => {
            let links = reply.headers.get_all(header::LINK).iter().filter_map(|link| link.to_str().ok());
            learnt.servers = links.filter_map(of_link).take(MOST_SERVERS).collect();
            learnt.findings.push(judge_servers(&place, &learnt.servers));
        }
        Err(error) => learnt.findings.push(judge_fetch(&place, &error)),
    }
}

fn judge_servers(place: &str, servers: &[(ServerUrl, Option<Credentials>)]) -> Finding {
    let relays = servers.iter().filter(|(url, _)| url.relays).count();
    if servers.is_empty() {
        return Finding::warn(
            Check::Turn,
            place,
            "no ICE servers are handed out for this token",
            "the token is no good here (another key, expired), or the orchestrator has no --turn-url: callers without UDP cannot join then",
        );
    }
    Finding::ok(Check::Turn, place, format!("hands out {} STUN and {relays} TURN servers", servers.len() - relays))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Verdict, *};

    #[test]
    fn websocket_urls_lead_to_the_same_port() {
        assert_eq!(http_url("wss://o.example/"), "https://o.example");
        assert_eq!(http_url("ws://127.0.0.1:9901"), "http://127.0.0.1:9901");
        assert_eq!(http_url("https://o.example"), "https://o.example");
    }

    #[test]
    fn an_orchestrator_without_media_nodes_or_tls_is_told_of() {
        let node = |role: &str, online| ViewNode {
            role: role.into(),
            online,
            public_url: "wss://o.example".into(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let verdicts = |nodes: Vec<ViewNode>| {
            let view = View { now: 0, nodes };
            judge_view("https://o.example", &view).into_iter().map(|finding| finding.verdict).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(vec![node("media", true), node("orchestrator", true)]), [Verdict::Ok, Verdict::Ok]);
        assert_eq!(verdicts(vec![]), [Verdict::Fail]);
        assert_eq!(judge_scheme("http://o.example", "o.example", false).unwrap().verdict, Verdict::Warn);
        assert_eq!(judge_scheme("http://127.0.0.1", "127.0.0.1", false), None);
        assert_eq!(judge_servers("https://o.example/whip", &[]).verdict, Verdict::Warn);
    }
}
