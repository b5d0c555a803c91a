//! One server under one scenario: participants come and go, and what their clients get is measured.

use crate::{
    client::{News, Plan, address::ClientId},
    counts::Counts,
    generator::{Generator, Gone},
    machine,
    rising::{Rising, Silent},
    scenario::{Scenario, Shape},
    sfu::{
        Sfu, SfuError,
        participant::{Participant, Staff},
    },
    window::Window,
};
use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// Connections that come up at once.
const IN_FLIGHT: usize = 16;
/// Longest wait for a client's news.
const PATIENCE: Duration = Duration::from_secs(30);

/// A run can't go on.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The server.
    #[error(transparent)]
    Sfu(#[from] SfuError),
    /// The generator.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// A client can't connect.
    #[error("client {0:?} doesn't come up: {1:?}")]
    Failed(ClientId, News),
    /// Nothing is heard of clients.
    #[error(transparent)]
    Silent(#[from] Silent),
}

impl LabError {
    /// Whether clients don't get in, as happens where the server has too much to do.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Failed(..) | Self::Silent(_))
    }
}

/// Where things are.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// The server's core.
    pub sfu: usize,
    /// The generator's.
    pub generator: usize,
}

/// How long joins took, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// Until ICE and DTLS were up.
    pub up: Vec<f64>,
    /// Until the first media came.
    pub media: Vec<f64>,
}

/// The quantile of a list; 0 of an empty one.
pub fn quantile(list: &[f64], share: f64) -> f64 {
    let mut sorted = list.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// A laboratory.
pub struct Lab<'a> {
    sfu: Box<dyn Sfu>,
    generator: &'a Generator,
    staff: Staff,
    scenario: Scenario,
    shape: Shape,
    cores: Cores,
    present: Vec<Participant>,
    clients: HashMap<u32, Vec<ClientId>>,
    active: BTreeSet<u32>,
    rising: Rising,
    /// Join times so far.
    pub joined: Joined,
    in_flight: usize,
}

impl<'a> Lab<'a> {
    /// An empty one.
    pub fn new(
        sfu: Box<dyn Sfu>,
        generator: &'a Generator,
        staff: Staff,
        scenario: Scenario,
        shape: Shape,
        cores: Cores,
    ) -> Self {
        Self {
            sfu,
            generator,
            staff,
            scenario,
            shape,
            cores,
            present: Vec::new(),
            clients: HashMap::new(),
            active: BTreeSet::new(),
            rising: Rising::default(),
            joined: Joined::default(),
            // Where join times are what is measured, one comes after the other.
            in_flight: if scenario == Scenario::Joins { 1 } else { IN_FLIGHT },
        }
    }

    /// The server.
    pub fn sfu(&self) -> &dyn Sfu {
        self.sfu.as_ref()
    }

    /// Memory of the server's process, in MiB.
    pub fn rss_mib(&self) -> f64 {
        machine::resident(self.sfu.pid()).unwrap_or(0) as f64 / f64::from(1 << 20)
    }

    /// Connections to the server.
    pub fn sessions(&self) -> usize {
        self.clients.values().map(Vec::len).sum()
    }

    /// Brings the scenario to a size: who is missing joins, who is too many leaves.
    pub fn resize(&mut self, size: u32) -> Result<(), LabError> {
        let cast = self.scenario.cast(&self.shape, size);
        for leaver in self.present.split_off(cast.participants.len().min(self.present.len())).into_iter().rev() {
            for client in self.clients.remove(&leaver.number).unwrap_or_default() {
                self.generator.leave(client)?;
            }
            self.sfu.leave(&leaver)?;
        }
        let active: BTreeSet<u32> = cast.active.into_iter().collect();
        for source in self.active.symmetric_difference(&active) {
            self.generator.activate(*source, active.contains(source))?;
        }
        self.active = active;
        let newcomers: Vec<Participant> = cast.participants.into_iter().skip(self.present.len()).collect();
        for newcomer in &newcomers {
            let plan = self.sfu.enter(&mut self.staff, newcomer)?;
            self.connect(newcomer, plan)?;
        }
        // Janus knows no feed before its publisher is up.
        self.settle(0)?;
        for newcomer in &newcomers {
            let plan = self.sfu.attend(&mut self.staff, newcomer)?;
            self.connect(newcomer, plan)?;
        }
        self.present.extend(newcomers);
        self.settle(0)
    }

    fn connect(&mut self, participant: &Participant, plan: Option<Plan>) -> Result<(), LabError> {
        let Some(plan) = plan else { return Ok(()) };
        self.clients.entry(participant.number).or_default().push(plan.id);
        self.rising.add(plan.id);
        self.generator.join(plan)?;
        self.settle(self.in_flight - 1)
    }

    /// Waits until at most so many clients are still coming up, and takes in what else is heard.
    fn settle(&mut self, left: usize) -> Result<(), LabError> {
        let Self { rising, generator, joined, .. } = self;
        rising.settle(generator, left, PATIENCE, |id, news, _| {
            match news {
                News::Up(took) => joined.up.push(took.as_secs_f64() * 1e3),
                News::Media(took) => joined.media.push(took.as_secs_f64() * 1e3),
                News::Failed(_) | News::Late => return Err(LabError::Failed(id, news)),
            }
            Ok(())
        })
    }

    /// Measures for a while.
    pub fn measure(&mut self, size: u32, window: Duration) -> Result<Window, LabError> {
        let before = self.snapshot()?;
        std::thread::sleep(window);
        let after = self.snapshot()?;
        self.settle(0)?;
        Ok(self.window(size, &before, &after))
    }

    fn snapshot(&self) -> Result<Snapshot, LabError> {
        let (counts, longest_turn) = self.generator.counts()?;
        let time = |pid| machine::process_time(pid).unwrap_or_default();
        Ok(Snapshot {
            at: Instant::now(),
            counts,
            longest_turn,
            sfu: time(self.sfu.pid()),
            generator: time(std::process::id()),
            core: machine::core_time(self.cores.sfu).unwrap_or_default(),
            stolen: [self.cores.sfu, self.cores.generator].iter().filter_map(|core| machine::stolen(*core)).sum(),
            drops: machine::drops().into_iter().partition(|(port, _)| self.generator.ports().contains(port)),
        })
    }

    fn window(&self, size: u32, before: &Snapshot, after: &Snapshot) -> Window {
        let seconds = (after.at - before.at).as_secs_f64();
        let (new, old) = (&after.counts, &before.counts);
        let due = new.due - old.due;
        let received = new.received - old.received;
        let all = received + new.late - old.late;
        // What came late of the time before must not make the loss negative.
        let lost = |got: u64| due.saturating_sub(got) as f64 / due.max(1) as f64;
        let share = |new: Duration, old: Duration| new.saturating_sub(old).as_secs_f64() / seconds;
        let sum = |drops: &HashMap<u16, u64>| drops.values().sum::<u64>();
        let delay = |part| new.delays.quantile(part).map_or(0.0, |delay| delay.as_secs_f64() * 1e3);
        Window {
            size,
            sessions: self.sessions(),
            seconds,
            due: due as f64 / seconds,
            forwarded: received as f64 / seconds,
            megabits: (new.bytes - old.bytes) as f64 * 8e-6 / seconds,
            loss: lost(received),
            residual_loss: lost(all),
            delay_p50_ms: delay(0.5),
            delay_p99_ms: delay(0.99),
            delay_max_ms: new.delays.longest().as_secs_f64() * 1e3,
            sfu_cpu: share(after.sfu, before.sfu),
            core_busy: share(after.core, before.core),
            stolen: share(after.stolen, before.stolen),
            generator_cpu: share(after.generator, before.generator),
            generator_turn_ms: after.longest_turn.as_secs_f64() * 1e3,
            rss_mib: self.rss_mib(),
            generator_drops: sum(&after.drops.0).saturating_sub(sum(&before.drops.0)),
            sfu_drops: sum(&after.drops.1).saturating_sub(sum(&before.drops.1)),
            corrupt: new.corrupt - old.corrupt,
            opened: new.opened - old.opened,
            unknown: new.unknown - old.unknown,
            keyframes_asked: new.keyframes_asked - old.keyframes_asked,
            asked: new.asked - old.asked,
            duplicates: new.duplicates - old.duplicates,
            padding: new.padding - old.padding,
            load: machine::load(),
        }
    }
}

struct Snapshot {
    at: Instant,
    counts: Counts,
    longest_turn: Duration,
    sfu: Duration,
    generator: Duration,
    core: Duration,
    stolen: Duration,
    /// At the generator's ports, and at others.
    drops: (HashMap<u16, u64>, HashMap<u16, u64>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_lists() {
        let list: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((quantile(&list, 0.5), quantile(&list, 0.99), quantile(&list, 1.0)), (50.0, 99.0, 100.0));
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
