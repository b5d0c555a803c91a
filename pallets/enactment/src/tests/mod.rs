//! The pallet's tests, by theme.

mod approving;
mod delay;
mod random_calls;
mod vetoing;
