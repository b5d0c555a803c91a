//! A node's entry in the register, as a registry shows it.

use super::finding::{Check, Finding};
use crate::{failure::Failure, registry::Registry};
use chroom_primitives::{Endpoint, NodeId, NodeStatus, Role, UnixMs};
use serde::Deserialize;
use serde_json::json;

/// What is read of an entry.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its role.
    pub role: Role,
    /// How the chain has it.
    pub status: NodeStatus,
    /// Where it says that orchestrators reach it.
    pub rpc: String,
    /// Where it says that the public reaches it.
    pub public_url: String,
    /// When its record ends, Unix ms.
    pub expires_ms: UnixMs,
}

/// Asks registries in turn; the first that answers counts.
pub async fn look_up(urls: &[String], node: NodeId) -> Result<Option<Entry>, Failure> {
    let mut failure = Failure::usage("no registry was named").hint("give --registry-url http://host:port");
    for url in urls {
        match Registry::at(url)?.call("registry_node", &[("id", json!(node))]).await {
            Ok(entry) => return Ok(entry),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Judges the entry of a node, which answers at `endpoint`.
pub fn judge(node: NodeId, entry: Option<&Entry>, endpoint: &Endpoint, now: UnixMs) -> Finding {
    let check = Check::Register;
    let Some(entry) = entry else {
        let advice = "a registered node joins by itself while it runs: chroom node status tells whether it is registered, its log why no registry \
             takes its record";
        return Finding::fail(check, node, "the register has no entry of it: nobody sends calls there", advice);
    };
    if entry.rpc != endpoint.as_str() {
        return Finding::fail(
            check,
            node,
            format!("the register says that it is at {}, not at {endpoint}", entry.rpc),
            "chroom node update --endpoint, and the same as --rpc-advertise of the node",
        );
    }
    if entry.expires_ms < now {
        let advice = "the node renews its record every few minutes: look at its log, and at both clocks";
        return Finding::fail(check, node, "its record in the register has expired", advice);
    }
    match entry.status {
        NodeStatus::Active => Finding::ok(
            check,
            node,
            format!("in service as {}, at {}", format!("{:?}", entry.role).to_lowercase(), entry.rpc),
        ),
        NodeStatus::Draining => Finding::warn(
            check,
            node,
            "draining: it gets no new calls",
            "chroom node resume when the maintenance is over",
        ),
        status => Finding::fail(
            check,
            node,
            format!("not in service: {status:?}"),
            "chroom node status tells what the chain has of it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Verdict, *};

    #[test]
    fn an_entry_must_lead_to_the_node_and_be_alive() {
        let node = NodeId([1; 20]);
        let endpoint: Endpoint = "8.8.8.8:7400".parse().unwrap();
        let text = json!({
            "node": node, "role": "media", "status": "active", "rpc": "8.8.8.8:7400", "publicUrl": "http://8.8.8.8:7600",
            "expiresMs": 2_000, "seq": "1",
        });
        let entry: Entry = serde_json::from_value(text).unwrap();
        let verdict = |entry: &Entry, now| judge(node, Some(entry), &endpoint, now).verdict;
        assert_eq!(verdict(&entry, 1_000), Verdict::Ok);
        assert_eq!(verdict(&entry, 3_000), Verdict::Fail);
        assert_eq!(verdict(&Entry { status: NodeStatus::Draining, ..entry.clone() }, 0), Verdict::Warn);
        assert_eq!(verdict(&Entry { status: NodeStatus::Unbonding, ..entry.clone() }, 0), Verdict::Fail);
        assert_eq!(verdict(&Entry { rpc: "10.0.0.1:7400".into(), ..entry }, 0), Verdict::Fail);
        assert_eq!(judge(node, None, &endpoint, 0).verdict, Verdict::Fail);
    }
}
