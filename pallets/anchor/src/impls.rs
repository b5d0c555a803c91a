//! The pallet's logic.

use crate::{ClearFrom, Config, Event, Latest, Newest, Pallet, SnapshotVotes, Snapshots, Votes, WeightInfo};
use chroom_primitives::{NodeId, QosEpoch, anchor::FinalSnapshot, merkle::Root};
use frame_support::{traits::Get, weights::Weight};

/// Most old votes that one block clears.
pub(crate) const CLEAR_PER_BLOCK: u32 = 64;

/// Votes that make a snapshot final: two thirds of the attestors, rounded up, and at least one.
pub fn quorum(attestors: u32) -> u32 {
    ((u64::from(attestors) * 2).div_ceil(3) as u32).max(1)
}

impl<T: Config> Pallet<T> {
    pub(crate) fn snapshot_of(epoch: QosEpoch) -> Option<FinalSnapshot> {
        Snapshots::<T>::get(Self::place(epoch)).filter(|snapshot| snapshot.epoch == epoch)
    }

    fn place(epoch: QosEpoch) -> u32 {
        epoch.0 % T::SnapshotRing::get().max(1)
    }

    /// Clears votes of epochs that are over, a bounded number at a time; gives how many.
    pub(crate) fn clear_votes() -> u32 {
        let from = ClearFrom::<T>::get();
        match Newest::<T>::get() {
            Some(newest) if from < newest => {
                let cleared = Votes::<T>::clear_prefix(from, CLEAR_PER_BLOCK, None);
                if cleared.maybe_cursor.is_none() {
                    ClearFrom::<T>::put(from.next());
                }
                cleared.loops
            }
            _ => 0,
        }
    }

    /// Clears old votes, and weighs that.
    ///
    /// What a block's votes may write besides their counts (the first one of an epoch, and the one that makes a snapshot final) is weighed
    /// here too: it happens twice in an epoch, not per vote.
    pub(crate) fn begin_block() -> Weight {
        T::WeightInfo::clear_votes(Self::clear_votes()).saturating_add(T::WeightInfo::vote())
    }
}

impl<T: Config> SnapshotVotes for Pallet<T> {
    fn vote(epoch: QosEpoch, attestor: NodeId, attestors: u32, root: Root) {
        match Newest::<T>::get() {
            // The window of an older epoch is over.
            Some(newest) if newest > epoch => return,
            Some(newest) if newest == epoch => {}
            Some(_) => Newest::<T>::put(epoch),
            None => {
                ClearFrom::<T>::put(epoch);
                Newest::<T>::put(epoch);
            }
        }
        let votes = Votes::<T>::mutate(epoch, root, |votes| {
            *votes = votes.saturating_add(1);
            *votes
        });
        Self::deposit_event(Event::Voted { epoch, attestor, root, votes });
        // Written once, by the vote that makes it final: those after it cost no more than those before.
        if votes != quorum(attestors) {
            return;
        }
        let snapshot = FinalSnapshot { epoch, root, votes };
        Snapshots::<T>::insert(Self::place(epoch), snapshot);
        Latest::<T>::put(snapshot);
        Self::deposit_event(Event::SnapshotFinal { snapshot, attestors });
    }
}

#[cfg(any(feature = "std", feature = "try-runtime"))]
impl<T: Config> Pallet<T> {
    /// Checks that the ring's places are right and that no votes are left of epochs that were cleared.
    pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
        use frame_support::ensure;
        for (place, snapshot) in Snapshots::<T>::iter() {
            ensure!(place == Self::place(snapshot.epoch), "a snapshot is in the wrong place of the ring");
            ensure!(snapshot.votes > 0, "a snapshot is final without votes");
        }
        if let Some(latest) = Latest::<T>::get() {
            ensure!(Self::snapshot(latest.epoch) == Some(latest), "the latest snapshot differs from the ring's");
            ensure!(
                Snapshots::<T>::iter_values().all(|snapshot| snapshot.epoch <= latest.epoch),
                "a snapshot is newer than the latest"
            );
        }
        let (from, newest) = (ClearFrom::<T>::get(), Newest::<T>::get());
        for (epoch, _, votes) in Votes::<T>::iter() {
            ensure!(votes > 0, "a root without votes");
            ensure!(epoch >= from && Some(epoch) <= newest, "votes of an epoch that is none");
        }
        Ok(())
    }
}
