//! Why a client's request is refused.

use crate::allocation::{Budget, Chr, Decision, Explanation, Offer, Seated};
use chroom_primitives::Balance;

/// A refusal, as docs/signalling.md lists them.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The access token is not valid.
    #[error("the access token is not valid: {0}")]
    TokenInvalid(String),
    /// The token's time has passed or not come.
    #[error("the access token is out of its time: {0}")]
    TokenExpired(String),
    /// The grant lacks a right.
    #[error("the access token does not grant `{needs}`")]
    NotPermitted {
        /// The right that is missing.
        needs: &'static str,
    },
    /// The application's profile turned the participant away.
    #[error("the application refuses: {0}")]
    Application(String),
    /// No media node can take the session.
    #[error("no media node can take the session")]
    NoMediaNode(Box<Explanation>),
    /// Media nodes could take the session, and all of them cost more than the application can pay.
    #[error("no media node is within the application's price limit: {}", limit(*ceiling, cheapest))]
    TooDear {
        /// Highest price per GiB that it can pay, in the smallest unit; none if that is not known yet.
        ceiling: Option<Balance>,
        /// The cheapest that could.
        cheapest: Offer,
        /// Each node with why it was passed over.
        explanation: Box<Explanation>,
    },
    /// There is no session.
    #[error("{0}")]
    NoSession(&'static str),
    /// The media node refused or failed.
    #[error("the media node failed: {0}")]
    MediaNodeFailed(String),
    /// The media node does not take the offer, or what is to be done with it.
    #[error("the media node failed: refused: {0}")]
    OfferRefused(String),
    /// The receipt is not good.
    #[error("the receipt is refused: {0}")]
    ReceiptRefused(String),
    /// Too much at once.
    #[error("too many requests: {0}")]
    TooManyRequests(&'static str),
    /// The parameters don't fit.
    #[error("invalid parameters: {0}")]
    InvalidParams(String),
    /// This orchestrator's own fault.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl Refusal {
    /// Why a decision found no node for an application with this budget.
    pub fn of(decision: Decision, budget: Budget) -> Self {
        Self::no_node(decision.too_dear, decision.explanation, budget)
    }

    /// Why a decision found no node for a participant of a room that has nodes.
    pub fn unseated(seated: Seated, budget: Budget) -> Self {
        Self::no_node(seated.too_dear, seated.explanation, budget)
    }

    fn no_node(too_dear: Option<Offer>, explanation: Explanation, budget: Budget) -> Self {
        let explanation = Box::new(explanation);
        match too_dear {
            Some(cheapest) => Self::TooDear { ceiling: budget.ceiling(), cheapest, explanation },
            None => Self::NoMediaNode(explanation),
        }
    }
}

fn limit(ceiling: Option<Balance>, cheapest: &Offer) -> String {
    let cheapest = format!("the cheapest, {}, asks {} per GiB", cheapest.node, Chr(cheapest.price));
    match ceiling {
        Some(ceiling) => format!("the limit is {} per GiB, {cheapest}", Chr(ceiling)),
        None => format!("the limit is not known yet, {cheapest}"),
    }
}
