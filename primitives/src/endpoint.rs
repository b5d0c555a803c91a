//! Where a node's control interface can be reached.

use alloc::string::String;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::{fmt, str::FromStr};
use scale_info::TypeInfo;
use sp_core::ConstU32;
use sp_runtime::BoundedVec;

/// `host:port` of a node's gRPC interface; host is an IPv4 address, an IPv6 address in brackets or a DNS name.
#[derive(
    Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Default,
)]
pub struct Endpoint(BoundedVec<u8, ConstU32<{ Endpoint::MAX_LEN }>>);

// A bounded vector has its own only with std.
impl core::hash::Hash for Endpoint {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.as_slice().hash(state);
    }
}

/// A text is not an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndpointError;

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an endpoint is host:port with a port from 1 to 65535, at most {} characters (for IPv6: [::1]:7100)",
            Endpoint::MAX_LEN
        )
    }
}

impl core::error::Error for EndpointError {}

impl Endpoint {
    /// Longest endpoint in bytes.
    pub const MAX_LEN: u32 = 64;

    /// The endpoint as text; empty if the bytes that came over a wire are not UTF-8.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("")
    }

    /// Whether the bytes have the form `host:port`. The codec accepts any bytes, so what comes from outside is checked.
    pub fn is_well_formed(&self) -> bool {
        is_host_port(self.as_str())
    }
}

fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host_ok = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse::<core::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
                && !host.starts_with(['-', '.'])
        }
    };
    host_ok && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p != 0)
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_host_port(text) {
            return Err(EndpointError);
        }
        BoundedVec::try_from(text.as_bytes().to_vec()).map(Self).map_err(|_| EndpointError)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Endpoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Endpoint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_of_all_kinds_are_taken() {
        for text in ["127.0.0.1:1", "[::1]:7100", "node-1.example.org:65535", "a:80"] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.as_str(), text);
            assert!(endpoint.is_well_formed());
            assert_eq!(serde_json::from_value::<Endpoint>(serde_json::to_value(&endpoint).unwrap()).unwrap(), endpoint);
        }
    }

    #[test]
    fn what_is_no_host_and_port_is_refused() {
        let long = alloc::format!("{}:80", "a".repeat(62));
        for text in [
            "",
            ":",
            ":80",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a: 1",
            "a b:80",
            "::1:80",
            "[::1:80",
            "[x]:80",
            "-a:80",
            ".a:80",
            "a/b:80",
            "http://a:80",
            "é:80",
            &long,
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(EndpointError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_from_outside_are_checked_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(endpoint) = Endpoint::decode(&mut &bytes.encode()[..]) {
                prop_assert!(bytes.len() <= 64);
                prop_assert_eq!(endpoint.is_well_formed(), endpoint.as_str().parse::<Endpoint>().is_ok());
            } else {
                prop_assert!(bytes.len() > 64);
            }
        }
    }
}
