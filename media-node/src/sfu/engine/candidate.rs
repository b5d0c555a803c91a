//! The candidate for TCP in an answer (RFC 6544), beside the engine's for UDP.

/// Type preference of a host candidate over TCP: below UDP's 126, since loss holds up what comes after it.
const TYPE_PREFERENCE: u32 = 90;
/// Local preference (RFC 6544 §4.2): direction preference 4, as a passive host candidate has, and the largest other preference.
const LOCAL_PREFERENCE: u32 = (4 << 13) | 0x1FFF;
/// Priority of component 1 (RFC 8445 §5.1.2).
const PRIORITY: u32 = (TYPE_PREFERENCE << 24) | (LOCAL_PREFERENCE << 8) | 255;

/// The answer with a passive TCP candidate after each host candidate over UDP, at the same address and port.
pub fn with_tcp(answer: &str) -> String {
    let mut with = String::with_capacity(answer.len() + 128);
    for line in answer.split_inclusive('\n') {
        with.push_str(line);
        if let Some(tcp) = tcp(line.trim_end()) {
            with.push_str(&tcp);
            with.push_str("\r\n");
        }
    }
    with
}

fn tcp(line: &str) -> Option<String> {
    let mut parts = line.strip_prefix("a=candidate:")?.split(' ');
    let (foundation, component, transport, _) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (address, port, typ, host) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if !transport.eq_ignore_ascii_case("udp") || component != "1" || typ != "typ" || host != "host" {
        return None;
    }
    let rest: String = parts.map(|part| format!(" {part}")).collect();
    Some(format!("a=candidate:{foundation}t 1 tcp {PRIORITY} {address} {port} typ host tcptype passive{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_candidate_has_one_over_tcp_beside_it() {
        let udp = "a=candidate:1a2b 1 udp 2130706431 203.0.113.7 7500 typ host ufrag abcd\r\n";
        let answer = format!("v=0\r\nm=audio 9 x\r\n{udp}a=end-of-candidates\r\nm=video 9 x\r\n{udp}");
        let with = with_tcp(&answer);
        let tcp =
            format!("a=candidate:1a2bt 1 tcp {PRIORITY} 203.0.113.7 7500 typ host tcptype passive ufrag abcd\r\n");
        assert_eq!(with, answer.replace(udp, &format!("{udp}{tcp}")));
        // Less than a host candidate over UDP has at least.
        const { assert!(PRIORITY < 126 << 24) };
    }

    #[test]
    fn others_stay_alone() {
        for line in [
            "a=candidate:1 2 udp 1 203.0.113.7 7500 typ host",
            "a=candidate:1 1 tcp 1 203.0.113.7 7500 typ host tcptype passive",
            "a=candidate:1 1 udp 1 203.0.113.7 7500 typ srflx raddr 0.0.0.0 rport 9",
            "a=candidate:",
            "a=mid:0",
        ] {
            assert_eq!(with_tcp(line), line);
        }
    }
}
