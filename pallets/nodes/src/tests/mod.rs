//! Tests by theme.

mod bond;
mod equivocation;
mod genesis;
mod index;
mod random_calls;
mod registration;
mod status;
mod terms;
