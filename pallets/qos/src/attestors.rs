//! The attestors of an epoch: an ordered set in pages, so that who asks about a few of them reads no more than their pages.
//!
//! A place in the set is a page and an offset. A set is written once, when the first epoch that has it begins, and never changes.

use crate::{AttestorPages, AttestorSets, Config, EpochState, Pallet, Seat};
use alloc::vec::Vec;
use chroom_primitives::{NodeId, committee::draw};
use frame_support::{BoundedVec, traits::ConstU32};

/// Attestors on a page: 2.5 kB.
pub const PAGE_ATTESTORS: u32 = 128;
/// Most pages of a set.
pub const MAX_PAGES: u32 = 64;

/// The first attestor of each page of a set.
pub type PageIndex = BoundedVec<NodeId, ConstU32<MAX_PAGES>>;
/// A page of a set.
pub type Page = BoundedVec<NodeId, ConstU32<PAGE_ATTESTORS>>;

/// Pages of a set of so many attestors.
pub const fn pages(attestors: u32) -> u32 {
    attestors.div_ceil(PAGE_ATTESTORS)
}

impl<T: Config> Pallet<T> {
    /// Writes a set, which is in order. What doesn't fit into [`MAX_PAGES`] is left out; the runtime's `MaxRegistries` is below that.
    pub(crate) fn write_set(set: u32, attestors: &[NodeId]) {
        let mut index = PageIndex::default();
        for (number, ids) in attestors.chunks(PAGE_ATTESTORS as usize).enumerate() {
            let Some(first) = ids.first() else { break };
            if index.try_push(*first).is_err() {
                break;
            }
            AttestorPages::<T>::insert(set, number as u32, Page::truncate_from(ids.to_vec()));
        }
        AttestorSets::<T>::insert(set, index);
    }

    /// Forgets a set.
    pub(crate) fn remove_set(set: u32) {
        for number in 0..AttestorSets::<T>::take(set).unwrap_or_default().len() {
            AttestorPages::<T>::remove(set, number as u32);
        }
    }

    /// All attestors of a set in order; `None` if there is no such set. Reads all of its pages: for the API and for checks only.
    pub(crate) fn read_set(set: u32) -> Option<Vec<NodeId>> {
        let index = AttestorSets::<T>::get(set)?;
        Some((0..index.len() as u32).flat_map(|number| AttestorPages::<T>::get(set, number)).collect())
    }

    /// The place of `node` among the attestors of the epoch with this `state`, if it is one. Reads the index and one page.
    pub fn place(state: &EpochState, node: &NodeId) -> Option<u32> {
        let index = AttestorSets::<T>::get(state.attestor_set)?;
        let number = index.partition_point(|first| first <= node).checked_sub(1)? as u32;
        let offset = AttestorPages::<T>::get(state.attestor_set, number).binary_search(node).ok()?;
        Some(number.saturating_mul(PAGE_ATTESTORS).saturating_add(offset as u32))
    }

    /// The attestor at a place of a set. Reads one page.
    fn attestor_at(set: u32, place: u32) -> Option<NodeId> {
        let page = AttestorPages::<T>::get(set, place / PAGE_ATTESTORS);
        page.get((place % PAGE_ATTESTORS) as usize).copied()
    }

    /// The committee of `node` in the epoch with this `state`, in the order of the draw. Reads a page for each member.
    pub fn seats(state: &EpochState, node: &NodeId) -> Vec<Seat> {
        seats(state, node, |place| Self::attestor_at(state.attestor_set, place))
    }
}

/// The committee of `node`, with attestors by their place from `at`.
pub(crate) fn seats(state: &EpochState, node: &NodeId, at: impl Fn(u32) -> Option<NodeId>) -> Vec<Seat> {
    draw(&state.seed, node, state.attestors, state.committee_size)
        .into_iter()
        .filter_map(|place| at(place).map(|attestor| Seat { place, attestor }))
        .collect()
}
