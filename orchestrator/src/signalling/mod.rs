//! What clients and the public talk to: JSON-RPC over WebSocket (docs/signalling.md), and on the same port
//! `GET /health`, `/metrics` and `/v1/network`, and WHIP and WHEP ([`crate::whip`]).

mod errors;
mod limits;
mod methods;
mod network;
pub mod params;
mod server;
mod share;

pub use errors::{error_object, slug};
pub use limits::{RateLimit, ServerLimits};
pub use methods::Service;
pub use network::{NetworkNode, NetworkView, network};
pub(crate) use params::place;
pub use server::{ServeError as ServeFailure, serve};
