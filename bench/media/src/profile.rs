//! Where a server's CPU time goes: `perf` samples its stacks by the clock, and samples are gathered into stages.

use std::{
    collections::HashMap,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// Samples a second: not a divisor of anything else that is periodic.
const FREQUENCY: &str = "1999";
/// Symbols that are kept per stage.
const SYMBOLS: usize = 12;

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

/// The kernel's stages, by parts of the system call's name.
const CALLS: [(&str, &[&str]); 3] = [
    ("kernel: sending, up to the receiver's socket", &["sys_send"]),
    ("kernel: receiving", &["sys_recv"]),
    ("kernel: waiting, waking", &["sys_epoll", "sys_poll", "sys_futex", "nanosleep", "sys_write", "sys_read"]),
];
/// The program's stages, by parts of the names of symbols and libraries; the first that fits.
const STAGES: [(&str, &[&str]); 9] = [
    (
        "encryption and decryption",
        &[
            "gcm", "aes", "ghash", "skip_iv", "srtp", "Srtp", "aead", "EVP_", "sha1", "crypto", "CRYPTO", "OPENSSL",
            "aws_lc",
        ],
    ),
    ("routing, rewriting", &["sfu::router", "sfu::rewrite", "sfu::codec", "sfu::layer", "sfu::meter", "videoroom"]),
    ("socket, batching", &["sfu::socket", "quinn_udp", "sendmsg", "recvmsg", "recvmmsg", "libgio"]),
    ("congestion control, feedback", &["bwe", "twcc", "Twcc", "remb", "pacer", "estimat", "trendline"]),
    ("resends: cache, NACK", &["rtx", "nack", "Nack", "evict"]),
    ("memory: allocation, copying", &["alloc", "free", "mem", "g_slice", "drop_in_place", "Vec<T", "VecDeque"]),
    ("ICE, DTLS, STUN", &["ice", "stun", "dtls", "dimpl", "is::", "agent"]),
    ("RTP, RTCP, streams", &["rtp", "rtcp", "streams", "str0m", "packet", "sfu::engine"]),
    (
        "event loop, timers, locks",
        &["sfu::shard", "mio", "poll", "g_main", "hash", "Heap", "mutex", "glib", "clock", "time", "Instant"],
    ),
];

/// Samples a process for a while.
pub fn profile(pid: u32, time: Duration, folder: &Path) -> Result<Vec<Stage>, ProfileError> {
    let data = folder.join("perf.data");
    let failed = |error: std::io::Error| ProfileError::Perf(error.to_string());
    // Without hardware counters, as in virtual machines, the CPU's clock does.
    let recorded = Command::new("perf")
        .args(["record", "--quiet", "-g", "-e", "cpu-clock", "-F", FREQUENCY, "-p", &pid.to_string(), "-o"])
        .arg(&data)
        .args(["--", "sleep", &time.as_secs_f64().to_string()])
        .stdout(Stdio::null())
        .output()
        .map_err(failed)?;
    if !recorded.status.success() {
        return Err(ProfileError::Perf(String::from_utf8_lossy(&recorded.stderr).trim().to_owned()));
    }
    let script =
        Command::new("perf").args(["script", "-F", "ip,sym,dso", "-i"]).arg(&data).stderr(Stdio::null()).output();
    Ok(stages(&String::from_utf8_lossy(&script.map_err(failed)?.stdout)))
}

/// Gathers samples: blocks of lines, each line a frame (address, symbol, library in parentheses), the innermost first.
fn stages(script: &str) -> Vec<Stage> {
    let mut counts: HashMap<&'static str, HashMap<&str, u64>> = HashMap::new();
    let mut total = 0u64;
    let mut stack: Vec<(&str, &str)> = Vec::new();
    for line in script.lines().chain([""]) {
        match frame(line) {
            Some(frame) => stack.push(frame),
            None => {
                if let Some((symbol, _)) = stack.first() {
                    *counts.entry(stage(&stack)).or_default().entry(symbol).or_default() += 1;
                    total += 1;
                }
                stack.clear();
            }
        }
    }
    let share = |count: u64| count as f64 / total.max(1) as f64;
    let mut stages: Vec<Stage> = counts
        .into_iter()
        .map(|(name, symbols)| {
            let all = symbols.values().sum();
            let named = symbols.into_iter().map(|(symbol, count)| (symbol.chars().take(100).collect(), share(count)));
            let mut symbols: Vec<(String, f64)> = named.collect();
            symbols.sort_by(|a, b| b.1.total_cmp(&a.1));
            symbols.truncate(SYMBOLS);
            Stage { name, share: share(all), symbols }
        })
        .collect();
    stages.sort_by(|a, b| b.share.total_cmp(&a.share));
    stages
}

/// Symbol and library of a frame.
fn frame(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.trim().split_once(' ')?;
    let (symbol, library) = rest.rsplit_once(" (")?;
    Some((symbol, library.trim_end_matches(')')))
}

fn stage(stack: &[(&str, &str)]) -> &'static str {
    let Some((symbol, library)) = stack.first() else { return "other" };
    if library.starts_with("[kernel") || library.starts_with("[guest.kernel") {
        let call = stack.iter().find(|(symbol, _)| symbol.contains("sys_") && !symbol.starts_with("___sys"));
        let of =
            |(_, parts): &&(&str, &[&str])| call.is_some_and(|(name, _)| parts.iter().any(|part| name.contains(part)));
        return CALLS.iter().find(of).map_or("kernel: interrupts, scheduling", |(name, _)| name);
    }
    let fits = |(_, parts): &&(&str, &[&str])| parts.iter().any(|part| symbol.contains(part) || library.contains(part));
    STAGES.iter().find(fits).map_or("other", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_stages() {
        let script = "
\tffffffff81 udp_queue_rcv_one_skb ([kernel.kallsyms])
\tffffffff82 ip_output ([kernel.kallsyms])
\tffffffff83 __x64_sys_sendmsg ([kernel.kallsyms])
\t        4b __libc_sendmsg (/usr/lib/libc.so.6)

\t  5555 chroom_media_node::sfu::router::forwarding::packet (/opt/chroom-bench-sfu)

\tffffffff84 finish_task_switch ([kernel.kallsyms])
\tffffffff85 __x64_sys_epoll_wait ([kernel.kallsyms])

\t  5556 aws_lc_0_47_0_aes_gcm_encrypt_avx512 (/opt/chroom-bench-sfu)
\t  5557 str0m::streams::send::StreamTx::poll_packet (/opt/chroom-bench-sfu)

\tffffffff86 asm_sysvec_apic_timer_interrupt ([kernel.kallsyms])
\t  5558 str0m::streams::send::StreamTx::poll_packet (/opt/chroom-bench-sfu)
";
        let stages = stages(script);
        let share =
            |name: &str| stages.iter().find(|stage| stage.name.starts_with(name)).map_or(0.0, |stage| stage.share);
        for name in ["kernel: sending", "routing", "kernel: waiting", "encryption", "kernel: interrupts"] {
            assert!((share(name) - 0.2).abs() < 1e-9, "{name}: {stages:?}");
        }
        assert_eq!(stages.len(), 5);
    }
}
