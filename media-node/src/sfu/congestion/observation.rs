//! How much of what was sent got lost, in windows long enough to say something.

use super::{history::Verdict, rate::Rate};
use std::time::{Duration, Instant};

/// A window is at least so long, and has at least so many packets …
const SHORTEST: Duration = Duration::from_millis(300);
const FEWEST: u32 = 30;
/// … or has been open for so long.
const LONGEST: Duration = Duration::from_secs(2);

/// What is taken to get through of what is sent at least.
const LEAST_DELIVERED: f64 = 0.2;

/// One window.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Observation {
    /// When its first packet left.
    pub began: Instant,
    /// The rate of what was sent.
    pub sent: Rate,
    /// The share of packets that were lost.
    pub loss: f64,
    /// How many packets were sent.
    pub packets: u32,
}

impl Observation {
    /// The rate of what got through. A window that a queue overflowed in may have lost everything: that says that far too much was sent, but not
    /// that nothing passes.
    pub fn delivered(&self) -> Rate {
        self.sent.scaled((1.0 - self.loss).max(LEAST_DELIVERED))
    }
}

/// Gathers packets' verdicts into windows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    span: Option<(Instant, Instant)>,
    packets: u32,
    lost: u32,
    bytes: u64,
}

impl Window {
    /// A packet's verdict, in the order of sending. Gives the window that it ends; the packet itself belongs to the next one.
    pub fn on_verdict(&mut self, verdict: &Verdict) -> Option<Observation> {
        let (sent, lost) = match verdict {
            Verdict::Arrived(sent) => (sent, false),
            Verdict::Lost(sent) => (sent, true),
            Verdict::Late(_) => {
                // Not lost, but perhaps of a window that is over.
                self.lost = self.lost.saturating_sub(1);
                return None;
            }
        };
        let finished = self.finish(sent.at);
        let span = self.span.get_or_insert((sent.at, sent.at));
        span.1 = span.1.max(sent.at);
        self.packets += 1;
        self.lost += u32::from(lost);
        self.bytes += u64::from(sent.size);
        finished
    }

    fn finish(&mut self, next: Instant) -> Option<Observation> {
        let (began, _) = self.span?;
        let length = next.saturating_duration_since(began);
        if length < SHORTEST || (self.packets < FEWEST && length < LONGEST) {
            return None;
        }
        let window = std::mem::take(self);
        Some(Observation {
            began,
            sent: Rate::of(window.bytes, length)?,
            loss: f64::from(window.lost) / f64::from(window.packets.max(1)),
            packets: window.packets,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::Sent, *};

    #[test]
    fn a_window_says_what_was_sent_and_lost() {
        let start = Instant::now();
        let mut window = Window::default();
        let found: Vec<Observation> = (0..101u64)
            .filter_map(|n| {
                let sent = Sent { at: start + Duration::from_millis(n * 10), size: 1_250, cluster: None };
                window.on_verdict(&if n % 10 == 0 { Verdict::Lost(sent) } else { Verdict::Arrived(sent) })
            })
            .collect();
        let expected = Observation { began: start, sent: Rate::kbps(1_000), loss: 0.1, packets: 30 };
        assert_eq!((found.len(), found[0]), (3, expected));
        assert_eq!(expected.delivered(), Rate::kbps(900));
    }

    #[test]
    fn a_window_that_lost_everything_does_not_say_that_nothing_passes() {
        let seen = |loss| Observation { began: Instant::now(), sent: Rate::kbps(2_000), loss, packets: 50 };
        assert_eq!(seen(0.75).delivered(), Rate::kbps(500));
        assert_eq!(seen(1.0).delivered(), Rate::kbps(400));
    }

    #[test]
    fn few_packets_make_a_window_in_the_end() {
        let start = Instant::now();
        let mut window = Window::default();
        let found = (0..5u64).find_map(|n| {
            window.on_verdict(&Verdict::Arrived(Sent { at: start + Duration::from_secs(n), size: 100, cluster: None }))
        });
        assert_eq!(found.map(|found| found.packets), Some(2));
    }
}
