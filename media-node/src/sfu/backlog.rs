//! Messages that wait until a receiver's reliable channel takes them.

use super::limits;
use std::{collections::VecDeque, sync::Arc};

/// The receiver is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {max} bytes wait for the receiver", max = limits::MAX_BACKLOG)]
pub struct Full;

/// A bounded queue of messages, in order.
#[derive(Debug, Default)]
pub struct Backlog {
    waiting: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

impl Backlog {
    /// Sends a message after all that wait, by `send`, which says whether the channel took it. What it doesn't take waits.
    pub fn offer(&mut self, message: &Arc<[u8]>, mut send: impl FnMut(&[u8]) -> bool) -> Result<(), Full> {
        self.drain(&mut send);
        if self.waiting.is_empty() && send(message) {
            return Ok(());
        }
        if self.bytes + message.len() > limits::MAX_BACKLOG {
            return Err(Full);
        }
        self.bytes += message.len();
        self.waiting.push_back(message.clone());
        Ok(())
    }

    /// Sends what waits, as far as the channel takes it.
    pub fn drain(&mut self, mut send: impl FnMut(&[u8]) -> bool) {
        while let Some(message) = self.waiting.front() {
            if !send(message) {
                return;
            }
            self.bytes -= message.len();
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_the_bound_holds() {
        let message = |n: u8| -> Arc<[u8]> { vec![n; 300 * 1024].into() };
        let mut backlog = Backlog::default();
        let mut got = Vec::new();
        backlog
            .offer(&message(1), |m| {
                got.push(m[0]);
                true
            })
            .unwrap();
        for n in 2..5 {
            backlog.offer(&message(n), |_| false).unwrap();
        }
        assert_eq!(backlog.offer(&message(5), |_| false), Err(Full));
        backlog.drain(|m| {
            got.push(m[0]);
            true
        });
        backlog
            .offer(&message(6), |m| {
                got.push(m[0]);
                true
            })
            .unwrap();
        assert_eq!(got, [1, 2, 3, 4, 6]);
    }
}
