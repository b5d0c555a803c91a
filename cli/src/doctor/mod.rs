//! What keeps a node from being reached: checks from outside and on the machine itself, each with a time limit, and what to do about what
//! they find.
//!
//! Measuring and judging are apart: a check sends, waits and gives its figures to a function that knows neither sockets nor clocks.

pub mod address;
pub mod clock;
pub mod finding;
pub mod ice_server;
pub mod local;
pub mod name;
pub mod node;
pub mod orchestrator;
pub mod quic;
pub mod register;
pub mod relay;
pub mod stun;
pub mod turn;
pub mod udp;
