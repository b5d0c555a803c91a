//! All WHIP and WHEP resources.

use super::{
    offer::Direction,
    resource::{self, Ask, Change, Changed, Opened, Opening},
};
use crate::{
    access::CheckedToken,
    session::{Handle, Refusal},
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use subtle::ConstantTimeEq;
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Questions that wait for a resource.
const BACKLOG: usize = 4;

/// Who may speak for a resource: whoever has the token that it was opened with, even when that has expired since (it may be the only
/// one that an encoder has), or another good one of the same participant.
#[derive(Clone)]
pub(super) struct Owner {
    pub(super) token: CheckedToken,
    pub(super) token_hash: [u8; 32],
}

impl Owner {
    pub(super) fn new(token: &str, checked: CheckedToken) -> Self {
        Self { token: checked, token_hash: crate::digest::sha256(token.as_bytes()) }
    }

    /// Whether this is the very token.
    pub(super) fn holds(&self, token: &str) -> bool {
        self.token_hash.ct_eq(&crate::digest::sha256(token.as_bytes())).into()
    }

    /// Whether a good token is of the same participant.
    pub(super) fn is(&self, token: &CheckedToken) -> bool {
        let of = |token: &CheckedToken| (token.application.clone(), token.identity.clone(), token.grants.room.clone());
        of(&self.token) == of(token)
    }
}

struct Entry {
    direction: Direction,
    owner: Owner,
    asks: mpsc::Sender<Ask>,
}

/// The resources by their ids. Cheap to clone.
#[derive(Clone)]
pub struct Resources {
    sessions: Handle,
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    most: usize,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Resources {
    /// None yet, and at most `most` at once.
    pub fn new(sessions: Handle, most: usize) -> Self {
        Self { sessions, entries: Arc::default(), most, tasks: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.entries.lock().len()
    }

    /// Ends all of them.
    pub async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Opens one.
    pub(super) async fn open(
        &self,
        direction: Direction,
        owner: Owner,
        opening: Opening,
    ) -> Result<(String, Opened), Refusal> {
        let id = hex::encode(rand::random::<[u8; 16]>());
        let (asks, receiver) = mpsc::channel(BACKLOG);
        {
            let mut entries = self.entries.lock();
            if entries.len() >= self.most || self.stop.is_cancelled() {
                return Err(Refusal::TooManyRequests("this orchestrator has as many resources as it takes"));
            }
            entries.insert(id.clone(), Entry { direction, owner, asks });
        }
        let (opened, first) = oneshot::channel();
        // A task of its own: this call is dropped when the client hangs up, and what has begun must be ended all the same.
        let (entries, key) = (self.entries.clone(), id.clone());
        let life = resource::run(self.sessions.clone(), opening, opened, receiver, self.stop.clone());
        self.tasks.spawn(async move {
            life.await;
            entries.lock().remove(&key);
        });
        first.await.unwrap_or(Err(Refusal::Internal("this orchestrator is ending"))).map(|first| (id, first))
    }

    /// Whom one belongs to.
    pub(super) fn owner(&self, direction: Direction, id: &str) -> Option<Owner> {
        let entries = self.entries.lock();
        entries.get(id).filter(|entry| entry.direction == direction).map(|entry| entry.owner.clone())
    }

    fn asks(&self, id: &str) -> Option<mpsc::Sender<Ask>> {
        self.entries.lock().get(id).map(|entry| entry.asks.clone())
    }

    /// Changes one; none: there is none any more.
    pub(super) async fn change(&self, id: &str, change: Change) -> Option<Result<Changed, Refusal>> {
        let (reply, answer) = oneshot::channel();
        self.asks(id)?.send(Ask::Change { change, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Ends one; false: there was none.
    pub(super) async fn close(&self, id: &str) -> bool {
        let (reply, answer) = oneshot::channel();
        let Some(asks) = self.asks(id) else { return false };
        asks.send(Ask::End { reply }).await.is_ok() && answer.await.is_ok()
    }
}
