//! The public's read-only interface: JSON-RPC over HTTP, `GET /health` and `GET /metrics`. Nothing in it names a caller.

pub mod methods;
pub mod server;
pub mod view;
