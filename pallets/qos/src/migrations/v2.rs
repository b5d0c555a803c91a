//! Version 2 keeps attestor sets in pages: a set of version 1 was one value, which every root and every claim had to read whole.

#[cfg(feature = "try-runtime")]
use crate::AttestorSets;
use crate::{Config, Pallet, attestors::pages};
use alloc::vec::Vec;
use chroom_primitives::NodeId;
use core::marker::PhantomData;
use frame_support::{
    BoundedVec, Twox64Concat,
    migrations::VersionedMigration,
    pallet_prelude::OptionQuery,
    storage_alias,
    traits::{ConstU32, Get, UncheckedOnRuntimeUpgrade},
    weights::Weight,
};

/// What version 1 kept.
// The alias' macro writes a public item that it gives no documentation.
#[allow(missing_docs)]
pub mod v1 {
    use super::*;

    /// Most attestors of a set of version 1.
    pub const MAX_ATTESTORS: u32 = 512;

    /// The attestor sets that remembered epochs have, each in order.
    #[storage_alias]
    pub type AttestorSets<T: Config> =
        StorageMap<Pallet<T>, Twox64Concat, u32, BoundedVec<NodeId, ConstU32<MAX_ATTESTORS>>, OptionQuery>;
}

/// Cuts the sets into pages.
pub struct IntoPages<T>(PhantomData<T>);

/// From version 1 to version 2, on chains of version 1 only.
pub type MigrateToV2<T> = VersionedMigration<1, 2, IntoPages<T>, Pallet<T>, <T as frame_system::Config>::DbWeight>;

impl<T: Config> UncheckedOnRuntimeUpgrade for IntoPages<T> {
    /// A set per remembered epoch at most, so a single block has room for all of them.
    fn on_runtime_upgrade() -> Weight {
        let (mut reads, mut writes) = (0u64, 0u64);
        // Collected first: the new sets have the old ones' keys.
        let sets: Vec<_> = v1::AttestorSets::<T>::drain().collect();
        for (set, attestors) in sets {
            Pallet::<T>::write_set(set, &attestors);
            reads = reads.saturating_add(1);
            writes = writes.saturating_add(2).saturating_add(pages(attestors.len() as u32).into());
        }
        T::DbWeight::get().reads_writes(reads.saturating_add(1), writes)
    }

    #[cfg(feature = "try-runtime")]
    fn pre_upgrade() -> Result<Vec<u8>, sp_runtime::TryRuntimeError> {
        use codec::Encode;
        Ok(v1::AttestorSets::<T>::iter().map(|(set, ids)| (set, ids.into_inner())).collect::<Vec<_>>().encode())
    }

    #[cfg(feature = "try-runtime")]
    fn post_upgrade(before: Vec<u8>) -> Result<(), sp_runtime::TryRuntimeError> {
        use codec::Decode;
        let sets = Vec::<(u32, Vec<NodeId>)>::decode(&mut before.as_slice()).map_err(|_| "no sets from before")?;
        frame_support::ensure!(AttestorSets::<T>::iter().count() == sets.len(), "another number of sets");
        for (set, attestors) in sets {
            frame_support::ensure!(Pallet::<T>::read_set(set) == Some(attestors), "a set differs from before");
        }
        Pallet::<T>::do_try_state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttestorPages, Pallet as Qos, mock::*};
    use frame_support::traits::{GetStorageVersion, OnRuntimeUpgrade, StorageVersion};

    fn ids(count: u32) -> Vec<NodeId> {
        (0..count)
            .map(|number| NodeId([number.to_be_bytes().as_slice(), &[7; 16]].concat().try_into().unwrap()))
            .collect()
    }

    #[test]
    fn sets_of_version_1_are_cut_into_pages_once() {
        sp_io::TestExternalities::default().execute_with(|| {
            StorageVersion::new(1).put::<Qos<Test>>();
            for (set, count) in [(3, 0), (4, 1), (9, 128), (10, 300)] {
                v1::AttestorSets::<Test>::insert(set, BoundedVec::truncate_from(ids(count)));
            }
            MigrateToV2::<Test>::on_runtime_upgrade();
            assert_eq!(Qos::<Test>::on_chain_storage_version(), 2);
            for (set, count, pages) in [(3, 0, 0), (4, 1, 1), (9, 128, 1), (10, 300, 3)] {
                assert_eq!(Qos::<Test>::read_set(set), Some(ids(count)));
                assert_eq!(AttestorPages::<Test>::iter_prefix_values(set).count(), pages);
            }
            // A second time nothing is left to do, and what is there stays.
            MigrateToV2::<Test>::on_runtime_upgrade();
            assert_eq!(Qos::<Test>::read_set(10), Some(ids(300)));
        });
    }
}
