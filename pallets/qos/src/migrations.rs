//! Changes of the pallet's storage from version to version.

pub mod v2;
