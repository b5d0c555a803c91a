//! Names and TCP ports.

use super::{
    address,
    finding::{Check, Finding},
};
use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

/// Addresses of one name that are tried.
const MOST: usize = 8;

/// The addresses of a host, each once.
pub async fn resolve(host: &str, port: u16, limit: Duration) -> (Vec<SocketAddr>, Finding) {
    let found = match timeout(limit, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect::<Vec<_>>()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
    };
    let mut addresses = Vec::new();
    for address in found.iter().flatten() {
        if addresses.len() < MOST && !addresses.contains(address) {
            addresses.push(*address);
        }
    }
    let finding = judge_name(host, &addresses, found.err().as_deref());
    (addresses, finding)
}

/// Judges what a name leads to.
fn judge_name(host: &str, addresses: &[SocketAddr], error: Option<&str>) -> Finding {
    let ips: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
    if host.parse::<IpAddr>().is_ok() {
        return Finding::ok(Check::Name, host, "an address, no name");
    }
    if ips.is_empty() {
        let why = error.map(|error| format!(": {error}")).unwrap_or_default();
        let advice = "correct the name's A and AAAA records, or this machine's resolver";
        return Finding::fail(Check::Name, host, format!("it leads to no address{why}"), advice);
    }
    if ips.iter().all(IpAddr::is_ipv6) {
        let advice = "add an A record: many callers and nodes have no IPv6";
        return Finding::warn(Check::Name, host, format!("{}, no IPv4 address", address::list(&ips)), advice);
    }
    Finding::ok(Check::Name, host, address::list(&ips))
}

/// Connects to each address; gives those that took the connection.
pub async fn connect(addresses: &[SocketAddr], limit: Duration) -> (Vec<IpAddr>, Vec<Finding>) {
    let (mut open, mut findings) = (Vec::new(), Vec::new());
    let tries = addresses.iter().map(async |address| {
        let tried = timeout(limit, TcpStream::connect(address)).await;
        tried.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())).map(drop)
    });
    for (address, result) in addresses.iter().zip(futures::future::join_all(tries).await) {
        if result.is_ok() {
            open.push(address.ip());
        }
        findings.push(judge_connection(*address, &result, limit));
    }
    (open, findings)
}

/// Connects to the media port over TCP, which only those need whose network lets no UDP through.
pub async fn connect_media(to: SocketAddr, limit: Duration) -> Finding {
    match timeout(limit, TcpStream::connect(to)).await {
        Ok(Ok(_)) => Finding::ok(Check::Tcp, to, "connected: media over TCP gets there"),
        Ok(Err(_)) | Err(_) => Finding::warn(
            Check::Tcp,
            to,
            "no connection: no media over TCP for callers whose network lets no UDP through",
            format!("open TCP {} like UDP, in the firewall and the NAT", to.port()),
        ),
    }
}

fn judge_connection(to: SocketAddr, result: &io::Result<()>, limit: Duration) -> Finding {
    let (check, port) = (Check::Tcp, to.port());
    let Err(error) = result else { return Finding::ok(check, to, "connected") };
    match error.kind() {
        ErrorKind::ConnectionRefused => Finding::fail(
            check,
            to,
            format!("the machine says that nobody listens on TCP {port}"),
            "is the service running, and does it listen on this address (0.0.0.0 rather than 127.0.0.1)?",
        ),
        ErrorKind::TimedOut => Finding::fail(
            check,
            to,
            format!("no answer within {} s", limit.as_secs()),
            format!("open TCP {port} in the machine's firewall and forward it in its NAT; is the address right?"),
        ),
        ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable if to.is_ipv6() => Finding::warn(
            check,
            to,
            "this machine has no IPv6, so it cannot tell",
            "run chroom doctor from a machine with IPv6 as well",
        ),
        _ => Finding::fail(check, to, error, "is there a way from here to this address?"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Verdict, *};

    #[test]
    fn names_are_judged_by_where_they_lead() {
        let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 1);
        assert_eq!(judge_name("a.example", &[], Some("NXDOMAIN")).verdict, Verdict::Fail);
        assert_eq!(judge_name("a.example", &[address("2a00::1")], None).verdict, Verdict::Warn);
        assert_eq!(judge_name("a.example", &[address("2a00::1"), address("8.8.8.8")], None).verdict, Verdict::Ok);
        assert_eq!(judge_name("::1", &[address("::1")], None).verdict, Verdict::Ok);
    }

    #[test]
    fn a_closed_port_is_told_from_a_silent_one_and_from_no_way() {
        let judge = |to: &str, kind: ErrorKind| {
            judge_connection(to.parse().unwrap(), &Err(kind.into()), Duration::from_secs(5))
        };
        assert!(judge("8.8.8.8:7400", ErrorKind::ConnectionRefused).found.contains("nobody listens on TCP 7400"));
        assert!(judge("8.8.8.8:7400", ErrorKind::TimedOut).advice.unwrap().contains("open TCP 7400"));
        assert_eq!(judge("[2a00::1]:7400", ErrorKind::NetworkUnreachable).verdict, Verdict::Warn);
        assert_eq!(judge("8.8.8.8:7400", ErrorKind::NetworkUnreachable).verdict, Verdict::Fail);
    }

    #[tokio::test]
    async fn open_and_closed_ports_are_found() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            unused.local_addr().unwrap()
        };
        let (reached, findings) = connect(&[open, closed], Duration::from_secs(5)).await;
        assert_eq!(reached, [open.ip()]);
        let verdicts: Vec<_> = findings.iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Fail]);
        let (_, nowhere) = resolve("no-such-host.invalid", 1, Duration::from_secs(20)).await;
        assert_eq!(nowhere.verdict, Verdict::Fail);
    }
}
