//! CPU use of this process, from procfs.

use std::time::{Duration, Instant};

/// Clock ticks per second in /proc, fixed at 100 for user space on Linux (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// User and system time in /proc/self/stat, in ticks (fields 14 and 15 of proc_pid_stat(5)).
pub fn ticks(stat: &str) -> Option<u64> {
    // The second field is the command in parentheses and may hold anything, so counting begins after its end.
    let rest = stat.rsplit_once(')')?.1;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Share of the machine, in parts per 10,000, that so many ticks in so much time are on `cores`.
pub fn share(ticks: u64, passed: Duration, cores: usize) -> u16 {
    let capacity = passed.as_secs_f64() * TICKS_PER_SECOND as f64 * cores.max(1) as f64;
    if capacity <= 0.0 { 0 } else { ((ticks as f64 / capacity * 10_000.0).round() as u64).min(10_000) as u16 }
}

/// Measures between calls.
#[derive(Debug)]
pub struct Cpu {
    cores: usize,
    last: Option<(Instant, u64)>,
}

impl Default for Cpu {
    fn default() -> Self {
        Self { cores: std::thread::available_parallelism().map_or(1, usize::from), last: None }
    }
}

impl Cpu {
    /// The share since the last call; 0 the first time, or where there is no procfs.
    pub fn measure(&mut self, now: Instant) -> u16 {
        let Some(ticks) = std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| ticks(&stat)) else {
            return 0;
        };
        let last = self.last.replace((now, ticks));
        last.map_or(0, |(then, before)| {
            share(ticks.saturating_sub(before), now.saturating_duration_since(then), self.cores)
        })
    }
}

/// Measures the calling thread, once a second at most.
#[derive(Debug, Default)]
pub struct ThreadCpu {
    last: Option<(Instant, u64)>,
}

impl ThreadCpu {
    /// The thread's share of a core since the last measurement, in parts per 10,000, when a second has passed. CPU time, not the time
    /// that passed: on a machine that is busy with other things the thread isn't at its end.
    pub fn measure(&mut self, now: Instant) -> Option<u16> {
        if self.last.is_some_and(|(then, _)| now.saturating_duration_since(then) < Duration::from_secs(1)) {
            return None;
        }
        let ticks = ticks(&std::fs::read_to_string("/proc/thread-self/stat").ok()?)?;
        let (then, before) = self.last.replace((now, ticks))?;
        Some(share(ticks.saturating_sub(before), now.saturating_duration_since(then), 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "42 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1";
        assert_eq!(ticks(stat), Some(200));
        assert_eq!(ticks("42 (x"), None);
        assert_eq!(share(200, Duration::from_secs(2), 2), 5_000);
        assert_eq!(share(900, Duration::from_secs(1), 1), 10_000);
        assert_eq!(share(1, Duration::ZERO, 1), 0);
    }

    #[test]
    fn a_thread_that_computes_uses_cpu_time() {
        let start = Instant::now();
        let mut cpu = ThreadCpu::default();
        assert_eq!(cpu.measure(start), None);
        let mut sum = 0u64;
        let ticks = || ticks(&std::fs::read_to_string("/proc/thread-self/stat").unwrap()).unwrap();
        let first = ticks();
        while ticks() < first + 3 {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        // 30 ms of CPU time, said to be within a second.
        assert!(cpu.measure(start + Duration::from_secs(1)).unwrap() >= 300);
        assert_eq!(cpu.measure(start + Duration::from_millis(1_500)), None);
    }
}
