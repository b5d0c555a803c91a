//! Tests by theme.

mod authorization;
mod bond;
mod deposit;
mod equivocation;
mod genesis;
mod index;
mod limits;
mod random_calls;
mod reduction;
mod registration;
mod rotation;
mod status;
mod terms;
mod view;
