//! What happened how often.

use sp_runtime::DispatchError;
use std::{collections::BTreeMap, fmt};

/// How often a call succeeded, and why it was refused how often.
#[derive(Default)]
struct Outcomes {
    succeeded: u64,
    refused: BTreeMap<&'static str, u64>,
}

/// The outcomes of each call.
#[derive(Default)]
pub struct Tally(BTreeMap<String, Outcomes>);

impl Tally {
    /// Notes what became of a call.
    pub fn note(&mut self, call: &str, outcome: Result<(), DispatchError>) {
        if !self.0.contains_key(call) {
            self.0.insert(call.to_owned(), Outcomes::default());
        }
        let Some(outcomes) = self.0.get_mut(call) else { return };
        match outcome {
            Ok(()) => outcomes.succeeded += 1,
            Err(error) => *outcomes.refused.entry(error.into()).or_default() += 1,
        }
    }

    pub fn succeeded(&self, call: &str) -> u64 {
        self.0.get(call).map_or(0, |outcomes| outcomes.succeeded)
    }

    pub fn all(&self) -> u64 {
        self.0.values().map(|outcomes| outcomes.succeeded).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (call, Outcomes { succeeded, refused }) in &self.0 {
            write!(f, "{call}: {succeeded} succeeded")?;
            for (reason, times) in refused {
                write!(f, ", {times} {reason}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
