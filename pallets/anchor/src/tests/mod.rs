//! Tests by theme.

mod clearing;
mod finality;
