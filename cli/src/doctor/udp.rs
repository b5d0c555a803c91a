//! The media port: whether UDP gets to it, and back.

use super::{
    finding::{Check, Finding},
    quic::Knock,
    stun::Binding,
};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

/// Pauses after each request: RTO 500 ms, doubled (RFC 8489 §6.2.1), to an end that people wait for.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_millis(1_500), Duration::from_secs(1)];

/// Requests that are sent to who stays silent.
pub const TRIES: u64 = PAUSES.len() as u64;

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// An answer.
    Answer {
        /// The address that the request came from, as the node saw it, if it tells.
        mapped: Option<SocketAddr>,
        /// After how long.
        after: Duration,
        /// Requests until then.
        tries: usize,
    },
    /// The machine says that nobody listens (ICMP port unreachable).
    Refused,
    /// Nothing.
    Silence,
    /// It can't be sent from here.
    Unsent(String),
}

/// Asks at `to` which address this machine has.
pub async fn ask(to: SocketAddr) -> Heard {
    match Binding::new(rand::random()) {
        Ok(binding) => heard(to, binding.as_bytes(), |datagram| binding.mapped(datagram).map(Some)).await,
        Err(error) => Heard::Unsent(error.to_string()),
    }
}

/// Asks at `to` whether QUIC is spoken there.
pub async fn knock(to: SocketAddr) -> Heard {
    let knock = Knock::new(rand::random());
    heard(to, knock.as_bytes(), |datagram| knock.is_answer(datagram).then_some(None)).await
}

async fn heard(to: SocketAddr, request: &[u8], answer: impl Fn(&[u8]) -> Option<Option<SocketAddr>>) -> Heard {
    match exchange(to, request, answer).await {
        Ok(heard) => heard,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Heard::Refused,
        Err(error) => Heard::Unsent(error.to_string()),
    }
}

async fn exchange(
    to: SocketAddr,
    request: &[u8],
    answer: impl Fn(&[u8]) -> Option<Option<SocketAddr>>,
) -> io::Result<Heard> {
    let any = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // Connected, so that the kernel tells of ICMP errors and takes datagrams from there alone.
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(to).await?;
    let mut buffer = [0; 1_500];
    let begun = Instant::now();
    for (before, pause) in PAUSES.into_iter().enumerate() {
        socket.send(request).await?;
        let until = Instant::now() + pause;
        while let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await {
            if let Some(mapped) = answer(buffer.get(..received?).unwrap_or_default()) {
                return Ok(Heard::Answer { mapped, after: begun.elapsed(), tries: before + 1 });
            }
        }
    }
    Ok(Heard::Silence)
}

/// Datagrams of strangers that a node counted, before and after the asking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

/// The count in a node's metrics (OpenMetrics).
pub fn strangers(metrics: &str) -> Option<u64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix("chroom_media_datagrams_unknown_total "))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Judges what came back; the node's own count tells the ways apart.
pub fn judge(to: SocketAddr, heard: &Heard, counted: Option<Counted>) -> Finding {
    let (check, port) = (Check::Udp, to.port());
    match heard {
        Heard::Answer { mapped, after, tries } => {
            let seen = mapped.map(|mapped| format!("; sees this machine as {mapped}")).unwrap_or_default();
            let found = format!("answers in {} ms{seen}", after.as_millis());
            match tries {
                1 => Finding::ok(check, to, found),
                _ => Finding::warn(
                    check,
                    to,
                    format!("{found}; {tries} requests until the first answer"),
                    "packets get lost on the way: look at the line, and at net.core.rmem_max on the node",
                ),
            }
        }
        Heard::Refused => Finding::fail(
            check,
            to,
            format!("the machine says that nobody listens on UDP {port}"),
            "is the node running, and is this the port of its --media-listen?",
        ),
        Heard::Unsent(error) => Finding::fail(
            check,
            to,
            format!("nothing can be sent there from here: {error}"),
            "this machine has no way there (an IPv6 address needs IPv6), or its firewall forbids it",
        ),
        Heard::Silence => silent(to, counted),
    }
}

/// Judges what came back from the pipes' port. A node that is not reached there still serves rooms of its own.
pub fn judge_pipes(to: SocketAddr, heard: &Heard) -> Finding {
    let (check, port) = (Check::Udp, to.port());
    match heard {
        Heard::Answer { after, .. } => Finding::ok(check, to, format!("pipes: answers in {} ms", after.as_millis())),
        _ => Finding::warn(
            check,
            to,
            format!("pipes: no answer to {TRIES} packets; rooms that span nodes cannot use this one"),
            format!(
                "open UDP {port} and forward it (--pipe-listen names the port), and give --pipe-advertise its public address"
            ),
        ),
    }
}

fn silent(to: SocketAddr, counted: Option<Counted>) -> Finding {
    let (check, port) = (Check::Udp, to.port());
    let elsewhere = "if other nodes' UDP is silent too, it is this machine's network that blocks it";
    let arrived = counted.map(|counted| counted.after.saturating_sub(counted.before));
    match arrived {
        Some(arrived) if arrived >= TRIES => Finding::fail(
            check,
            to,
            format!(
                "{TRIES} requests seem to arrive (the node counted {arrived} datagrams of strangers), no answer comes back"
            ),
            format!("let UDP out from port {port}; does the answer leave by another address than {}?", to.ip()),
        ),
        Some(_) => Finding::fail(
            check,
            to,
            format!("no answer to {TRIES} requests, and the node counts none: UDP does not get there"),
            format!("open UDP {port} in the node's firewall and forward it in its NAT; {elsewhere}"),
        ),
        None => Finding::fail(
            check,
            to,
            format!("no answer to {TRIES} requests"),
            format!("open UDP {port} in the node's firewall and forward it in its NAT; {elsewhere}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Verdict, *};

    #[test]
    fn the_count_tells_a_blocked_way_there_from_a_blocked_way_back() {
        let to: SocketAddr = "8.8.8.8:7500".parse().unwrap();
        let silence = |counted| judge(to, &Heard::Silence, counted);
        let back = silence(Some(Counted { before: 10, after: 10 + TRIES }));
        assert!(back.verdict == Verdict::Fail && back.advice.unwrap().contains("let UDP out"));
        let there = silence(Some(Counted { before: 10, after: 11 }));
        assert!(there.found.contains("does not get there"));
        assert!(there.advice.unwrap().contains("open UDP 7500"));
        assert_eq!(silence(None).verdict, Verdict::Fail);
        let answer = |tries| Heard::Answer { mapped: Some(to), after: Duration::from_millis(3), tries };
        assert_eq!(judge(to, &answer(1), None).verdict, Verdict::Ok);
        assert_eq!(judge(to, &answer(2), None).verdict, Verdict::Warn);
    }

    #[test]
    fn the_count_is_found_in_the_metrics() {
        let metrics = "# TYPE chroom_media_datagrams_unknown counter\nchroom_media_datagrams_unknown_total 17\n# EOF\n";
        assert_eq!(strangers(metrics), Some(17));
        assert_eq!(strangers("chroom_media_datagrams_unknown_total x"), None);
        assert_eq!(strangers(""), None);
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        drop(socket);
        assert_eq!(ask(to).await, Heard::Refused);
        let pipes = judge_pipes(to, &knock(to).await);
        assert!(pipes.verdict == Verdict::Warn && pipes.found.contains("span nodes"));
    }
}
