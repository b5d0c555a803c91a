//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): one HTTP request brings an encoder's media into a room, or a room's media to a
//! player. docs/whip.md is what clients see.
//!
//! A client of these protocols has no connection to the orchestrator between its requests. In its place a task per resource holds
//! a session, as a WebSocket does for signalling's clients: it joins, negotiates, hears the room's events, and leaves.
//!
//! - [`offer`], [`fragment`]: the SDP that comes in; [`viewer`]: what a WHEP client sees;
//! - `resource`: the task; `resources`: all of them; `http`: the routes; `problem`: refusals.

pub mod fragment;
mod http;
pub mod offer;
mod problem;
mod resource;
mod resources;
pub mod viewer;

pub(crate) use http::routes;
pub use resources::Resources;
