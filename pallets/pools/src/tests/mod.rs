//! Tests by theme.

mod arithmetic;
mod delegating;
mod leaving;
mod pay;
mod random_calls;
mod removal;
mod rules;
mod slash;
mod unsound;
