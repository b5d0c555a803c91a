//! Why a command did not do what it was asked for, and what the user can do about it.

use serde::Serialize;
use std::fmt;

/// A failed command: the message, a hint, and whether the user called it wrongly.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Failure {
    /// What went wrong.
    #[serde(rename = "error")]
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether the command was called wrongly (exit code 2) rather than failed (exit code 1).
    #[serde(skip)]
    pub wrong_usage: bool,
}

impl Failure {
    /// The command ran and failed.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), hint: None, wrong_usage: false }
    }

    /// The command was called wrongly.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), hint: None, wrong_usage: true }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The process's exit code.
    pub const fn exit_code(&self) -> u8 {
        if self.wrong_usage { 2 } else { 1 }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// Adds to an error what was being done.
pub trait Context<T> {
    /// `what: error`.
    fn context(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: std::error::Error> Context<T> for Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format_args!("{what}: {}", chain_of(&error))))
    }
}

/// An error with the causes behind it, each said once.
pub fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
