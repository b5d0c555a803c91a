//! Where a server's CPU time goes: `perf` samples it by the clock, symbols are gathered into stages.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// Samples a second: not a divisor of anything else that is periodic.
const FREQUENCY: &str = "1999";

/// A stage's share.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// Share of the server's CPU time, 0 to 1.
    pub share: f64,
    /// Its greatest symbols, with their shares.
    pub symbols: Vec<(String, f64)>,
}

/// There is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// `perf` isn't there or may not look.
    #[error("perf can't be used: {0}")]
    Perf(String),
}

/// Stages by parts of symbols' names, the first that fits; what is in the kernel comes first.
const STAGES: [(&str, &[&str]); 9] = [
    ("encryption and decryption", &["gcm", "aes", "ghash", "gmult", "gf_mul", "srtp_", "aead", "EVP_", "sha1", "sha256", "crypto"]),
    ("memory: allocation, copying", &["malloc", "free", "alloc", "memcpy", "memmove", "memset", "calloc", "g_slice", "drop_in_place"]),
    ("socket, batching", &["sfu::socket", "quinn_udp", "sendto", "sendmsg", "recvmsg", "libc_send", "nice_socket", "nice_agent_send", "udp_bsd"]),
    ("routing, rewriting", &["sfu::router", "sfu::rewrite", "sfu::codec", "sfu::layer", "sfu::meter", "sfu::speakers", "videoroom", "janus_rtp"]),
    ("congestion control, feedback", &["bwe", "twcc", "Twcc", "remb", "pacer", "estimat", "trendline"]),
    ("retransmission, caching", &["rtx", "nack", "Nack", "buffer_tx", "cache"]),
    ("RTP, RTCP, streams", &["rtp", "rtcp", "streams", "str0m", "packet"]),
    ("ICE, DTLS, STUN", &["ice", "stun", "dtls", "agent", "conncheck"]),
    ("shard, timers", &["sfu::shard", "mio", "epoll", "poll", "g_main", "hash", "BTree", "btree", "BinaryHeap"]),
];
const KERNEL_SEND: [&str; 12] =
    ["send", "ip_", "udp", "skb", "dev_", "xmit", "copy_from", "loopback", "netif", "route", "csum", "sock_def_readable"];
const KERNEL_RECEIVE: [&str; 3] = ["recv", "copy_to", "receive"];

/// Samples a process for a while.
pub fn profile(pid: u32, time: Duration, folder: &Path) -> Result<Vec<Stage>, ProfileError> {
    let data = folder.join("perf.data");
    let failed = |error: std::io::Error| ProfileError::Perf(error.to_string());
    // Without hardware counters, as in virtual machines, the CPU's clock does.
    let recorded = Command::new("perf")
        .args(["record", "--quiet", "-e", "cpu-clock", "-F", FREQUENCY, "-p", &pid.to_string(), "-o"])
        .arg(&data)
        .args(["--", "sleep", &time.as_secs_f64().to_string()])
        .stdout(Stdio::null())
        .output()
        .map_err(failed)?;
    if !recorded.status.success() {
        return Err(ProfileError::Perf(String::from_utf8_lossy(&recorded.stderr).trim().to_owned()));
    }
    let report = Command::new("perf")
        .args(["report", "--stdio", "--no-children", "--percent-limit", "0", "-F", "overhead,dso,symbol", "-t", "\t", "-i"])
        .arg(&data)
        .stderr(Stdio::null())
        .output()
        .map_err(failed)?;
    Ok(stages(&String::from_utf8_lossy(&report.stdout)))
}

/// Gathers a report's lines: share, library and symbol between tabs.
fn stages(report: &str) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for line in report.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t').map(str::trim);
        let share = fields.next().and_then(|share| share.strip_suffix('%')?.trim().parse::<f64>().ok());
        let (Some(share), Some(library), Some(symbol)) = (share, fields.next(), fields.next()) else { continue };
        let in_kernel = symbol.starts_with("[k]") || library.starts_with("[kernel");
        let symbol = symbol.trim_start_matches("[k]").trim_start_matches("[.]").trim();
        let name = if in_kernel { kernel_stage(symbol) } else { stage(library, symbol) };
        let entry = (symbol.chars().take(100).collect(), share / 100.0);
        match stages.iter_mut().find(|stage| stage.name == name) {
            Some(stage) => {
                stage.share += share / 100.0;
                stage.symbols.push(entry);
            }
            None => stages.push(Stage { name, share: share / 100.0, symbols: vec![entry] }),
        }
    }
    stages.sort_by(|a, b| b.share.total_cmp(&a.share));
    for stage in &mut stages {
        stage.symbols.sort_by(|a, b| b.1.total_cmp(&a.1));
        stage.symbols.truncate(12);
    }
    stages
}

fn kernel_stage(symbol: &str) -> &'static str {
    let has = |parts: &[&str]| parts.iter().any(|part| symbol.contains(part));
    if has(&KERNEL_RECEIVE) {
        "kernel: receiving"
    } else if has(&KERNEL_SEND) {
        "kernel: sending, through loopback to the receiver's socket"
    } else {
        "kernel: other"
    }
}

fn stage(library: &str, symbol: &str) -> &'static str {
    let fits = |parts: &[&str]| parts.iter().any(|part| symbol.contains(part) || library.contains(part));
    STAGES.iter().find(|(_, parts)| fits(parts)).map_or("other", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_becomes_stages() {
        let report = "# Overhead\n\
            \x20   20.00%\tchroom-bench-sfu\t[.] aes_gcm_enc_update_vaes_avx512\n\
            \x20   10.50%\t[kernel.kallsyms]\t[k] udp_sendmsg\n\
            \x20    5.00%\tchroom-bench-sfu\t[.] chroom_media_node::sfu::router::forwarding::packet\n\
            \x20    2.00%\tlibc.so.6\t[.] malloc\n\
            \x20    1.00%\tlibc.so.6\t[.] cfree\n\
            \x20    0.50%\t[kernel.kallsyms]\t[k] finish_task_switch\n";
        let stages = stages(report);
        let share = |name: &str| stages.iter().find(|stage| stage.name.starts_with(name)).map(|stage| stage.share);
        assert_eq!(share("encryption"), Some(0.2));
        assert_eq!(share("kernel: sending"), Some(0.105));
        assert_eq!(share("routing"), Some(0.05));
        assert!((share("memory").unwrap() - 0.03).abs() < 1e-9);
        assert_eq!(share("kernel: other"), Some(0.005));
        assert_eq!(stages[0].name, "encryption and decryption");
    }
}
