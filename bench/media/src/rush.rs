//! A crowd at the door: many join at the same moment, as when another media node has died, while calls go on.
//!
//! The calls are rooms of one publisher and 25 receivers of its video. Who comes publishes a voice and keeps silent, so that what is measured is joining
//! and nothing else. Nobody tries twice.

use crate::{
    client::{News, publication::Content},
    generator::{Generator, Gone},
    lab::quantile,
    model::audio::Audio,
    rising::{Rising, Silent},
    scenario::Cast,
    sfu::{
        Sfu, SfuError,
        chroom::Chroom,
        participant::{Participant, Staff, Track},
    },
};
use std::time::{Duration, Instant};

/// Members of a room that the crowd comes into.
const MEMBERS: u32 = 20;
/// Rooms and participants of the crowd have numbers from here on.
const CROWD: u32 = 100_000;
/// How long the calls are watched before and after, and settle before that.
const CALM: Duration = Duration::from_secs(3);
const SETTLE: Duration = Duration::from_secs(3);
/// Connections that come up at once where there is no hurry.
const IN_FLIGHT: usize = 16;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// It can't go on.
#[derive(Debug, thiserror::Error)]
pub enum RushError {
    /// The server.
    #[error(transparent)]
    Sfu(#[from] SfuError),
    /// The generator.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// Nothing is heard of clients.
    #[error(transparent)]
    Silent(#[from] Silent),
}

/// What the calls noticed.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize)]
pub struct Calls {
    /// How long they were watched.
    pub seconds: f64,
    /// Packets that came, each second.
    pub packets: f64,
    /// Share of those that were due and didn't come.
    pub loss: f64,
    /// Median of the delay.
    pub p50_ms: f64,
    /// Its 99th percentile.
    pub p99_ms: f64,
    /// The longest.
    pub longest_ms: f64,
}

/// How it went.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Outcome {
    /// Who came.
    pub clients: u32,
    /// Who got in.
    pub up: u32,
    /// Who was told that there is no getting in.
    pub refused: u32,
    /// Who was let in and didn't come up.
    pub failed: u32,
    /// Seconds until the first was up, half of those who got in, 99 of 100, all.
    pub first: f64,
    /// See above.
    pub half: f64,
    /// See above.
    pub most: f64,
    /// See above.
    pub last: f64,
    /// The calls before the crowd came.
    pub before: Calls,
    /// While it came in.
    pub during: Calls,
    /// Afterwards.
    pub after: Calls,
}

struct Rush<'a> {
    sfu: Chroom,
    generator: &'a Generator,
    staff: Staff,
    rising: Rising,
    up: Vec<f64>,
    failed: u32,
}

/// Has `clients` join at once beside `calls`.
pub fn run(clients: u32, calls: &Cast, sfu: Chroom, generator: &Generator, staff: Staff) -> Result<Outcome, RushError> {
    let mut rush = Rush { sfu, generator, staff, rising: Rising::default(), up: Vec::new(), failed: 0 };
    rush.call(calls)?;
    let before = rush.watch(|_| {
        std::thread::sleep(CALM);
        Ok(())
    })?;
    rush.up.clear();
    let mut refused = 0;
    let during = rush.watch(|rush| {
        refused = rush.come(&crowd(clients))?;
        Ok(())
    })?;
    let after = rush.watch(|_| {
        std::thread::sleep(CALM);
        Ok(())
    })?;
    let at = |part| quantile(&rush.up, part);
    Ok(Outcome {
        clients,
        up: u32::try_from(rush.up.len()).unwrap_or(u32::MAX),
        refused,
        failed: rush.failed,
        first: at(0.0),
        half: at(0.5),
        most: at(0.99),
        last: at(1.0),
        before,
        during,
        after,
    })
}

/// Who comes.
fn crowd(clients: u32) -> Vec<Participant> {
    let content = Content::Audio(Audio { kbps: 24, dtx: true });
    (0..clients)
        .map(|one| {
            let number = CROWD + one;
            let publish = vec![Track { source: number, owner: number, content }];
            Participant { number, room: CROWD + one / MEMBERS, publish, subscribe: vec![] }
        })
        .collect()
}

impl Rush<'_> {
    fn call(&mut self, calls: &Cast) -> Result<(), RushError> {
        for participant in &calls.participants {
            let Some(plan) = self.sfu.enter(&mut self.staff, participant)? else { continue };
            self.rising.add(plan.id);
            self.generator.join(plan)?;
            self.settle(IN_FLIGHT - 1)?;
        }
        self.settle(0)?;
        if self.failed > 0 {
            return Err(Silent(self.failed as usize).into());
        }
        for source in &calls.active {
            self.generator.activate(*source, true)?;
        }
        std::thread::sleep(SETTLE);
        Ok(())
    }

    /// All at once. How many were refused.
    fn come(&mut self, crowd: &[Participant]) -> Result<u32, RushError> {
        let Self { sfu, generator, staff, rising, .. } = self;
        let mut refused = 0;
        sfu.enter_together(staff, crowd, |_, plan| {
            match plan {
                Ok(plan) => {
                    rising.add(plan.id);
                    generator.join(plan).map_err(|_| SfuError::Ended)?;
                }
                Err(_) => refused += 1,
            }
            Ok(())
        })?;
        self.settle(0)?;
        Ok(refused)
    }

    /// Waits until at most so many are still coming up.
    fn settle(&mut self, left: usize) -> Result<(), RushError> {
        let Self { rising, generator, up, failed, .. } = self;
        rising.settle(generator, left, PATIENCE, |_, news, was_rising| {
            match news {
                News::Up(took) => up.push(took.as_secs_f64()),
                News::Media(_) => {}
                News::Failed(_) | News::Late => *failed += u32::from(was_rising),
            }
            Ok(())
        })
    }

    fn watch(&mut self, meanwhile: impl FnOnce(&mut Self) -> Result<(), RushError>) -> Result<Calls, RushError> {
        let begun = Instant::now();
        let (before, _) = self.generator.counts()?;
        meanwhile(self)?;
        let (after, _) = self.generator.counts()?;
        let seconds = begun.elapsed().as_secs_f64();
        let (due, came) = (after.due - before.due, after.received - before.received);
        let delay = |part| after.delays.quantile(part).map_or(0.0, |delay| delay.as_secs_f64() * 1e3);
        Ok(Calls {
            seconds,
            packets: came as f64 / seconds,
            loss: due.saturating_sub(came) as f64 / due.max(1) as f64,
            p50_ms: delay(0.5),
            p99_ms: delay(0.99),
            longest_ms: after.delays.longest().as_secs_f64() * 1e3,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_crowd_comes_into_rooms_of_its_own() {
        let crowd = crowd(50);
        assert_eq!(crowd.len(), 50);
        let rooms: BTreeSet<u32> = crowd.iter().map(|one| one.room).collect();
        assert_eq!(Vec::from_iter(rooms), [CROWD, CROWD + 1, CROWD + 2]);
        let mut sources: Vec<u32> = crowd.iter().flat_map(|one| &one.publish).map(|track| track.source).collect();
        sources.dedup();
        assert_eq!(sources.len(), 50);
        assert!(
            crowd
                .iter()
                .all(|one| one.subscribe.is_empty() && one.publish.iter().all(|track| track.owner == one.number))
        );
    }
}
