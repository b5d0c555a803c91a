//! Joins in their turn, so that a crowd of them neither stops the media of those who are there nor itself.
//!
//! An offer's answer is what lets a client begin with ICE and DTLS. If a thousand are answered at once, as when another node has died, their checks and
//! handshakes come at once, take the thread for seconds, are repeated by clients that hear nothing in time, and take it for longer. So answers are
//! given at the pace at which joins can be carried through: each is taken to cost what joins cost of late, and all together may have the
//! share of the time that media leaves. The pace is kept by the generic cell rate algorithm (ITU-T I.371, virtual scheduling).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Joins that wait for as long are refused: orchestrators wait for 10 s.
pub const MOST_WAIT: Duration = Duration::from_secs(8);
/// Most joins that wait.
const MOST_WAITING: usize = 4_096;
/// What a join is taken to cost before any was measured, and what it may be taken for at least and at most.
const FIRST_COST: Duration = Duration::from_millis(3);
const LEAST_COST: Duration = Duration::from_micros(100);
const MOST_COST: Duration = Duration::from_millis(50);
/// Joins are taken to cost the mean of about as many.
const MEMORY: u32 = 16;
/// What of the time is left alone, and what joins may have at least, as shares.
const SPARE: f64 = 0.2;
const LEAST_SHARE: f64 = 0.2;
/// Work of joins that may be let in at once.
const BURST: Duration = Duration::from_millis(40);

/// So many wait that another one would wait for too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many are joining at this moment: another one would wait for more than {} s; try again in a moment, or on another node", MOST_WAIT.as_secs())]
pub struct Crowded;

/// Lets joins in one after the other.
#[derive(Debug)]
pub struct Turnstile<T> {
    waiting: VecDeque<(Instant, T)>,
    /// When the work of all that were let in will be done, at the present pace: the theoretical arrival time.
    done: Instant,
    /// What a join costs.
    cost: Duration,
    /// Share of the time that joins may have.
    share: f64,
    /// When the share was set last, and what joins cost since then.
    set: Instant,
    spent: Duration,
}

impl<T> Turnstile<T> {
    /// Nobody waits.
    pub fn new(now: Instant) -> Self {
        let (share, spent) = (1.0 - SPARE, Duration::ZERO);
        Self { waiting: VecDeque::new(), done: now, cost: FIRST_COST, share, set: now, spent }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The time between two joins.
    fn interval(&self) -> Duration {
        self.cost.div_f64(self.share)
    }

    /// One more comes. If it would wait for too long, it is given back.
    pub fn push(&mut self, now: Instant, join: T) -> Result<(), T> {
        let before = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        if self.waiting.len() >= MOST_WAITING || self.interval().saturating_mul(before) > MOST_WAIT {
            return Err(join);
        }
        self.waiting.push_back((now, join));
        Ok(())
    }

    /// The next one whose turn it is, leaving out those that nobody waits for any more. `Err`: one that waited for too long, as joins cost more
    /// than they did when it came.
    pub fn pop(&mut self, now: Instant, is_awaited: impl Fn(&T) -> bool) -> Option<Result<T, T>> {
        while self.waiting.front().is_some_and(|(_, join)| !is_awaited(join)) {
            self.waiting.pop_front();
        }
        let (since, _) = self.waiting.front()?;
        if now.saturating_duration_since(*since) > MOST_WAIT {
            return self.waiting.pop_front().map(|(_, join)| Err(join));
        }
        if self.next().is_some_and(|at| at > now) {
            return None;
        }
        self.done = self.done.max(now) + self.interval();
        self.waiting.pop_front().map(|(_, join)| Ok(join))
    }

    /// When to ask again; `None`: nobody waits.
    pub fn next(&self) -> Option<Instant> {
        let burst = BURST.div_f64(self.share);
        self.waiting.front().map(|(since, _)| self.done.checked_sub(burst).unwrap_or(*since))
    }

    /// Joins took some of the thread's time.
    pub fn spend(&mut self, time: Duration) {
        self.spent += time;
    }

    /// One that was let in is up, and cost this much in all.
    pub fn up(&mut self, cost: Duration) {
        let cost = cost.clamp(LEAST_COST, MOST_COST);
        self.cost = (self.cost * (MEMORY - 1) + cost) / MEMORY;
    }

    /// The thread was busy, with joins too, for this share of the time since this was last said.
    pub fn busy(&mut self, now: Instant, busy: f64) {
        let passed = now.saturating_duration_since(self.set).as_secs_f64().max(1e-3);
        let joins = self.spent.as_secs_f64() / passed;
        (self.set, self.spent) = (now, Duration::ZERO);
        let others = (busy - joins).max(0.0);
        self.share = (1.0 - SPARE - others).max(LEAST_SHARE);
    }
}

#[cfg(test)]
mod tests;
