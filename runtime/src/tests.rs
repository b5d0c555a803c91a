//! Checks of the whole runtime, run natively.

mod chain;
mod equivocation;
mod genesis;
mod metadata;
mod nodes;
mod signature;
mod validator;
