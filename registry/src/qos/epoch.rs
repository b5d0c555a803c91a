//! When epochs begin, end and are closed.

use chroom_primitives::{QosEpoch, UnixMs, epoch::EpochInfo};
use std::collections::BTreeMap;

/// Receipts for an epoch are taken until this long after its end, in milliseconds; then it is closed.
pub const GRACE_MS: u64 = 10_000;
/// Block time that the chain aims at, in milliseconds.
const BLOCK_MS: u64 = 6_000;
/// Most epochs whose beginnings are remembered.
const REMEMBER: usize = 256;

/// Beginnings of epochs, as the chain's timestamps give them.
#[derive(Clone, Debug, Default)]
pub struct EpochTimes {
    starts: BTreeMap<QosEpoch, UnixMs>,
    current: Option<EpochInfo>,
    block: u32,
}

/// Why no receipt of this time can be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TimeRefusal {
    /// The chain is not followed yet.
    #[error("this registry does not follow the chain yet; try again in a few seconds")]
    Starting,
    /// The epoch is closed.
    #[error("the epoch in which the interval ended is closed: receipts are taken until 10 s after its end")]
    Closed,
}

/// What the attestor has to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing until the chain moves.
    Idle,
    /// Wait until this Unix time in milliseconds.
    WaitUntil(UnixMs),
    /// Close the epoch, which covered `from..to`.
    Close {
        /// The epoch that ended.
        epoch: QosEpoch,
        /// When the next one began.
        to: UnixMs,
    },
    /// Send the root of the closed epoch.
    Submit(QosEpoch),
    /// The window for the closed epoch's root has passed.
    Missed(QosEpoch),
}

/// How far the work on the epoch that ended last has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Not closed.
    Open,
    /// Leaves are on disk.
    Closed,
    /// The chain has the root, or it is too late for it.
    Done,
}

impl EpochTimes {
    /// Takes in what the chain says at `block`.
    pub fn observe(&mut self, block: u32, info: EpochInfo) {
        if self.current.as_ref().is_some_and(|c| c.current > info.current) || block < self.block {
            return;
        }
        self.block = block;
        self.starts.insert(info.current, info.started_ms);
        while self.starts.len() > REMEMBER {
            self.starts.pop_first();
        }
        self.current = Some(info);
    }

    /// Notes the beginning of an earlier epoch.
    pub fn learn(&mut self, epoch: QosEpoch, start: UnixMs) {
        self.starts.insert(epoch, start);
    }

    /// The epoch that the chain is in.
    pub fn current(&self) -> Option<&EpochInfo> {
        self.current.as_ref()
    }

    /// Beginning of an epoch, if it is known.
    pub fn start(&self, epoch: QosEpoch) -> Option<UnixMs> {
        self.starts.get(&epoch).copied()
    }

    /// The epoch in which a time lies, as far as the chain is known here: the newest one also stands for what comes after it.
    pub fn epoch_of(&self, at: UnixMs) -> Option<QosEpoch> {
        self.starts.iter().rev().find(|(_, start)| **start <= at).map(|(epoch, _)| *epoch)
    }

    /// Whether a time may already belong to an epoch that this node has not seen begin: the current one ends about then.
    pub fn may_be_next(&self, at: UnixMs) -> bool {
        self.current.as_ref().is_some_and(|info| {
            let length = u64::from(info.length) * BLOCK_MS;
            at >= info.started_ms.saturating_add(length * 3 / 4)
        })
    }

    /// Whether a receipt whose interval ended at `to` can be taken at `now`.
    pub fn admits(&self, to: UnixMs, now: UnixMs) -> Result<(), TimeRefusal> {
        let info = self.current.as_ref().ok_or(TimeRefusal::Starting)?;
        let open_from = if now <= info.started_ms.saturating_add(GRACE_MS) {
            // Without a known beginning of the epoch before, its usual length says what is too old.
            let before = info.current.previous().and_then(|e| self.start(e));
            before.unwrap_or_else(|| info.started_ms.saturating_sub(u64::from(info.length) * BLOCK_MS))
        } else {
            info.started_ms
        };
        if to < open_from { Err(TimeRefusal::Closed) } else { Ok(()) }
    }

    /// First block in which no more roots are taken for the epoch that ended last.
    pub fn closes_at(&self) -> Option<u32> {
        self.current.as_ref().map(|info| info.started_at.saturating_add(info.submit_window))
    }

    /// Whether no more roots are taken for `epoch`, as far as the chain is known here: from then on its leaves are shown. Before,
    /// whoever saw them could send them as its own.
    pub fn roots_are_in(&self, epoch: QosEpoch) -> bool {
        let Some(info) = &self.current else { return false };
        match info.current.0.checked_sub(epoch.0) {
            None | Some(0) => false,
            Some(1) => self.closes_at().is_some_and(|block| self.block >= block),
            Some(_) => true,
        }
    }

    /// What is to be done about the epoch that ended last.
    pub fn step(&self, progress: Progress, now: UnixMs) -> Step {
        let Some(info) = &self.current else { return Step::Idle };
        let Some(ended) = info.current.previous() else { return Step::Idle };
        match progress {
            Progress::Done => Step::Idle,
            Progress::Open => {
                let ready = info.started_ms.saturating_add(GRACE_MS);
                if now < ready { Step::WaitUntil(ready) } else { Step::Close { epoch: ended, to: info.started_ms } }
            }
            Progress::Closed => {
                if self.closes_at().is_some_and(|block| self.block >= block) {
                    Step::Missed(ended)
                } else {
                    Step::Submit(ended)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(epoch: u32, started_ms: u64) -> EpochInfo {
        EpochInfo {
            current: QosEpoch(epoch),
            started_at: epoch * 8 + 1,
            started_ms,
            length: 8,
            submit_window: 4,
            committee_size: 3,
        }
    }

    #[test]
    fn an_epoch_is_closed_ten_seconds_after_its_end_and_sent_within_the_window() {
        let mut times = EpochTimes::default();
        assert_eq!(times.step(Progress::Open, 0), Step::Idle);
        times.observe(1, info(0, 100_000));
        assert_eq!(times.step(Progress::Open, 120_000), Step::Idle);
        times.observe(9, info(1, 148_000));
        assert_eq!(times.step(Progress::Open, 150_000), Step::WaitUntil(158_000));
        assert_eq!(times.step(Progress::Open, 158_000), Step::Close { epoch: QosEpoch(0), to: 148_000 });
        assert_eq!(times.step(Progress::Closed, 159_000), Step::Submit(QosEpoch(0)));
        times.observe(13, info(1, 148_000));
        assert_eq!(times.step(Progress::Closed, 170_000), Step::Missed(QosEpoch(0)));
        assert_eq!(times.step(Progress::Done, 170_000), Step::Idle);
    }

    #[test]
    fn leaves_are_shown_when_no_more_roots_are_taken() {
        let mut times = EpochTimes::default();
        assert!(!times.roots_are_in(QosEpoch(0)));
        times.observe(9, info(1, 148_000));
        assert!(!times.roots_are_in(QosEpoch(0)) && !times.roots_are_in(QosEpoch(1)));
        times.observe(12, info(1, 148_000));
        assert!(!times.roots_are_in(QosEpoch(0)));
        times.observe(13, info(1, 148_000));
        assert!(times.roots_are_in(QosEpoch(0)) && !times.roots_are_in(QosEpoch(1)));
        times.observe(17, info(2, 196_000));
        assert!(times.roots_are_in(QosEpoch(0)) && !times.roots_are_in(QosEpoch(1)));
    }

    #[test]
    fn receipts_are_taken_for_open_epochs_only() {
        let mut times = EpochTimes::default();
        assert_eq!(times.admits(1, 1), Err(TimeRefusal::Starting));
        times.observe(1, info(0, 100_000));
        times.observe(9, info(1, 148_000));
        assert_eq!(times.admits(147_999, 157_000), Ok(()));
        assert_eq!(times.admits(147_999, 158_001), Err(TimeRefusal::Closed));
        assert_eq!(times.admits(99_999, 150_000), Err(TimeRefusal::Closed));
        assert_eq!(times.admits(148_000, 190_000), Ok(()));
        assert_eq!(times.epoch_of(147_999), Some(QosEpoch(0)));
        assert_eq!(times.epoch_of(148_000), Some(QosEpoch(1)));
        assert_eq!(times.epoch_of(99_999), None);
        assert!(!times.may_be_next(149_000) && times.may_be_next(195_000));
    }
}
