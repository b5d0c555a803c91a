//! Checks of the whole runtime, run natively.

mod chain;
mod equivocation;
mod genesis;
mod metadata;
mod signature;
mod validator;
