//! Keeps what applications can pay known in the index, so that decisions need not ask.

use crate::{chain::Chain, index::Index};
use chroom_primitives::{AccountId, NodeId, QosEpoch};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Applications that are asked about with each finalised block: what a change waits for is bounded, and so is what the chain is asked.
const PER_BLOCK: usize = 32;
/// Pause after the chain did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// Whose turn it is to be asked about: all when an epoch begins, some with each block.
#[derive(Debug, Default)]
struct Rota {
    applications: usize,
    epoch: Option<QosEpoch>,
    next: usize,
    due: usize,
}

impl Rota {
    fn new(applications: usize) -> Self {
        Self { applications, ..Self::default() }
    }

    /// A block of this epoch is final.
    fn block(&mut self, epoch: QosEpoch) {
        let begun = self.epoch.replace(epoch) != Some(epoch);
        let more = if begun { self.applications } else { PER_BLOCK.min(self.applications) };
        self.due = self.due.max(more);
    }

    /// Who is to be asked about now.
    fn whose(&self) -> Option<usize> {
        (self.due > 0).then_some(self.next)
    }

    /// The chain answered.
    fn answered(&mut self) {
        self.due = self.due.saturating_sub(1);
        self.next = self.next.saturating_add(1).checked_rem(self.applications).unwrap_or(0);
    }
}

/// Asks what `applications`, key ids with the accounts that pay, can pay through the orchestrator `node`: for all of them at once at the start
/// and whenever an epoch begins, and in turn with each finalised block. Where the chain does not answer, what is known stays.
pub async fn follow(
    chain: Arc<dyn Chain>,
    index: Arc<Index>,
    applications: Vec<(String, AccountId)>,
    node: NodeId,
    stop: CancellationToken,
) {
    tokio::select! {
        () = ask(&*chain, &index, &applications, node) => warn!("the chain is no longer followed"),
        () = stop.cancelled() => {}
    }
}

async fn ask(chain: &dyn Chain, index: &Index, applications: &[(String, AccountId)], node: NodeId) {
    let mut state = chain.state();
    let mut rota = Rota::new(applications.len());
    loop {
        let epoch = state.borrow_and_update().epoch.current;
        rota.block(epoch);
        let mut silent = false;
        while let Some((key, account)) = rota.whose().and_then(|index| applications.get(index)) {
            match chain.budget(account, node, epoch).await {
                Ok(budget) => {
                    // The escrow falls with every claim: that is no news as long as something is left.
                    if index.set_budget(key, budget).ceiling() != budget.ceiling() {
                        info!(application = %key, ?budget, "what the application can pay");
                    }
                    rota.answered();
                    silent = false;
                }
                Err(error) => {
                    if !std::mem::replace(&mut silent, true) {
                        warn!(application = %key, %error, "what applications can pay is not known anew");
                    }
                    debug!(%error, "asking again");
                    sleep(RETRY).await;
                }
            }
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        allocation::Budget,
        chain::{ChainError, ChainState},
        index::Directory,
    };
    use chroom_primitives::{Balance, Hash, QosEpoch, anchor::FinalSnapshot, epoch::EpochInfo};
    use parking_lot::Mutex;
    use std::collections::BTreeMap;
    use tokio::sync::watch;

    /// A chain with a price limit per application, which can fall silent.
    struct Limits {
        state: watch::Sender<Arc<ChainState>>,
        limits: Mutex<BTreeMap<AccountId, Balance>>,
        silent: Mutex<bool>,
        questions: Mutex<Vec<(AccountId, QosEpoch)>>,
    }

    impl Limits {
        fn new() -> Self {
            let epoch = EpochInfo {
                current: QosEpoch(7),
                started_at: 57,
                started_ms: 1,
                length: 8,
                submit_window: 4,
                committee_size: 3,
            };
            let state = ChainState { block: 60, epoch, nodes: BTreeMap::new() };
            Self {
                state: watch::Sender::new(Arc::new(state)),
                limits: Mutex::default(),
                silent: Mutex::default(),
                questions: Mutex::default(),
            }
        }

        fn block(&self, epoch: u32) {
            self.state.send_modify(|state| {
                let mut next = (**state).clone();
                next.block += 1;
                next.epoch.current = QosEpoch(epoch);
                *state = Arc::new(next);
            });
        }

        fn asked(&self) -> usize {
            self.questions.lock().len()
        }
    }

    #[tonic::async_trait]
    impl Chain for Limits {
        fn genesis(&self) -> Hash {
            Hash::zero()
        }

        fn state(&self) -> watch::Receiver<Arc<ChainState>> {
            self.state.subscribe()
        }

        async fn committee(&self, _: QosEpoch, _: NodeId) -> Result<Vec<NodeId>, ChainError> {
            Ok(Vec::new())
        }

        async fn epoch_start_ms(&self, _: QosEpoch) -> Result<Option<u64>, ChainError> {
            Ok(None)
        }

        async fn last_reward(&self, _: NodeId) -> Result<Option<(QosEpoch, Balance)>, ChainError> {
            Ok(None)
        }

        async fn latest_snapshot(&self) -> Result<Option<FinalSnapshot>, ChainError> {
            Ok(None)
        }

        async fn budget(&self, account: &AccountId, _: NodeId, epoch: QosEpoch) -> Result<Budget, ChainError> {
            self.questions.lock().push((account.clone(), epoch));
            if *self.silent.lock() {
                return Err(ChainError("it is down".into()));
            }
            let limit = self.limits.lock().get(account).copied().unwrap_or_default();
            Ok(Budget::Known { limit, escrow: 1 })
        }
    }

    fn applications(count: u8) -> Vec<(String, AccountId)> {
        (0..count).map(|n| (format!("app-{n}"), AccountId::new([n; 32]))).collect()
    }

    fn limited(limit: Balance) -> Budget {
        Budget::Known { limit, escrow: 1 }
    }

    /// Lets all that can go on go on, until a condition holds.
    async fn until(what: &str, mut holds: impl FnMut() -> bool) {
        for _ in 0..2_000 {
            if holds() {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("waited for too long: {what}");
    }

    #[tokio::test]
    async fn what_is_known_follows_the_chain_and_outlives_its_silence() {
        let chain = Arc::new(Limits::new());
        let index = Arc::new(Index::new(Hash::zero(), chain.state.borrow().clone()));
        let (node, stop) = (NodeId([1; 20]), CancellationToken::new());
        let following = tokio::spawn(follow(chain.clone(), index.clone(), applications(3), node, stop.clone()));
        for n in 0..3 {
            index.budget_known(&format!("app-{n}")).await;
            assert_eq!(index.budget(&format!("app-{n}")), limited(0));
        }
        assert_eq!((index.budget("app-3"), chain.asked()), (Budget::Unknown, 3));
        chain.limits.lock().insert(AccountId::new([2; 32]), 9);
        chain.block(7);
        until("the change is seen with the next block", || index.budget("app-2") == limited(9)).await;
        assert_eq!(chain.asked(), 6);
        *chain.silent.lock() = true;
        chain.limits.lock().insert(AccountId::new([2; 32]), 5);
        chain.block(8);
        until("the chain was asked in vain", || chain.asked() > 6).await;
        assert_eq!(index.budget("app-2"), limited(9));
        *chain.silent.lock() = false;
        until("the chain is asked again", || index.budget("app-2") == limited(5)).await;
        assert!(chain.questions.lock().iter().skip(6).all(|(_, epoch)| *epoch == QosEpoch(8)));
        stop.cancel();
        following.await.unwrap();
    }

    /// Who is asked about, as long as the chain answers.
    fn turns(rota: &mut Rota, epoch: u32) -> Vec<usize> {
        rota.block(QosEpoch(epoch));
        let mut asked = Vec::new();
        while let Some(whose) = rota.whose() {
            asked.push(whose);
            rota.answered();
        }
        asked
    }

    #[test]
    fn many_applications_take_turns_and_all_are_asked_about_in_a_new_epoch() {
        let mut rota = Rota::new(100);
        assert_eq!(turns(&mut rota, 1), (0..100).collect::<Vec<_>>());
        let mut times = [0; 100];
        for _ in 0..25 {
            let asked = turns(&mut rota, 1);
            assert_eq!(asked.len(), PER_BLOCK);
            asked.into_iter().for_each(|whose| times[whose] += 1);
        }
        assert_eq!(times, [8; 100]);
        assert_eq!(turns(&mut rota, 2).len(), 100);
        assert_eq!(turns(&mut Rota::new(3), 1), [0, 1, 2]);
        assert!(turns(&mut Rota::new(0), 1).is_empty());
    }

    #[test]
    fn who_is_due_stays_due_until_the_chain_answers() {
        let mut rota = Rota::new(40);
        rota.block(QosEpoch(1));
        rota.answered();
        rota.block(QosEpoch(1));
        assert_eq!(
            (rota.whose(), rota.due),
            (Some(1), 39),
            "a new block does not make the rest of the epoch's round less"
        );
        rota.block(QosEpoch(2));
        assert_eq!((rota.whose(), rota.due), (Some(1), 40));
    }
}
