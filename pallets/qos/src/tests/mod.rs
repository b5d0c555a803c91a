//! Tests by theme.

mod committees;
mod epochs;
mod random_calls;
mod roots;
