//! Checks of the whole runtime, run natively.

#[cfg(feature = "runtime-benchmarks")]
mod benchmarks;
mod chain;
mod equivocation;
mod errors;
mod fees;
mod finality_equivocation;
mod genesis;
mod governance;
mod metadata;
mod multisig;
mod nodes;
mod random;
mod safe_mode;
mod signature;
mod sudo;
mod tx_pause;
mod upgrade;
mod validator;
