//! A network of its own for the load: a namespace with one interface, where the server has an address and each client another.
//!
//! Loopback's own addresses don't do: Janus's ICE library leaves loopback interfaces out, and binds its sockets to the interface of their address.
//! Nothing of the load can leave the namespace, and nothing of the machine's traffic gets in.

use crate::netem;
use std::{ffi::OsStr, io, net::Ipv4Addr, os::unix::process::CommandExt, process::Command};

/// The server's address.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// All of the clients' addresses.
pub const CLIENTS: &str = "10.78.0.0/15";
/// Set for the process that runs inside.
const INSIDE: &str = "CHROOM_BENCH_MEDIA_NAMESPACE";
/// A veth pair of which one end is used: every kernel with containers has it.
const COMMANDS: [&str; 6] = [
    "link set lo up",
    "link add bench0 type veth peer name bench1",
    "link set bench0 up",
    "link set bench1 up",
    "addr add 10.77.0.1/32 dev bench0",
    // All of the clients' addresses are this machine's own.
    "route add local 10.78.0.0/15 dev bench0",
];

/// How clients reach the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    /// Both have their addresses on one interface.
    Shared,
    /// The server is in a namespace of its own, behind a router ([`netem`]).
    Routed,
}

/// The namespace can't be had.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// A program isn't there.
    #[error("{0} can't be run (packages util-linux and iproute2): {1}")]
    Program(&'static str, io::Error),
    /// An interface or a line can't be made.
    #[error("{0}: {1}")]
    Refused(String, String),
}

/// Goes on in a namespace of its own: the process is replaced by itself inside, unless it is there already. Root needs no more; others become
/// root of a user namespace, which has to be allowed to them.
pub fn enter(network: Network) -> Result<(), NamespaceError> {
    if std::env::var_os(INSIDE).is_none() {
        return Err(NamespaceError::Program("unshare", inside(network, std::env::args_os().skip(1)).exec()));
    }
    match network {
        Network::Shared => COMMANDS.iter().try_for_each(|words| tool("ip", words).map(drop)),
        Network::Routed => netem::lay(),
    }
}

/// Runs a program with arguments that have spaces between them; returns what it printed.
pub(crate) fn tool(program: &'static str, words: &str) -> Result<String, NamespaceError> {
    let output = Command::new(program).args(words.split(' ')).output();
    let output = output.map_err(|error| NamespaceError::Program(program, error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().into();
        return Err(NamespaceError::Refused(format!("{program} {words}"), said));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn inside(network: Network, arguments: impl Iterator<Item = impl AsRef<OsStr>>) -> Command {
    // Not /proc/self/exe: that would be unshare.
    let program = std::env::current_exe().unwrap_or_else(|_| "chroom-bench-media".into());
    let mut command = Command::new("unshare");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_root = status
        .lines()
        .any(|line| line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")));
    if !is_root {
        command.args(["--user", "--map-root-user"]);
    }
    if network == Network::Routed {
        // The names of its namespaces are files, which nobody else shall see.
        command.arg("--mount");
    }
    command.args(["--net", "--"]).arg(program).args(arguments).env(INSIDE, "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::address::{ClientId, MAX_CLIENTS, Subnet};

    #[test]
    fn the_route_covers_all_clients_and_not_the_server() {
        let subnet = Subnet::NAMESPACE;
        assert_eq!(subnet.ip(ClientId(0)), Ipv4Addr::new(10, 78, 0, 0));
        assert_eq!(subnet.ip(ClientId(MAX_CLIENTS - 1)).to_bits() >> 17, subnet.ip(ClientId(0)).to_bits() >> 17);
        assert_eq!(subnet.client(SERVER.into()), None);
        for part in [SERVER.to_string().as_str(), CLIENTS] {
            assert!(COMMANDS.iter().any(|command| command.contains(part)), "{part}");
        }
    }
}
