//! Tests by theme.

mod committees;
mod discipline;
mod epochs;
mod forgeries;
mod random_calls;
mod roots;
