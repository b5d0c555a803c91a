//! A media node, looked at from outside: by which of its ways it can't be reached.

use super::{
    address::{self, Scope, scope},
    clock::Reading,
    finding::{Check, Finding},
    name, udp,
};
use crate::fetch::{FetchError, Reply, exchange};
use chroom_primitives::{Endpoint, NodeId};
use chroom_rpc::{
    channel::{ConnectError, identify},
    tls::Identity,
};
use http_body_util::Full;
use hyper::{Request, StatusCode, header};
use serde::Deserialize;
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, UNIX_EPOCH},
};

/// The port of a media node's HTTP interface unless it was told another.
const HTTP_PORT: u16 = 7_600;
/// A node counts its datagrams once a second.
const COUNTING: Duration = Duration::from_millis(2_100);

/// What is read of a node's status document.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The node.
    pub node: NodeId,
    /// Its version.
    pub version: String,
    /// Its clock; older nodes do not tell it.
    pub now_ms: Option<u64>,
    /// Where clients send media; older nodes do not tell it.
    pub media: Option<SocketAddr>,
    /// Where other media nodes' pipes end; older nodes do not tell it.
    pub pipes: Option<SocketAddr>,
    /// How the register has it.
    pub registry: RegistryStatus,
}

/// How the register has the node, as the node sees it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct RegistryStatus {
    /// The registry node that took its record.
    pub node: Option<String>,
    /// The last refusal, until something succeeds.
    pub error: Option<String>,
}

/// Which node, and how to get to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its control port.
    pub endpoint: Endpoint,
    /// Who has to be there, if that is known.
    pub node: Option<NodeId>,
    /// Its HTTP interface, if that is known.
    pub http: Option<String>,
    /// How long each check may take.
    pub limit: Duration,
}

/// What was learnt of the node.
#[derive(Debug, Default)]
pub struct Learnt {
    /// A line for each check.
    pub findings: Vec<Finding>,
    /// Who answers.
    pub node: Option<NodeId>,
    /// Its clock.
    pub clock: Option<Reading>,
    /// Where it takes media.
    pub media: Option<SocketAddr>,
}

/// Looks at the node.
pub async fn examine(target: &Target, identity: &Identity) -> Learnt {
    let mut learnt = Learnt::default();
    let Some((host, port)) = host_and_port(target.endpoint.as_str()) else { return learnt };
    let (addresses, finding) = name::resolve(host, port, target.limit).await;
    learnt.findings.push(finding);
    let (reached, findings) = name::connect(&addresses, target.limit).await;
    learnt.findings.extend(findings);
    if !reached.is_empty() {
        let answered = identify(identity, &target.endpoint).await;
        learnt.node = answered.as_ref().ok().copied();
        learnt.findings.push(judge_identity(&target.endpoint, target.node, &answered));
    }
    let http = target.http.clone().unwrap_or_else(|| format!("http://{}:{HTTP_PORT}", bracketed(host)));
    let Some(status) = look_at_http(&http, target, &mut learnt).await else { return learnt };
    let Some(media) = status.media else {
        let advice = "update the node: its version does not tell where it takes media";
        learnt.findings.push(Finding::warn(Check::Udp, &http, "the media port is unknown", advice));
        return learnt;
    };
    learnt.findings.push(address::advertised(media, &reached));
    // What nobody can reach from outside need not be asked: the port behind the address that answers is what counts then.
    let reachable = |told: SocketAddr| match reached.first() {
        Some(ip) if scope(told.ip()) != Scope::Public && !reached.contains(&told.ip()) => {
            SocketAddr::new(*ip, told.port())
        }
        _ => told,
    };
    let asked = reachable(media);
    learnt.findings.push(look_at_udp(asked, &http, target.limit).await);
    learnt.findings.push(name::connect_media(asked, target.limit).await);
    if let Some(pipes) = status.pipes.map(reachable) {
        learnt.findings.push(udp::judge_pipes(pipes, &udp::knock(pipes).await));
    }
    learnt.media = Some(asked);
    learnt
}

/// host:port without the brackets of an IPv6 address.
pub fn host_and_port(endpoint: &str) -> Option<(&str, u16)> {
    let (host, port) = endpoint.rsplit_once(':')?;
    Some((host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Judges who answers over TLS.
fn judge_identity(endpoint: &Endpoint, expected: Option<NodeId>, answered: &Result<NodeId, ConnectError>) -> Finding {
    let check = Check::Certificate;
    match (answered, expected) {
        (Ok(found), Some(expected)) if *found != expected => Finding::fail(
            check,
            endpoint,
            format!("{found} answers there, not {expected}"),
            "either the endpoint leads to another machine, or the node was started with another wallet",
        ),
        (Ok(found), Some(_)) => Finding::ok(check, endpoint, format!("its key vouches for the certificate: {found}")),
        (Ok(found), None) => Finding::ok(check, endpoint, format!("{found} answers")),
        (Err(error @ ConnectError::Handshake { .. }), _) => Finding::fail(
            check,
            endpoint,
            format!("what answers is no Chroom node: {error}"),
            "the port must lead to the node itself: no proxy or load balancer may end TLS before it (nodes know each other by their certificates)",
        ),
        (Err(error), _) => Finding::fail(
            check,
            endpoint,
            error,
            "TCP connects but TLS gets no answer: is a firewall or proxy in between?",
        ),
    }
}

/// Health, status and the clock. The status, if there is one.
async fn look_at_http(http: &str, target: &Target, learnt: &mut Learnt) -> Option<Status> {
    let reply = match get(&format!("{http}/v1/status"), target.limit).await {
        Ok(reply) => reply,
        Err(error) => {
            learnt.findings.push(judge_fetch(http, &error));
            return None;
        }
    };
    let Ok(status) = serde_json::from_slice::<Status>(&reply.body) else {
        let advice = "is this the HTTP interface of a media node (--http-listen, --public-url)? name it with --http";
        let found = format!("what answers ({}) is no media node's status", reply.status);
        learnt.findings.push(Finding::fail(Check::Http, http, found, advice));
        return None;
    };
    learnt.findings.push(judge_owner(http, &status, learnt.node));
    let health = get(&format!("{http}/health"), target.limit).await;
    learnt.findings.push(judge_health(http, &health));
    learnt.findings.push(judge_version(http, &status.version));
    learnt.findings.extend(judge_joining(http, &status.registry));
    learnt.clock = reading(http, status.now_ms, &reply);
    Some(status)
}

/// GET, whatever the status of the answer.
pub async fn get(url: &str, limit: Duration) -> Result<Reply, FetchError> {
    let request = Request::get(url).body(Full::default()).map_err(|_| FetchError::Url(url.to_owned()))?;
    exchange(request, limit).await
}

/// What an answer says of the clock: the time in its document, else its Date header.
pub fn reading(whose: &str, now_ms: Option<u64>, reply: &Reply) -> Option<Reading> {
    if let Some(now) = now_ms {
        return Some(Reading::of_time(whose, now, reply.asked_ms, reply.answered_ms));
    }
    let date = httpdate::parse_http_date(reply.headers.get(header::DATE)?.to_str().ok()?).ok()?;
    let date = u64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
    Some(Reading::of_date(whose, date, reply.asked_ms, reply.answered_ms))
}

/// Judges why HTTP gives no answer.
pub fn judge_fetch(http: &str, error: &FetchError) -> Finding {
    match error {
        FetchError::Certificate(_, reason) => Finding::fail(
            Check::Certificate,
            http,
            reason,
            "renew the certificate of whatever ends TLS there, for this name and with the whole chain",
        ),
        FetchError::TimedOut(..) => {
            Finding::fail(Check::Http, http, error, "open its TCP port in the firewall; is the URL right (--http)?")
        }
        _ => Finding::fail(
            Check::Http,
            http,
            error,
            "is the URL right (--public-url of the node; --http here), and its port open?",
        ),
    }
}

fn judge_owner(http: &str, status: &Status, answers: Option<NodeId>) -> Finding {
    match answers {
        Some(node) if node != status.node => Finding::fail(
            Check::Http,
            http,
            format!("this is the interface of {}, not of {node}", status.node),
            "correct --public-url of the node",
        ),
        _ => Finding::ok(Check::Http, http, format!("answers as {}", status.node)),
    }
}

fn judge_health(http: &str, health: &Result<Reply, FetchError>) -> Finding {
    match health {
        Ok(reply) if reply.status.is_success() => Finding::ok(Check::Health, http, "takes new calls"),
        Ok(reply) => {
            let words = String::from_utf8_lossy(&reply.body).chars().take(200).collect::<String>();
            let advice = match reply.status {
                StatusCode::SERVICE_UNAVAILABLE => "docs/operate.md tells what each reason means",
                _ => "look at the node's log",
            };
            Finding::warn(Check::Health, http, format!("takes no new calls: {}", words.trim()), advice)
        }
        Err(error) => judge_fetch(http, error),
    }
}

/// Judges a version by that of this program: they are released together.
pub fn judge_version(target: &str, version: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    let series = |version: &str| version.split('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    if series(version) == series(own) {
        return Finding::ok(Check::Version, target, version);
    }
    Finding::warn(Check::Version, target, format!("{version}, and this program is {own}"), "update the older one")
}

fn judge_joining(http: &str, registry: &RegistryStatus) -> Option<Finding> {
    let advice = "docs/operate.md: not registered, another role, another key, or a clock that is off";
    if let Some(error) = &registry.error {
        return Some(Finding::fail(Check::Register, http, format!("registries refuse it: {error}"), advice));
    }
    let joined = registry.node.is_some();
    (!joined).then(|| Finding::warn(Check::Register, http, "no registry has taken its record yet", advice))
}

/// Asks the media port, and the node's count of strangers if it stays silent.
async fn look_at_udp(media: SocketAddr, http: &str, limit: Duration) -> Finding {
    let metrics = format!("{http}/metrics");
    let count = async || {
        let reply = get(&metrics, limit).await.ok()?;
        udp::strangers(&String::from_utf8_lossy(&reply.body))
    };
    let before = count().await;
    let heard = udp::ask(media).await;
    let counted = match before {
        Some(before) if heard == udp::Heard::Silence => {
            tokio::time::sleep(COUNTING).await;
            count().await.map(|after| udp::Counted { before, after })
        }
        _ => None,
    };
    udp::judge(media, &heard, counted)
}

/// The host of a URL and its port.
pub fn host_of_url(url: &str) -> Option<(String, u16, bool)> {
    let uri: hyper::Uri = url.parse().ok()?;
    let secure = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, uri.port_u16().unwrap_or(if secure { 443 } else { 80 }), secure))
}

/// Whether a host is this machine.
pub fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| scope(ip) == Scope::Loopback)
}

#[cfg(test)]
mod tests;
