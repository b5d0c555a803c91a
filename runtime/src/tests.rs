//! Checks of the whole runtime, run natively.
