//! Tests by theme.

mod committees;
mod discipline;
mod epochs;
mod random_calls;
mod roots;
