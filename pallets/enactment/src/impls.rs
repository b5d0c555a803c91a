//! Approving, scheduling, taking back.

use crate::{Approval, ApprovalOf, Approvals, Config, Delay, Error, Event, House, Pallet};
use alloc::vec::Vec;
use frame_support::{
    Hashable, ensure,
    traits::{
        Bounded, Get, QueryPreimage,
        schedule::{
            DispatchTime, HIGHEST_PRIORITY,
            v3::{Named, TaskName},
        },
    },
};
use frame_system::{RawOrigin, pallet_prelude::BlockNumberFor};
use sp_runtime::{DispatchError, DispatchResult, Saturating};

/// Keeps the names of this pallet's tasks apart from those that root gives its own.
const TASK: [u8; 16] = *b"chroom/enactment";

impl<T: Config> Pallet<T> {
    /// Blocks between the second approval and the enactment.
    pub(crate) fn current_delay() -> BlockNumberFor<T> {
        // The range may have been narrowed by an upgrade since the delay was set.
        Delay::<T>::get().unwrap_or_default().clamp(T::MinDelay::get(), T::MaxDelay::get())
    }

    /// Whether a delay is within the range.
    pub(crate) fn is_possible(delay: BlockNumberFor<T>) -> bool {
        (T::MinDelay::get()..=T::MaxDelay::get()).contains(&delay)
    }

    /// The approvals that have not lapsed.
    pub(crate) fn live_approvals() -> Vec<ApprovalOf<T>> {
        let now = frame_system::Pallet::<T>::block_number();
        Approvals::<T>::get().into_iter().filter(|approval| approval.until >= now).collect()
    }

    /// The block in which a scheduled call runs.
    pub(crate) fn scheduled_for(hash: &T::Hash) -> Option<BlockNumberFor<T>> {
        T::Scheduler::next_dispatch_time(task_name::<T>(hash)).ok()
    }

    pub(crate) fn do_approve(house: House, hash: T::Hash) -> DispatchResult {
        let len = T::Preimages::len(&hash).ok_or(Error::<T>::NoPreimage)?;
        ensure!(Self::scheduled_for(&hash).is_none(), Error::<T>::AlreadyScheduled);
        let now = frame_system::Pallet::<T>::block_number();
        Approvals::<T>::try_mutate(|approvals| -> DispatchResult {
            approvals.retain(|approval| approval.until >= now);
            match approvals.iter().find(|approval| approval.hash == hash).map(|approval| approval.house) {
                None => {
                    let until = now.saturating_add(T::ApprovalLifetime::get());
                    approvals.try_push(Approval { hash, house, until }).map_err(|_| Error::<T>::TooManyApprovals)?;
                    Self::deposit_event(Event::Approved { hash, house, until });
                }
                Some(first) => {
                    ensure!(first != house, Error::<T>::AlreadyApproved);
                    approvals.retain(|approval| approval.hash != hash);
                    let at = Self::schedule(hash, len, now)?;
                    Self::deposit_event(Event::Scheduled { hash, at });
                }
            }
            Ok(())
        })
    }

    /// Hands the call over to the scheduler, which sees to it that its preimage stays. Returns the block it runs in.
    fn schedule(hash: T::Hash, len: u32, now: BlockNumberFor<T>) -> Result<BlockNumberFor<T>, DispatchError> {
        let at = now.saturating_add(Self::current_delay());
        T::Scheduler::schedule_named(
            task_name::<T>(&hash),
            DispatchTime::At(at),
            None,
            HIGHEST_PRIORITY,
            RawOrigin::Root.into(),
            Bounded::Lookup { hash, len },
        )?;
        Ok(at)
    }

    pub(crate) fn do_veto(hash: T::Hash) -> DispatchResult {
        let now = frame_system::Pallet::<T>::block_number();
        let was_approved = Approvals::<T>::mutate(|approvals| {
            let was_approved = approvals.iter().any(|approval| approval.hash == hash && approval.until >= now);
            approvals.retain(|approval| approval.hash != hash && approval.until >= now);
            was_approved
        });
        if Self::scheduled_for(&hash).is_some() {
            T::Scheduler::cancel_named(task_name::<T>(&hash))?;
        } else {
            ensure!(was_approved, Error::<T>::NotApproved);
        }
        Self::deposit_event(Event::Vetoed { hash });
        Ok(())
    }

    /// Checks that the state is sound.
    #[cfg(any(feature = "try-runtime", test))]
    pub(crate) fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
        let approvals = Approvals::<T>::get();
        for (index, approval) in approvals.iter().enumerate() {
            ensure!(
                approvals.iter().skip(index.saturating_add(1)).all(|other| other.hash != approval.hash),
                "a call is approved twice by one house"
            );
            ensure!(Self::scheduled_for(&approval.hash).is_none(), "a call with both approvals waits for one");
        }
        ensure!(Delay::<T>::get().is_none_or(Self::is_possible), "the delay is out of range");
        Ok(())
    }
}

/// The scheduler's name for a call of this pallet.
fn task_name<T: Config>(hash: &T::Hash) -> TaskName {
    (TASK, *hash).blake2_256()
}
