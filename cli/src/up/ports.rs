//! Whether the ports of a plan are free.

use super::plan::Plan;
use crate::failure::Failure;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

/// Tries each port of the plan, and names those that are taken.
pub fn check(plan: &Plan) -> Result<(), Failure> {
    let local = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let mut taken: Vec<String> = Vec::new();
    for (port, user) in plan.tcp_ports() {
        if TcpListener::bind(local(port)).is_err() {
            taken.push(format!("{port}/tcp for {user}"));
        }
    }
    for (port, user) in plan.udp_ports() {
        if UdpSocket::bind(local(port)).is_err() {
            taken.push(format!("{port}/udp for {user}"));
        }
    }
    if taken.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format_args!("ports that the network needs are in use: {}", taken.join(", "))).hint(
        "is another local network running? End it with Ctrl-C, or start this one elsewhere with --base-port 11000",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::options::Options;
    use std::path::Path;

    #[test]
    fn a_taken_port_is_named_with_its_user() {
        // A range of the ephemeral ports in which nothing else listens, with one port taken by this test.
        let (plan, _held) = (20_000u16..28_000)
            .step_by(100)
            .find_map(|base| {
                let options = Options { base_port: base, ..Options::default() };
                let plan = Plan::new(&options, Path::new("/data")).ok()?;
                check(&plan).ok()?;
                let held = TcpListener::bind(("127.0.0.1", plan.media[1].http)).ok()?;
                Some((plan, held))
            })
            .unwrap();
        let failure = check(&plan).unwrap_err();
        assert!(failure.message.contains(&format!("{}/tcp for media-2 (HTTP)", plan.media[1].http)), "{failure}");
        assert_eq!(failure.message.matches("/tcp").count(), 1);
        assert!(failure.hint.is_some());
    }
}
