//! Which child runs, restarts, or has to end: the supervisor as a state machine without I/O.
//!
//! Time is the duration since the supervisor began, given with each input. A child that dies is started again after a
//! back-off that doubles with each death; one that ran for a while has its record cleared; one that keeps dying is given up.
//! When all are to stop, they are told so stage by stage, the highest first, and those that do not obey are killed.

use std::{collections::BTreeMap, time::Duration};

/// How children are restarted and ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Wait before the first restart; doubles with each further death.
    pub first_delay: Duration,
    /// Longest wait before a restart.
    pub longest_delay: Duration,
    /// A child that ran this long starts again from `first_delay`.
    pub healthy_after: Duration,
    /// Deaths in a row after which a child is given up.
    pub deaths_limit: u32,
    /// Time between asking a child to end and killing it.
    pub grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(10),
            healthy_after: Duration::from_secs(60),
            deaths_limit: 6,
            grace: Duration::from_secs(10),
        }
    }
}

/// Where a child stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Is to be spawned now.
    Spawning,
    /// Runs.
    Running {
        /// Its process.
        pid: u32,
        /// When it was spawned.
        since: Duration,
    },
    /// Died, and waits for its next start.
    Waiting {
        /// When it starts again.
        until: Duration,
    },
    /// Was asked to end.
    Ending {
        /// Its process.
        pid: u32,
        /// When it is killed; none once it was.
        kill_at: Option<Duration>,
    },
    /// Died too often.
    GivenUp,
    /// Ended on request.
    Ended,
}

/// A child as the supervisor sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Child {
    /// Children of a higher stage are ended first.
    pub stage: u8,
    /// Where it stands.
    pub state: State,
    /// How often it was started again.
    pub restarts: u32,
    /// Deaths since it last ran for a while.
    deaths: u32,
}

/// What the shell has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Start the child's process, then report it by [`Supervisor::spawned`] or [`Supervisor::died`].
    Spawn(String),
    /// Ask the process to end (SIGTERM).
    Terminate(String, u32),
    /// End the process (SIGKILL).
    Kill(String, u32),
    /// Say that the child was given up.
    GiveUp(String),
}

/// The state machine.
#[derive(Clone, Debug)]
pub struct Supervisor {
    policy: Policy,
    children: BTreeMap<String, Child>,
    stopping: bool,
}

impl Supervisor {
    /// A supervisor without children.
    pub fn new(policy: Policy) -> Self {
        Self { policy, children: BTreeMap::new(), stopping: false }
    }

    /// The children by name.
    pub fn children(&self) -> &BTreeMap<String, Child> {
        &self.children
    }

    /// Whether the stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether a stop was asked for and no process is left.
    pub fn is_finished(&self) -> bool {
        self.stopping
            && !self.children.values().any(|child| matches!(child.state, State::Running { .. } | State::Ending { .. }))
    }

    /// Takes a child on. One of a known name, or after a stop, is ignored.
    pub fn launch(&mut self, name: &str, stage: u8) -> Vec<Action> {
        if self.stopping || self.children.contains_key(name) {
            return Vec::new();
        }
        self.children.insert(name.to_owned(), Child { stage, state: State::Spawning, restarts: 0, deaths: 0 });
        vec![Action::Spawn(name.to_owned())]
    }

    /// The child's process runs.
    pub fn spawned(&mut self, name: &str, pid: u32, now: Duration) -> Vec<Action> {
        if let Some(child) = self.children.get_mut(name) {
            child.state = State::Running { pid, since: now };
        }
        if self.stopping { self.advance_stop(now) } else { Vec::new() }
    }

    /// The child's process ended, or could not be started.
    pub fn died(&mut self, name: &str, now: Duration) -> Vec<Action> {
        let stopping = self.stopping;
        let policy = self.policy;
        let Some(child) = self.children.get_mut(name) else { return Vec::new() };
        if stopping {
            child.state = State::Ended;
            return self.advance_stop(now);
        }
        if let State::Running { since, .. } = child.state
            && now.saturating_sub(since) >= policy.healthy_after
        {
            child.deaths = 0;
        }
        child.deaths += 1;
        if child.deaths >= policy.deaths_limit {
            child.state = State::GivenUp;
            return vec![Action::GiveUp(name.to_owned())];
        }
        let factor = 1u32.checked_shl(child.deaths - 1).unwrap_or(u32::MAX);
        let delay = policy.first_delay.saturating_mul(factor).min(policy.longest_delay);
        child.state = State::Waiting { until: now + delay };
        Vec::new()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        for (name, child) in &mut self.children {
            match child.state {
                State::Waiting { until } if until <= now => {
                    child.state = State::Spawning;
                    child.restarts += 1;
                    actions.push(Action::Spawn(name.clone()));
                }
                State::Ending { pid, kill_at: Some(at) } if at <= now => {
                    child.state = State::Ending { pid, kill_at: None };
                    actions.push(Action::Kill(name.clone(), pid));
                }
                _ => {}
            }
        }
        actions
    }

    /// Ends all children, the highest stage first.
    pub fn stop(&mut self, now: Duration) -> Vec<Action> {
        self.stopping = true;
        for child in self.children.values_mut() {
            if matches!(child.state, State::Waiting { .. } | State::Spawning) {
                child.state = State::Ended;
            }
        }
        self.advance_stop(now)
    }

    /// Kills whatever still runs: for the second Ctrl-C.
    pub fn kill_all(&mut self) -> Vec<Action> {
        self.stopping = true;
        let mut actions = Vec::new();
        for (name, child) in &mut self.children {
            match child.state {
                State::Running { pid, .. } | State::Ending { pid, .. } => {
                    child.state = State::Ending { pid, kill_at: None };
                    actions.push(Action::Kill(name.clone(), pid));
                }
                State::Waiting { .. } | State::Spawning => child.state = State::Ended,
                State::GivenUp | State::Ended => {}
            }
        }
        actions
    }

    /// When [`Supervisor::tick`] has something to do next.
    pub fn next_due(&self) -> Option<Duration> {
        self.children
            .values()
            .filter_map(|child| match child.state {
                State::Waiting { until } => Some(until),
                State::Ending { kill_at, .. } => kill_at,
                _ => None,
            })
            .min()
    }

    /// Asks the highest stage that still runs to end, unless it was asked already.
    fn advance_stop(&mut self, now: Duration) -> Vec<Action> {
        let live = |child: &Child| matches!(child.state, State::Running { .. } | State::Ending { .. });
        let Some(stage) = self.children.values().filter(|child| live(child)).map(|child| child.stage).max() else {
            return Vec::new();
        };
        let mut actions = Vec::new();
        for (name, child) in self.children.iter_mut().filter(|(_, child)| child.stage == stage) {
            if let State::Running { pid, .. } = child.state {
                child.state = State::Ending { pid, kill_at: Some(now + self.policy.grace) };
                actions.push(Action::Terminate(name.clone(), pid));
            }
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn running(names: &[(&str, u8)]) -> Supervisor {
        let mut supervisor = Supervisor::new(Policy::default());
        for (pid, (name, stage)) in names.iter().enumerate() {
            assert_eq!(supervisor.launch(name, *stage), vec![Action::Spawn((*name).into())]);
            assert!(supervisor.spawned(name, pid as u32 + 1, Duration::ZERO).is_empty());
        }
        supervisor
    }

    #[test]
    fn a_dead_child_starts_again_after_a_growing_delay() {
        let mut supervisor = running(&[("media-1", 2)]);
        let mut now = SECOND;
        let mut delays = Vec::new();
        for pid in 2..6 {
            assert!(supervisor.died("media-1", now).is_empty());
            let due = supervisor.next_due().unwrap();
            assert!(supervisor.tick(due - Duration::from_millis(1)).is_empty());
            assert_eq!(supervisor.tick(due), vec![Action::Spawn("media-1".into())]);
            delays.push((due - now).as_millis());
            supervisor.spawned("media-1", pid, due);
            now = due;
        }
        assert_eq!(delays, vec![500, 1_000, 2_000, 4_000]);
        assert_eq!(supervisor.children()["media-1"].restarts, 4);
    }

    #[test]
    fn a_child_that_keeps_dying_is_given_up_and_the_others_stay() {
        let mut supervisor = running(&[("bad", 1), ("good", 1)]);
        let mut now = SECOND;
        loop {
            let actions = supervisor.died("bad", now);
            if actions == vec![Action::GiveUp("bad".into())] {
                break;
            }
            now = supervisor.next_due().unwrap();
            supervisor.tick(now);
            supervisor.spawned("bad", 9, now);
        }
        assert_eq!(supervisor.children()["bad"].state, State::GivenUp);
        assert_eq!(supervisor.next_due(), None);
        assert!(matches!(supervisor.children()["good"].state, State::Running { .. }));
    }

    #[test]
    fn a_long_life_clears_the_record() {
        let mut supervisor = running(&[("a", 1)]);
        let mut now = Duration::ZERO;
        for _ in 0..20 {
            now += Duration::from_secs(61);
            assert!(supervisor.died("a", now).is_empty());
            let due = supervisor.next_due().unwrap();
            assert_eq!(due - now, Policy::default().first_delay);
            supervisor.tick(due);
            supervisor.spawned("a", 7, due);
            now = due;
        }
    }

    #[test]
    fn stopping_goes_stage_by_stage_and_kills_the_stubborn() {
        let mut supervisor = running(&[("validator-1", 0), ("media-1", 2), ("media-2", 2)]);
        assert_eq!(
            supervisor.stop(SECOND),
            vec![Action::Terminate("media-1".into(), 2), Action::Terminate("media-2".into(), 3)]
        );
        assert!(supervisor.died("media-1", 2 * SECOND).is_empty(), "media-2 is still there");
        let due = supervisor.next_due().unwrap();
        assert_eq!(supervisor.tick(due), vec![Action::Kill("media-2".into(), 3)]);
        assert!(!supervisor.is_finished());
        assert_eq!(supervisor.died("media-2", due), vec![Action::Terminate("validator-1".into(), 1)]);
        supervisor.died("validator-1", due);
        assert!(supervisor.is_finished());
    }

    #[test]
    fn a_child_that_waits_for_its_restart_does_not_come_back_after_a_stop() {
        let mut supervisor = running(&[("a", 1)]);
        supervisor.died("a", SECOND);
        assert!(supervisor.stop(SECOND).is_empty());
        assert!(supervisor.is_finished());
        assert!(supervisor.tick(100 * SECOND).is_empty());
        assert!(supervisor.launch("b", 1).is_empty());
    }

    #[test]
    fn a_process_that_was_being_spawned_when_the_stop_came_is_ended_too() {
        let mut supervisor = Supervisor::new(Policy::default());
        supervisor.launch("a", 1);
        supervisor.stop(SECOND);
        assert_eq!(supervisor.spawned("a", 5, SECOND), vec![Action::Terminate("a".into(), 5)]);
        assert!(!supervisor.is_finished());
    }

    proptest! {
        // Whatever happens before it, a stop ends with no process left once each has died, and each live process was signalled.
        #[test]
        fn a_stop_always_finishes(script in proptest::collection::vec((0usize..4, 0u8..3), 0..60)) {
            let names = ["a", "b", "c", "d"];
            let mut supervisor = Supervisor::new(Policy::default());
            let mut now = Duration::ZERO;
            let mut pid = 0;
            let mut apply = |supervisor: &mut Supervisor, actions: Vec<Action>, now| {
                for action in actions {
                    if let Action::Spawn(name) = action {
                        pid += 1;
                        supervisor.spawned(&name, pid, now);
                    }
                }
            };
            for (child, kind) in script {
                now += Duration::from_millis(700);
                let name = names[child];
                let actions = match kind {
                    0 => supervisor.launch(name, child as u8),
                    1 if matches!(supervisor.children().get(name).map(|c| c.state), Some(State::Running { .. })) => supervisor.died(name, now),
                    _ => supervisor.tick(now),
                };
                apply(&mut supervisor, actions, now);
            }
            let mut told: Vec<String> = Vec::new();
            let mut actions = supervisor.stop(now);
            for _ in 0..10 {
                let mut next = Vec::new();
                for action in actions {
                    match action {
                        Action::Terminate(name, _) => { told.push(name.clone()); next.extend(supervisor.died(&name, now)); }
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
                actions = next;
            }
            prop_assert!(supervisor.is_finished());
            let mut once = told.clone();
            once.sort();
            once.dedup();
            prop_assert_eq!(once.len(), told.len());
        }
    }
}
