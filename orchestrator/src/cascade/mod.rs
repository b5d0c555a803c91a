//! The tree of media nodes that a room spans.
//!
//! [`Tree`] is a state machine without I/O. Nodes that a room uses have seats in it, in the order in which they came; each
//! seat has the fencing epoch that it came with. From the seats follow each node's parent, standby and children, and the
//! orders that bring the nodes to it: [`Tree::orders`] are repeated until [`Tree::answered`] says that they were taken.
//!
//! A seat's parent and standby are always **older** than itself. So no loop can form, whatever orders are lost, late,
//! repeated, or mixed with earlier ones, and a standby is never below the node that it stands by for. A child's epoch is never
//! behind its parent's, which media nodes check when they are joined; so who still has an earlier seat of a node above it is turned
//! away there. Who joins is a leaf: it disturbs nobody.

mod order;
mod seat;
mod shape;
mod tree;

pub use order::{End, Order, Place, Route, Unfit};
pub use seat::Seat;
pub use shape::{MAX_CHILDREN, MAX_DEPTH};
pub use tree::Tree;

#[cfg(test)]
mod tests;
