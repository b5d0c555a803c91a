//! Lines of the kernel's: a server in a network namespace, a router in another, and one more for each bad line, in which netem loses and delays
//! and whose way in from the router is as narrow as tbf makes it.
//!
//! ```text
//! server ── router ───────────────────────── clients (this process)
//!                 └─ tbf ▶ line ─ netem ▶──┘   of a client behind a bad line
//!                 ◀─────── line ◀ netem ───┘
//! ```
//!
//! Between interfaces there is no ARP, which the lines would lose too. What the server sends as one segmented buffer is cut into its datagrams
//! before it leaves the server's interface, since netem would lose it as a whole.

use crate::{
    client::address::{ClientId, Subnet},
    model::line::{Delay, Loss},
    namespace::{self, NamespaceError, tool},
    path::{Plan, Traffic},
};
use std::time::{Duration, Instant};

/// The server's namespace.
pub const SERVER: &str = "server";
const ROUTER: &str = "router";
/// What is above UDP counts for a rate, as in the generator's model: not Ethernet's, IP's and UDP's headers.
const HEADERS: u32 = 14 + 20 + 8;
/// Bytes that pass tbf at once: two datagrams.
const BURST: u32 = 3_000;
/// Datagrams in netem at most; more than any rate here has in a second.
const LIMIT: u32 = 10_000;
/// Addresses of the two ends of every link.
const ENDS: [(&str, &str); 2] = [("169.254.0.1", "02:00:00:00:00:01"), ("169.254.0.2", "02:00:00:00:00:02")];

/// An end of a link: the namespace (`None`: this process's) and the interface in it.
type End<'a> = (Option<&'a str>, &'a str);

fn within(namespace: Option<&str>) -> String {
    namespace.map_or_else(String::new, |name| format!("-n {name} "))
}

fn ip(namespace: Option<&str>, words: &str) -> Result<(), NamespaceError> {
    tool("ip", &format!("{}{words}", within(namespace))).map(drop)
}

fn tc(namespace: Option<&str>, words: &str) -> Result<String, NamespaceError> {
    tool("tc", &format!("{}{words}", within(namespace)))
}

/// Lays a link. What goes by [`via`] `0` reaches the first end, by `1` the second.
fn link(ends: [End<'_>; 2]) -> Result<(), NamespaceError> {
    let [(near, near_name), (far, far_name)] = ends;
    let place = |namespace: Option<&str>| namespace.map_or_else(String::new, |name| format!(" netns {name}"));
    let [(_, near_mac), (_, far_mac)] = ENDS;
    tool(
        "ip",
        &format!(
            "link add {near_name} address {near_mac}{} type veth peer name {far_name} address {far_mac}{}",
            place(near),
            place(far)
        ),
    )?;
    for ((namespace, name), (other, mac)) in ends.iter().zip(ENDS.iter().rev()) {
        ip(*namespace, &format!("link set {name} up gso_max_segs 1"))?;
        ip(*namespace, &format!("neigh add {other} lladdr {mac} dev {name} nud permanent"))?;
    }
    Ok(())
}

/// The way to the first or the second end of the link that an interface belongs to.
fn via(end: usize, name: &str) -> String {
    let (address, _) = ENDS.get(end).copied().unwrap_or_default();
    format!("via {address} dev {name} onlink")
}

/// Makes a namespace. Without a loopback interface it would take any gateway for a wrong one.
fn place(namespace: &str) -> Result<(), NamespaceError> {
    ip(None, &format!("netns add {namespace}"))?;
    ip(Some(namespace), "link set lo up")
}

fn forwards(namespace: &str) -> Result<(), NamespaceError> {
    tool("ip", &format!("netns exec {namespace} sysctl -q -w net.ipv4.ip_forward=1")).map(drop)
}

/// Lays what all lines have in common: server, router, and the way of those without a bad line.
pub(crate) fn lay() -> Result<(), NamespaceError> {
    tool("mkdir", "-p /run/netns")?;
    // Seen by nobody outside, and gone with this process.
    tool("mount", "-t tmpfs tmpfs /run/netns")?;
    ip(None, "link set lo up")?;
    [SERVER, ROUTER].into_iter().try_for_each(place)?;
    forwards(ROUTER)?;
    let (server, clients) = (namespace::SERVER, namespace::CLIENTS);
    link([(Some(SERVER), "wan"), (Some(ROUTER), "server")])?;
    ip(Some(SERVER), &format!("addr add {server}/32 dev wan"))?;
    ip(Some(SERVER), &format!("route add {clients} {}", via(1, "wan")))?;
    ip(Some(ROUTER), &format!("route add {server} {}", via(0, "server")))?;
    link([(Some(ROUTER), "clients"), (None, "clients")])?;
    ip(Some(ROUTER), &format!("route add {clients} {}", via(1, "clients")))?;
    ip(None, &format!("route add local {clients} dev clients"))?;
    ip(None, &format!("route add {server} {}", via(0, "clients")))
}

/// Bad lines at work. They are taken away when this goes.
#[derive(Debug)]
pub struct Lines {
    subnet: Subnet,
    clients: Vec<ClientId>,
    /// Rates to come: when, whose, kb/s, and how long a datagram may wait.
    steps: Vec<(Instant, ClientId, u32, Duration)>,
}

impl Lines {
    /// None yet.
    pub fn new(subnet: Subnet) -> Self {
        Self { subnet, clients: Vec::new(), steps: Vec::new() }
    }

    /// Puts a client behind a line. Returns when its schedule began: laying it takes a while.
    pub fn add(&mut self, client: ClientId, plan: &Plan) -> Result<Instant, NamespaceError> {
        let (name, ip_address, server) = (name(client), self.subnet.ip(client), namespace::SERVER);
        let line = Some(name.as_str());
        self.clients.push(client);
        place(&name)?;
        forwards(&name)?;
        link([(Some(ROUTER), &name), (line, "router")])?;
        link([(line, "client"), (None, &name)])?;
        ip(line, &format!("route add {server} {}", via(0, "router")))?;
        ip(line, &format!("route add {ip_address} {}", via(1, "client")))?;
        ip(Some(ROUTER), &format!("route add {ip_address} {}", via(1, &name)))?;
        let table = table(client);
        ip(None, &format!("route add {server} {} table {table}", via(0, &name)))?;
        ip(None, &format!("rule add from {ip_address} lookup {table}"))?;
        let mut steps = plan.down.steps.iter();
        if let Some(first) = steps.next() {
            tc(Some(ROUTER), &bottleneck("add", &name, first.kbps, plan.down.queue))?;
        }
        tc(line, &netem("client", plan.down.loss, plan.down.delay))?;
        let (loss, delay) = plan.up;
        tc(None, &netem(&name, loss, delay))?;
        let begun = Instant::now();
        self.steps.extend(steps.map(|step| (begun + step.at, client, step.kbps, plan.down.queue)));
        Ok(begun)
    }

    /// When the next rate is to come.
    pub fn due(&self) -> Option<Instant> {
        self.steps.iter().map(|(at, ..)| *at).min()
    }

    /// Gives lines the rates whose time has come.
    pub fn turn(&mut self, now: Instant) -> Result<(), NamespaceError> {
        let mut due: Vec<_> = self.steps.extract_if(.., |(at, ..)| *at <= now).collect();
        due.sort_by_key(|(at, ..)| *at);
        for (_, client, kbps, queue) in due {
            tc(Some(ROUTER), &bottleneck("change", &name(client), kbps, queue))?;
        }
        Ok(())
    }

    /// What happened on a client's line to it; `None` if it has none.
    pub fn traffic(&self, client: ClientId) -> Result<Option<Traffic>, NamespaceError> {
        if !self.clients.contains(&client) {
            return Ok(None);
        }
        let name = name(client);
        let narrow = counts(&tc(Some(ROUTER), &format!("-s -j qdisc show dev {name}"))?);
        let lossy = counts(&tc(Some(&name), "-s -j qdisc show dev client")?);
        Ok(Some(Traffic { arrived: lossy.packets, overflowed: narrow.drops, lost: lossy.drops }))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        for client in &self.clients {
            let name = name(*client);
            // One end takes the other with it; the namespace alone would take them later.
            let gone = [
                ip(Some(ROUTER), &format!("link del {name}")),
                ip(None, &format!("link del {name}")),
                ip(None, &format!("rule del lookup {}", table(*client))),
                ip(None, &format!("netns del {name}")),
            ];
            gone.into_iter().filter_map(Result::err).for_each(|error| eprintln!("a line stays behind: {error}"));
        }
    }
}

fn name(client: ClientId) -> String {
    format!("line{}", client.0)
}

/// A routing table of its own, beyond those that the kernel has.
fn table(client: ClientId) -> u32 {
    1_000 + client.0
}

fn bottleneck(verb: &str, device: &str, kbps: u32, queue: Duration) -> String {
    format!(
        "qdisc {verb} dev {device} root handle 1: stab overhead -{HEADERS} linklayer ethernet mtu 2048 tsize 2048 \
         tbf rate {kbps}kbit burst {BURST} latency {}ms",
        queue.as_millis()
    )
}

fn netem(device: &str, loss: Loss, delay: Delay) -> String {
    let percent = |share: f64| share * 100.0;
    let loss = match loss {
        Loss::None => String::new(),
        Loss::Random { share } => format!(" loss {}%", percent(share)),
        // Its probabilities of turning bad and good, and what is lost in the bad state and in the good one.
        Loss::Bursts { worsens, recovers, share } => {
            let [worsens, recovers, lost] = [worsens, recovers, share].map(percent);
            format!(" loss gemodel {worsens}% {recovers}% {lost}% 0%")
        }
    };
    format!("qdisc add dev {device} root netem limit {LIMIT} delay {}us{loss}", delay.base.as_micros())
}

#[derive(serde::Deserialize, Default)]
struct Counts {
    packets: u64,
    drops: u64,
}

/// The counts of the first queue of a list.
fn counts(json: &str) -> Counts {
    serde_json::from_str::<Vec<Counts>>(json).ok().and_then(|all| all.into_iter().next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_iproute2() {
        let queue = Duration::from_millis(300);
        let narrow = bottleneck("change", "line7", 500, queue);
        assert!(narrow.starts_with("qdisc change dev line7 root handle 1: stab overhead -42 "), "{narrow}");
        assert!(narrow.ends_with(" tbf rate 500kbit burst 3000 latency 300ms"), "{narrow}");
        let delay = Delay { base: Duration::from_millis(25), jitter: Duration::ZERO };
        let lossy = netem("client", Loss::Random { share: 0.02 }, delay);
        assert_eq!(lossy, "qdisc add dev client root netem limit 10000 delay 25000us loss 2%");
        let bursts = netem("client", Loss::Bursts { worsens: 0.01, recovers: 0.25, share: 1.0 }, delay);
        assert!(bursts.ends_with(" loss gemodel 1% 25% 100% 0%"), "{bursts}");
        assert_eq!(netem("c", Loss::None, Delay::default()), "qdisc add dev c root netem limit 10000 delay 0us");
    }

    #[test]
    fn counts_are_the_root_queues() {
        let json = r#"[{"kind":"netem","handle":"1:","root":true,"options":{"limit":10},"bytes":1022,"packets":11,"drops":3}]"#;
        let Counts { packets, drops } = counts(json);
        assert_eq!((packets, drops), (11, 3));
        assert_eq!(counts("no").packets, 0);
    }

    #[test]
    fn rates_follow_each_other() {
        let mut lines = Lines::new(Subnet::NAMESPACE);
        let now = Instant::now();
        let second = Duration::from_secs(1);
        lines.steps = vec![(now + second, ClientId(1), 500, second), (now + second * 3, ClientId(1), 3_000, second)];
        assert_eq!(lines.due(), Some(now + second));
        lines.turn(now).unwrap();
        assert_eq!(lines.steps.len(), 2);
    }
}
