//! Tests by theme.

mod attacks;
mod attestors;
mod authorization;
mod claims;
mod escrow;
mod fees;
mod forgeries;
mod proofs;
mod random_calls;
mod refusals;
mod reserve;
mod window;
