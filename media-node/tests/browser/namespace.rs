//! A network namespace with a browser in it, which can be given another address in the middle of a call, as a phone gets one when it leaves its Wi-Fi.
//! Two cables lead there: one for the page, whose address stays, and one for media.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::{Command, Stdio},
};

/// The ends of the cables here. The networks are those for benchmarks (RFC 2544), which nobody routes.
pub(super) const WEB: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 71, 1));
pub(super) const MEDIA: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 72, 1));
/// The browser's ends: for the page, for media, and for media after it moved.
const PAGE: &str = "198.18.71.2";
const BEFORE: &str = "198.18.72.2";
pub(super) const AFTER: &str = "198.18.72.3";

/// One at a time: they have the same addresses.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(super) struct Namespace {
    pub(super) name: String,
    _one: tokio::sync::MutexGuard<'static, ()>,
}

fn ip(arguments: &str) -> bool {
    run("ip", arguments)
}

fn run(program: &str, arguments: &str) -> bool {
    let mut command = Command::new(program);
    command.args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Namespace {
    /// Makes one; none where this user may not, or there is no `ip`.
    pub(super) async fn make() -> Option<Self> {
        let one = ONE.lock().await;
        let id = std::process::id();
        let name = format!("chroom-{id}");
        if !ip(&format!("netns add {name}")) {
            return None;
        }
        // From here on it is taken away in the end.
        let namespace = Self { name, _one: one };
        let inside = format!("-n {}", namespace.name);
        let mut made = ip(&format!("{inside} link set lo up"));
        for (letter, here, there) in [("w", WEB, PAGE), ("m", MEDIA, BEFORE)] {
            let (near, far) = (format!("c{letter}{id}"), format!("far{letter}"));
            made = made
                && ip(&format!("link add {near} type veth peer name {far} netns {}", namespace.name))
                && ip(&format!("addr add {here}/24 dev {near}"))
                && ip(&format!("link set {near} up"))
                && ip(&format!("{inside} addr add {there}/24 dev {far}"))
                && ip(&format!("{inside} link set {far} up"));
        }
        made.then_some(namespace)
    }

    /// Lets no UDP out of it any more, as some offices don't.
    pub(super) fn without_udp(&self) -> bool {
        ip(&format!("-n {} rule add ipproto udp priority 10 blackhole", self.name))
    }

    /// Lets nothing out of it any more but to the page, and over UDP to this port at [`MEDIA`].
    pub(super) fn only_to(&self, port: u16) -> bool {
        let rule = |rule: &str| ip(&format!("-n {} rule add {rule}", self.name));
        rule(&format!("to {MEDIA} ipproto udp dport {port} priority 10 lookup main"))
            && rule(&format!("to {WEB} ipproto tcp priority 11 lookup main"))
            && rule("ipproto udp priority 12 blackhole")
            && rule("ipproto tcp priority 13 blackhole")
    }

    /// Makes the line for media into it narrow.
    pub(super) fn narrow(&self, kbps: u32) -> bool {
        let line =
            format!("qdisc replace dev cm{} root tbf rate {kbps}kbit burst 4kb latency 200ms", std::process::id());
        run("tc", &line)
    }

    /// Takes the browser's address for media away and gives it another.
    pub(super) fn roam(&self) -> bool {
        let inside = format!("-n {}", self.name);
        ip(&format!("{inside} addr del {BEFORE}/24 dev farm")) && ip(&format!("{inside} addr add {AFTER}/24 dev farm"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The cables go with it.
        ip(&format!("netns del {}", self.name));
    }
}
