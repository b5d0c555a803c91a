//! Addresses: who can reach them, and whether the one that a node gives to others is one by which it is reached.

use super::finding::{Check, Finding};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// From where an address can be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// From everywhere.
    Public,
    /// From the same private network (RFC 1918, RFC 4193).
    Private,
    /// From within a provider's network that translates addresses: carrier-grade NAT (RFC 6598).
    Shared,
    /// From the same link (RFC 3927, RFC 4291).
    Link,
    /// From the same machine.
    Loopback,
    /// From nowhere: unspecified, multicast, or kept for documentation and other uses.
    Nowhere,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scope::Public => "a public address",
            Scope::Private => "an address of a private network (RFC 1918, RFC 4193)",
            Scope::Shared => "an address behind a provider's NAT (RFC 6598)",
            Scope::Link => "an address of one link",
            Scope::Loopback => "an address of this machine alone",
            Scope::Nowhere => "an address that nobody can reach",
        })
    }
}

/// From where `ip` can be reached.
pub fn scope(ip: IpAddr) -> Scope {
    match ip.to_canonical() {
        IpAddr::V4(ip) => scope_v4(ip),
        IpAddr::V6(ip) => scope_v6(ip),
    }
}

fn scope_v4(ip: Ipv4Addr) -> Scope {
    let [first, second, ..] = ip.octets();
    if ip.is_loopback() {
        Scope::Loopback
    } else if ip.is_private() {
        Scope::Private
    } else if first == 100 && (64..128).contains(&second) {
        Scope::Shared
    } else if ip.is_link_local() {
        Scope::Link
    } else if first == 0 || first >= 224 || ip.is_documentation() {
        Scope::Nowhere
    } else {
        Scope::Public
    }
}

fn scope_v6(ip: Ipv6Addr) -> Scope {
    let [first, second, ..] = ip.segments();
    if ip.is_loopback() {
        Scope::Loopback
    } else if ip.is_unique_local() {
        Scope::Private
    } else if ip.is_unicast_link_local() {
        Scope::Link
    } else if ip.is_unspecified() || ip.is_multicast() || (first == 0x2001 && second == 0xdb8) {
        Scope::Nowhere
    } else {
        Scope::Public
    }
}

/// Judges the address that a node gives to clients for media, by the addresses at which its control port was reached.
pub fn advertised(media: SocketAddr, reached: &[IpAddr]) -> Finding {
    let (check, ip) = (Check::Nat, media.ip().to_canonical());
    let scopes: Vec<Scope> = reached.iter().map(|ip| scope(*ip)).collect();
    let instead = reached.iter().find(|ip| scope(**ip) == Scope::Public);
    let flag = instead.map_or("the node's public address".to_owned(), ToString::to_string);
    let give = format!("start the node with --media-advertise {flag}, and have its NAT forward UDP {}", media.port());
    match scope(ip) {
        Scope::Nowhere => Finding::fail(check, media, format!("clients are told to send to {}", Scope::Nowhere), give),
        Scope::Public if reached.contains(&ip) || reached.is_empty() => {
            Finding::ok(check, media, "clients are told to send to a public address of the node")
        }
        Scope::Public => Finding::warn(
            check,
            media,
            format!("clients are told to send to another address than {}, which the node answered at", list(reached)),
            "right if both lead to the same machine; otherwise correct --media-advertise",
        ),
        scope if scopes.contains(&Scope::Public) => {
            Finding::fail(check, media, format!("clients are told to send to {scope}"), give)
        }
        scope => Finding::warn(
            check,
            media,
            format!("clients are told to send to {scope}"),
            "right for a network of one's own; callers on the Internet need a public address (--media-advertise)",
        ),
    }
}

/// Judges the address by which this machine sends to the Internet, and the one that the node shall give to others.
pub fn outbound(own: IpAddr, advertise: Option<IpAddr>) -> Finding {
    let (check, found) = (Check::Nat, scope(own));
    let sends = format!("this machine sends to the Internet from {own}, {found}");
    match (found, advertise) {
        (_, Some(given)) if scope(given) != Scope::Public => {
            let advice = "give --media-advertise the address by which the Internet sees this machine";
            Finding::fail(check, given, format!("others are told {}", scope(given)), advice)
        }
        (Scope::Public, None) => Finding::ok(check, own, sends),
        (Scope::Public, Some(given)) if given == own => Finding::ok(check, given, sends),
        (Scope::Shared, _) => Finding::fail(
            check,
            own,
            sends,
            "a provider's NAT cannot be told to forward ports: get a public IPv4 address, or serve over IPv6",
        ),
        (_, Some(given)) => {
            let advice = "have the router forward the node's ports, then run chroom doctor --node from another network";
            Finding::warn(check, given, format!("{sends}; others are told {given}"), advice)
        }
        (_, None) => Finding::warn(
            check,
            own,
            sends,
            "behind a NAT: forward the node's ports, and start it with --media-advertise and --rpc-advertise",
        ),
    }
}

/// Addresses for people.
pub fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Verdict, *};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_end_where_the_rfcs_say() {
        for (text, expected) in [
            ("10.0.0.1", Scope::Private),
            ("172.15.255.255", Scope::Public),
            ("172.16.0.0", Scope::Private),
            ("172.31.255.255", Scope::Private),
            ("172.32.0.0", Scope::Public),
            ("192.168.1.1", Scope::Private),
            ("100.63.255.255", Scope::Public),
            ("100.64.0.0", Scope::Shared),
            ("100.127.255.255", Scope::Shared),
            ("100.128.0.0", Scope::Public),
            ("169.254.1.1", Scope::Link),
            ("127.0.0.2", Scope::Loopback),
            ("0.0.0.0", Scope::Nowhere),
            ("198.51.100.2", Scope::Nowhere),
            ("224.0.0.1", Scope::Nowhere),
            ("8.8.8.8", Scope::Public),
            ("::1", Scope::Loopback),
            ("::", Scope::Nowhere),
            ("fd00::1", Scope::Private),
            ("fe80::1", Scope::Link),
            ("2001:db8::1", Scope::Nowhere),
            ("2a00::1", Scope::Public),
            ("::ffff:192.168.0.1", Scope::Private),
        ] {
            assert_eq!(scope(ip(text)), expected, "{text}");
        }
    }

    #[test]
    fn who_is_reached_in_public_must_not_send_callers_to_a_private_address() {
        let verdict = |media: &str, reached: &[&str]| {
            advertised(media.parse().unwrap(), &reached.iter().map(|text| ip(text)).collect::<Vec<_>>()).verdict
        };
        assert_eq!(verdict("8.8.8.8:7500", &["8.8.8.8", "2a00::1"]), Verdict::Ok);
        assert_eq!(verdict("8.8.8.8:7500", &["8.8.4.4"]), Verdict::Warn);
        assert_eq!(verdict("192.168.1.5:7500", &["8.8.8.8"]), Verdict::Fail);
        assert_eq!(verdict("100.64.1.5:7500", &["8.8.8.8"]), Verdict::Fail);
        assert_eq!(verdict("127.0.0.1:7500", &["8.8.8.8"]), Verdict::Fail);
        assert_eq!(verdict("192.168.1.5:7500", &["192.168.1.5"]), Verdict::Warn);
        assert_eq!(verdict("127.0.0.1:7500", &["127.0.0.1"]), Verdict::Warn);
        assert_eq!(verdict("0.0.0.0:7500", &["127.0.0.1"]), Verdict::Fail);
        let advice = advertised("10.0.0.1:7500".parse().unwrap(), &[ip("8.8.8.8")]).advice.unwrap();
        assert!(advice.contains("--media-advertise 8.8.8.8"), "{advice}");
    }

    #[test]
    fn this_machine_knows_whether_it_is_behind_a_nat() {
        let verdict = |own, given: Option<&str>| outbound(ip(own), given.map(ip)).verdict;
        assert_eq!(verdict("8.8.8.8", None), Verdict::Ok);
        assert_eq!(verdict("8.8.8.8", Some("8.8.8.8")), Verdict::Ok);
        assert_eq!(verdict("8.8.8.8", Some("8.8.4.4")), Verdict::Warn);
        assert_eq!(verdict("192.168.1.5", None), Verdict::Warn);
        assert_eq!(verdict("192.168.1.5", Some("8.8.8.8")), Verdict::Warn);
        assert_eq!(verdict("192.168.1.5", Some("192.168.1.5")), Verdict::Fail);
        assert_eq!(verdict("100.64.1.5", None), Verdict::Fail);
    }
}
