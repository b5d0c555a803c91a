//! Joins and leaves without end: does the server forget all that left?
//!
//! Rooms of talkers whose members are replaced one by one. Most say that they leave; some vanish, as clients do whose battery is empty, and the
//! server has to find out. After each part of the sessions its memory, descriptors and threads are noted, and after the last one left, what it
//! still has.

use crate::{
    client::{News, Plan, address::ClientId, publication::Content},
    generator::{Generator, Gone},
    machine,
    model::audio::Audio,
    rising::{Rising, Silent},
    sfu::{
        Sfu, SfuError,
        chroom::Chroom,
        participant::{Participant, Staff, Track},
    },
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Members of a room.
const MEMBERS: usize = 5;
/// Whom each hears.
const HEARD: usize = 2;
/// Connections that come up at once.
const IN_FLIGHT: usize = 16;
/// Longest wait for a connection, and for the server to notice who vanished.
const PATIENCE: Duration = Duration::from_secs(60);
/// Notes in a run.
const NOTES: u32 = 20;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Sessions in all.
    pub sessions: u32,
    /// Rooms at a time.
    pub rooms: u32,
    /// Of a hundred that leave, so many vanish without a word.
    pub vanish_percent: u32,
    /// Randomness begins with this.
    pub seed: u64,
}

/// What the server has at one time.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Note {
    /// Sessions that began so far.
    pub sessions: u32,
    /// Seconds since the beginning.
    pub seconds: f64,
    /// Memory, in MiB.
    pub rss_mib: f64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Sessions that it knows of.
    pub known: u32,
    /// Rooms that it knows of.
    pub rooms: u32,
    /// Tracks that it knows of.
    pub tracks: u32,
}

/// How it went.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Outcome {
    /// On the way, and last with nobody left.
    pub notes: Vec<Note>,
    /// Sessions that didn't come up.
    pub failed: u32,
    /// Growth of the memory over the second half, in bytes a session.
    pub growth: f64,
}

impl Outcome {
    /// What the server didn't forget, if anything.
    pub fn leaks(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        let (Some(first), Some(last)) = (self.notes.first(), self.notes.last()) else { return leaks };
        for (name, left) in [("sessions", last.known), ("rooms", last.rooms), ("tracks", last.tracks)] {
            if left > 0 {
                leaks.push(format!("{left} {name} are left"));
            }
        }
        for (name, begin, end) in
            [("descriptors", first.descriptors, last.descriptors), ("threads", first.threads, last.threads)]
        {
            if end > begin {
                leaks.push(format!("{name}: {begin} at the beginning, {end} at the end"));
            }
        }
        leaks
    }
}

/// It can't go on.
#[derive(Debug, thiserror::Error)]
pub enum ChurnError {
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

struct Member {
    participant: Participant,
    client: ClientId,
}

struct Churn<'a> {
    sfu: Chroom,
    generator: &'a Generator,
    staff: Staff,
    random: StdRng,
    rooms: Vec<VecDeque<Member>>,
    rising: Rising,
    next: u32,
    failed: u32,
    began: Instant,
}

/// Runs a task.
pub fn run(task: &Task, sfu: Chroom, generator: &Generator, staff: Staff) -> Result<Outcome, ChurnError> {
    let rooms = (0..task.rooms).map(|_| VecDeque::new()).collect();
    let random = StdRng::seed_from_u64(task.seed);
    let (rising, began) = (Rising::default(), Instant::now());
    let mut churn = Churn { sfu, generator, staff, random, rooms, rising, next: 1, failed: 0, began };
    let mut notes = vec![churn.note(0)?];
    let step = (task.sessions / NOTES).max(1);
    for session in 1..=task.sessions {
        let room = churn.random.random_range(0..churn.rooms.len());
        churn.replace(room, task.vanish_percent)?;
        if session % step == 0 {
            let note = churn.note(session)?;
            eprintln!(
                "{session} of {} sessions after {:.0} s: {:.1} MiB, {} descriptors, {} threads; {} sessions in {} rooms, {} didn't come up",
                task.sessions,
                note.seconds,
                note.rss_mib,
                note.descriptors,
                note.threads,
                note.known,
                note.rooms,
                churn.failed
            );
            notes.push(note);
        }
    }
    for room in 0..churn.rooms.len() {
        while let Some(member) = churn.rooms.get_mut(room).and_then(VecDeque::pop_front) {
            churn.leave(&member, task.vanish_percent)?;
        }
    }
    let deadline = Instant::now() + PATIENCE;
    let last = loop {
        let note = churn.note(task.sessions)?;
        if note.known == 0 || Instant::now() > deadline {
            break note;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let growth = growth(&notes);
    notes.push(last);
    Ok(Outcome { notes, failed: churn.failed, growth })
}

impl Churn<'_> {
    /// One comes into a room, and if it was full, the one who was there longest goes.
    fn replace(&mut self, room: usize, vanish_percent: u32) -> Result<(), ChurnError> {
        let full = self.rooms.get(room).is_some_and(|members| members.len() >= MEMBERS);
        if full && let Some(member) = self.rooms.get_mut(room).and_then(VecDeque::pop_front) {
            self.leave(&member, vanish_percent)?;
        }
        let number = self.next;
        self.next += 1;
        let content = Content::Audio(Audio { kbps: 24, dtx: true });
        let publish = vec![Track { source: number, owner: number, content }];
        let members = self.rooms.get(room).map(VecDeque::iter).unwrap_or_default();
        let subscribe = members.rev().take(HEARD).flat_map(|member| member.participant.publish.clone()).collect();
        let participant = Participant { number, room: room as u32, publish, subscribe };
        let Some(plan) = self.sfu.enter(&mut self.staff, &participant)? else { return Ok(()) };
        let client = plan.id;
        self.connect(plan)?;
        self.generator.activate(number, true)?;
        if let Some(members) = self.rooms.get_mut(room) {
            members.push_back(Member { participant, client });
        }
        Ok(())
    }

    fn connect(&mut self, plan: Plan) -> Result<(), ChurnError> {
        self.rising.add(plan.id);
        self.generator.join(plan)?;
        self.settle(IN_FLIGHT - 1)
    }

    fn leave(&mut self, member: &Member, vanish_percent: u32) -> Result<(), ChurnError> {
        self.rising.forget(member.client);
        for track in &member.participant.publish {
            self.generator.activate(track.source, false)?;
        }
        self.generator.leave(member.client)?;
        if self.random.random_range(0..100) >= vanish_percent {
            self.sfu.leave(&member.participant)?;
        }
        Ok(())
    }

    /// Waits until at most so many clients are still coming up.
    fn settle(&mut self, left: usize) -> Result<(), ChurnError> {
        let Self { rising, generator, failed, .. } = self;
        rising.settle(generator, left, PATIENCE, |_, news, was_rising| {
            *failed += u32::from(was_rising && matches!(news, News::Failed(_) | News::Late));
            Ok(())
        })
    }

    fn note(&mut self, sessions: u32) -> Result<Note, ChurnError> {
        let totals = self.sfu.totals()?;
        let pid = self.sfu.pid();
        Ok(Note {
            sessions,
            seconds: self.began.elapsed().as_secs_f64(),
            rss_mib: machine::resident(pid).unwrap_or(0) as f64 / f64::from(1 << 20),
            descriptors: machine::entries(pid, "fd"),
            threads: machine::entries(pid, "task"),
            known: totals.sessions,
            rooms: totals.rooms,
            tracks: totals.tracks,
        })
    }
}

/// Slope of the memory over the second half of the notes, in bytes a session, by least squares.
fn growth(notes: &[Note]) -> f64 {
    let late = notes.get(notes.len() / 2..).unwrap_or_default();
    let points: Vec<(f64, f64)> = late.iter().map(|note| (f64::from(note.sessions), note.rss_mib)).collect();
    let count = points.len().max(1) as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mut over, mut under) = (0.0, 0.0);
    for (x, y) in points {
        over += (x - sum_x / count) * (y - sum_y / count);
        under += (x - sum_x / count).powi(2);
    }
    if under > 0.0 { over / under * f64::from(1 << 20) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(sessions: u32, rss_mib: f64) -> Note {
        Note { sessions, seconds: 0.0, rss_mib, descriptors: 9, threads: 3, known: 0, rooms: 0, tracks: 0 }
    }

    #[test]
    fn growth_is_that_of_the_second_half() {
        let rising = |half: u32| (0..10).map(|at| note(at * 1_000, 50.0 + f64::from(at.min(half)))).collect::<Vec<_>>();
        assert!(growth(&rising(5)).abs() < 1e-6, "it grew to its size, and stayed");
        assert!((growth(&rising(10)) - 1_048.576).abs() < 1e-6, "a MiB in a thousand sessions");
        assert_eq!(growth(&[]), 0.0);
    }

    #[test]
    fn what_is_left_is_a_leak() {
        let outcome = |last| Outcome { notes: vec![note(0, 1.0), last], failed: 0, growth: 0.0 };
        assert!(outcome(note(5, 90.0)).leaks().is_empty());
        assert_eq!(outcome(Note { known: 2, ..note(5, 1.0) }).leaks(), ["2 sessions are left"]);
        assert_eq!(outcome(Note { rooms: 1, descriptors: 10, ..note(5, 1.0) }).leaks().len(), 2);
    }
}
