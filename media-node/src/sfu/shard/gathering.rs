//! When what came in has to leave.
//!
//! The more is taken in before anything leaves, the larger the batches, and the longer the first of it waits. A frame's packets follow each other, and those of
//! a frame for one client leave with one send, of which each costs as much as sealing ten packets. So nothing leaves in between: a frame that is
//! cut takes twice as many sends, and turns end most often where there is most to do.

use std::net::SocketAddr;

/// Packets that wait for clients before they leave, as long as more come in: what takes about two milliseconds to send.
const UNSENT: usize = 1_000;
/// The same while a client's packets follow each other: a large key frame must not make all others wait.
const MOST_UNSENT: usize = 2 * UNSENT;
/// Datagrams that are taken in before anything leaves, as long as more are there.
const FRAME: usize = 16;

/// What a turn has taken in so far.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    taken: usize,
    last: Option<SocketAddr>,
}

impl Gathering {
    /// A datagram of `source` is taken in next, and `waiting` packets wait for clients. Whether they have to leave before.
    pub fn next(&mut self, source: SocketAddr, waiting: usize) -> bool {
        let follows = self.last.replace(source) == Some(source);
        let is_over = self.taken >= FRAME && (waiting >= MOST_UNSENT || waiting >= UNSENT && !follows);
        self.taken = if is_over { 1 } else { self.taken + 1 };
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where batches end if so many datagrams of each source come, each for so many receivers: how many datagrams are in each.
    fn batches(sources: impl IntoIterator<Item = usize>, receivers: usize) -> Vec<usize> {
        let (mut gathering, mut batches, mut waiting) = (Gathering::default(), vec![0], 0);
        for (port, count) in (1u16..).zip(sources) {
            for _ in 0..count {
                if gathering.next(SocketAddr::from(([127, 0, 0, 1], port)), waiting) {
                    batches.push(0);
                    waiting = 0;
                }
                waiting += receivers;
                *batches.last_mut().unwrap() += 1;
            }
        }
        batches
    }

    #[test]
    fn frames_leave_whole() {
        // 40 are enough: those of the fourth frame's that came by then would leave without the rest.
        assert_eq!(batches([9, 11, 8, 15, 10, 10, 10, 10], 25), [43, 40]);
        assert_eq!(batches([30, 30], 25), [60], "the first alone isn't enough to leave");
        assert_eq!(batches([45, 5], 25), [45, 5]);
    }

    #[test]
    fn a_large_frame_lets_others_go_on() {
        assert_eq!(batches([250, 10], 25), [80, 80, 80, 20]);
    }

    #[test]
    fn a_frame_for_hundreds_leaves_with_what_came_with_it() {
        assert_eq!(batches([10, 10], 300), [16, 4]);
        assert_eq!(batches([4, 4, 4, 4, 4], 100), [16, 4]);
    }

    #[test]
    fn what_nobody_receives_makes_nothing_leave() {
        assert_eq!(batches(vec![1; 1_000], 0), [1_000]);
    }
}
