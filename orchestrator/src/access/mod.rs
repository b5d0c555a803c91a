//! Who may do what: applications' keys and the tokens that they sign.

mod apps;
mod token;

pub use apps::{App, Apps, AppsError};
pub use token::{CheckedToken, Claims, Grants, MAX_AHEAD_S, TokenError, verify};
