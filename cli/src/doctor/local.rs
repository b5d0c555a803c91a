//! The machine that is to become a node: its ports, its limits, its address.

use super::{
    address,
    finding::{Check, Finding},
};
use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
};

/// Open files below which a media node cannot serve: its connections of orchestrators alone are so many.
const FEWEST_FILES: u64 = 1_024;
/// Open files that leave room.
const ENOUGH_FILES: u64 = 4_096;
/// Socket buffer that is enough for bursts, in bytes (docs/media-node.md).
const BUFFER: u64 = 4 * 1_024 * 1_024;
/// An address that is routed to the Internet; nothing is sent there.
const OUTSIDE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)), 9);

/// The addresses that a media node would listen on.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// For orchestrators, TCP.
    pub rpc: SocketAddr,
    /// For media, UDP.
    pub media: SocketAddr,
    /// For the public, TCP.
    pub http: SocketAddr,
}

/// Looks at this machine.
pub fn examine(listening: &Listening, advertise: Option<IpAddr>) -> Vec<Finding> {
    let tcp = |address: SocketAddr| (address, "TCP", TcpListener::bind(address).map(drop));
    let udp = |address: SocketAddr| (address, "UDP", UdpSocket::bind(address).map(drop));
    let ports = [tcp(listening.rpc), udp(listening.media), tcp(listening.http)];
    let mut findings: Vec<Finding> = ports.iter().map(|(at, kind, bound)| judge_port(*at, kind, bound)).collect();
    findings.push(match own_address() {
        Ok(own) => address::outbound(own, advertise),
        Err(error) => Finding::fail(
            Check::Nat,
            "this machine",
            format!("it has no way to the Internet over IPv4: {error}"),
            "give it a route, or serve over IPv6 alone",
        ),
    });
    findings.push(judge_files(rustix::process::getrlimit(rustix::process::Resource::Nofile).current));
    for name in ["rmem_max", "wmem_max"] {
        let read = std::fs::read_to_string(format!("/proc/sys/net/core/{name}"));
        let value = read.ok().and_then(|text| text.trim().parse().ok());
        findings.push(judge_buffer(&format!("net.core.{name}"), value));
    }
    findings
}

/// The address that this machine would send to the Internet from.
fn own_address() -> io::Result<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(OUTSIDE)?;
    Ok(socket.local_addr()?.ip())
}

fn judge_port(at: SocketAddr, kind: &str, bound: &io::Result<()>) -> Finding {
    let target = format!("{kind} {at}");
    let Err(error) = bound else { return Finding::ok(Check::Port, target, "free") };
    match error.kind() {
        ErrorKind::AddrInUse => {
            let advice = "right if the node runs already; otherwise end who has it (ss -lptun), or choose another port";
            Finding::warn(Check::Port, target, "in use", advice)
        }
        ErrorKind::PermissionDenied => {
            let advice = "choose a port from 1024 on, or give the service CAP_NET_BIND_SERVICE";
            Finding::fail(Check::Port, target, "this user may not listen there", advice)
        }
        ErrorKind::AddrNotAvailable => {
            let advice = "listen on 0.0.0.0, and name the address with --media-advertise and --rpc-advertise";
            Finding::fail(Check::Port, target, "no interface of this machine has the address", advice)
        }
        _ => Finding::fail(Check::Port, target, error, "choose another address or port"),
    }
}

/// Judges the limit of open files; `None`: there is none.
fn judge_files(limit: Option<u64>) -> Finding {
    let (check, target) = (Check::Files, "open files");
    let advice = "raise it for the service: LimitNOFILE=65536 in its systemd unit, or ulimit -n 65536";
    match limit {
        Some(limit) if limit < FEWEST_FILES => {
            Finding::fail(check, target, format!("{limit}: too few for a node's connections"), advice)
        }
        Some(limit) if limit < ENOUGH_FILES => Finding::warn(check, target, format!("{limit}: little room"), advice),
        Some(limit) => Finding::ok(check, target, limit),
        None => Finding::ok(check, target, "no limit"),
    }
}

/// Judges the largest socket buffer that the kernel grants, in bytes.
fn judge_buffer(name: &str, value: Option<u64>) -> Finding {
    match value {
        Some(value) if value >= BUFFER => Finding::ok(Check::Buffers, name, format!("{value} bytes")),
        Some(value) => Finding::warn(
            Check::Buffers,
            name,
            format!("{value} bytes: bursts may be lost on a busy machine"),
            format!("sysctl -w {name}={BUFFER}, and in /etc/sysctl.d/ for good"),
        ),
        None => Finding::warn(Check::Buffers, name, "cannot be read here", "look at the socket buffers of this system"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Verdict, *};

    #[test]
    fn a_taken_port_is_found_on_its_transport_alone() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap();
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let findings = examine(&Listening { rpc: free, media: at, http: free }, None);
        let verdicts: Vec<_> = findings.iter().take(3).map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Warn, Verdict::Ok]);
        let elsewhere: SocketAddr = "192.0.2.1:7400".parse().unwrap();
        let findings = examine(&Listening { rpc: elsewhere, media: free, http: free }, None);
        assert!(findings[0].verdict == Verdict::Fail && findings[0].found.contains("no interface"));
    }

    #[test]
    fn limits_are_judged_by_what_a_node_needs() {
        let files = |limit| judge_files(limit).verdict;
        assert_eq!(
            (files(Some(1_023)), files(Some(1_024)), files(Some(4_096))),
            (Verdict::Fail, Verdict::Warn, Verdict::Ok)
        );
        assert_eq!(files(None), Verdict::Ok);
        let buffer = |value| judge_buffer("net.core.rmem_max", value).verdict;
        assert_eq!(
            (buffer(Some(212_992)), buffer(Some(BUFFER)), buffer(None)),
            (Verdict::Warn, Verdict::Ok, Verdict::Warn)
        );
        let denied = judge_port("0.0.0.0:80".parse().unwrap(), "TCP", &Err(ErrorKind::PermissionDenied.into()));
        assert_eq!(denied.verdict, Verdict::Fail);
    }
}
