//! A network in which everything is computed: no clock, no sockets, the same in each run. It drives [`Controller`](super::Controller) and
//! [`Pacer`](super::Pacer) as an egress does, through feedback as it is on the wire.

mod flow;
mod link;
mod loss;
mod random;
mod receiver;
mod reno;
mod scenarios;
mod source;
mod table;
mod world;

pub use flow::Flow;
pub use link::{Line, Link, Parcel};
pub use loss::{Losing, Loss};
pub use random::Random;
pub use receiver::{Load, Message, Receiver};
pub use reno::Reno;
pub use source::{Picture, Pictures, Source};
pub use world::{Sample, World};
