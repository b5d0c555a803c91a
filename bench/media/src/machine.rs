//! What Linux says of processes, cores and sockets.

use std::{collections::BTreeMap, fs, time::Duration};

/// The kernel's unit of CPU times in /proc, fixed for user space at 100 a second.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of a process, all threads, from its beginning on; `None` if it is gone.
pub fn process_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u32 = fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?;
    Some(TICK * ticks)
}

/// Memory of a process that is in RAM, in bytes.
pub fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

/// Entries of a folder of a process in /proc: its descriptors (`fd`) or threads (`task`).
pub fn entries(pid: u32, folder: &str) -> usize {
    fs::read_dir(format!("/proc/{pid}/{folder}")).map_or(0, Iterator::count)
}

/// How long a core did anything at all, kernel and interrupts included.
pub fn core_time(core: usize) -> Option<Duration> {
    let times = core_times(core)?;
    // user nice system idle iowait irq softirq steal: what is stolen, something else did.
    let busy = times.iter().enumerate().filter(|(at, _)| ![3, 4].contains(at)).take(5).map(|(_, ticks)| ticks).sum();
    Some(TICK * busy)
}

/// How long a virtual core stood still because its host did something else.
pub fn stolen(core: usize) -> Option<Duration> {
    core_times(core)?.get(7).map(|ticks| TICK * *ticks)
}

fn core_times(core: usize) -> Option<Vec<u32>> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let name = format!("cpu{core} ");
    Some(stat.lines().find_map(|line| line.strip_prefix(&name))?.split_whitespace().flat_map(str::parse).collect())
}

/// Datagrams that the kernel dropped at UDP sockets of this machine, by port: their buffers were full.
pub fn drops() -> BTreeMap<u16, u64> {
    let mut all = BTreeMap::new();
    for table in ["/proc/net/udp", "/proc/net/udp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let port = fields.get(1).and_then(|address| u16::from_str_radix(address.rsplit(':').next()?, 16).ok());
            let drops = fields.last().and_then(|drops| drops.parse::<u64>().ok());
            if let Some((port, drops)) = port.zip(drops) {
                *all.entry(port).or_insert(0) += drops;
            }
        }
    }
    all
}

/// The load average of the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

/// The processor's model.
pub fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split(": ").nth(1)).unwrap_or(std::env::consts::ARCH).to_owned()
}

/// The kernel's release.
pub fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn this_process_is_measured() {
        let pid = std::process::id();
        let before = process_time(pid).unwrap();
        let mut sum = 0u64;
        while process_time(pid).unwrap() < before + TICK {
            sum = std::hint::black_box(sum.wrapping_mul(3).wrapping_add(1));
        }
        assert!(resident(pid).unwrap() > 1 << 20);
        assert_eq!(process_time(u32::MAX), None);
        assert!((0..64).any(|core| core_time(core).is_some_and(|time| time > Duration::ZERO)));
        assert_eq!(core_time(100_000), None);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(drops().get(&socket.local_addr().unwrap().port()), Some(&0));
    }
}
