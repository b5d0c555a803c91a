//! What the pallet does, by theme.

mod attendance;
mod bonds;
mod elections;
mod genesis;
mod offences;
mod pay;
mod random_calls;
mod rules;
mod slashes;
mod views;
