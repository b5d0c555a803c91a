//! What an upgrade of the runtime does to the storage, once, before its first block.
//!
//! A migration is a `frame_support::migrations::VersionedMigration` from one storage version of a pallet to the next: it
//! runs on a chain whose pallet is of the first version, and on no other, so it may stay in the list for as long as a
//! network may still have to go through it. It lives in its pallet as `migrations/v<to>.rs`, with `pre_upgrade` and
//! `post_upgrade` checks for try-runtime, and is listed here in the order of the versions.

use crate::Runtime;

/// The migrations of this version. 101: attestor sets in pages.
pub type Migrations = (pallet_chroom_qos::migrations::v2::MigrateToV2<Runtime>,);
