//! Clients that are coming up, and what is heard of all meanwhile.

use crate::{
    client::{News, address::ClientId},
    generator::Generator,
};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Nothing is heard of clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0} clients don't come up")]
pub struct Silent(pub usize);

/// Clients that are coming up.
#[derive(Debug, Default)]
pub struct Rising(BTreeSet<ClientId>);

impl Rising {
    /// One begins to.
    pub fn add(&mut self, client: ClientId) {
        self.0.insert(client);
    }

    /// One is not waited for any more.
    pub fn forget(&mut self, client: ClientId) {
        self.0.remove(&client);
    }

    /// Waits until at most `left` are still coming up, `patience` for each of their news, and tells what is heard of anybody: who, what, and whether that one
    /// was coming up.
    pub fn settle<E: From<Silent>>(
        &mut self,
        generator: &Generator,
        left: usize,
        patience: Duration,
        mut heard: impl FnMut(ClientId, News, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let deadline = Instant::now() + patience;
        loop {
            let wait = if self.0.len() > left { patience } else { Duration::ZERO };
            match generator.news(wait) {
                Some((id, news @ News::Media(_))) => heard(id, news, false)?,
                Some((id, news)) => {
                    let was_rising = self.0.remove(&id);
                    heard(id, news, was_rising)?;
                }
                None if self.0.len() <= left => return Ok(()),
                None if Instant::now() > deadline => return Err(Silent(self.0.len()).into()),
                None => {}
            }
        }
    }
}
