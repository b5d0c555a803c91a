//! Where a node is, with who it must be.

use chroom_primitives::{Endpoint, NodeId};
use std::{fmt, str::FromStr};

/// `0x<node id>@host:port`, as flags and configuration files name nodes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeAddress {
    /// Who answers there.
    pub node: NodeId,
    /// Where.
    pub endpoint: Endpoint,
}

/// A text is no node address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a node address: {0}; it is written 0x<40 hex digits>@host:port")]
pub struct AddressError(String);

impl FromStr for NodeAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (node, endpoint) = text.split_once('@').ok_or_else(|| AddressError("it has no @".into()))?;
        Ok(Self {
            node: node.parse().map_err(|e| AddressError(format!("{e}")))?,
            endpoint: endpoint.parse().map_err(|e| AddressError(format!("{e}")))?,
        })
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node, self.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        let text = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf@[::1]:7100";
        assert_eq!(text.parse::<NodeAddress>().unwrap().to_string(), text);
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, reason) in [
            ("127.0.0.1:7100", "no @"),
            ("0x12@127.0.0.1:7100", "40 hex digits"),
            ("0x7e5f4552091a69125d5dfcb7b8c2659029395bdf@127.0.0.1", "host:port"),
        ] {
            let error = text.parse::<NodeAddress>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
