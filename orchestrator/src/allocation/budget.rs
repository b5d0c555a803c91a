//! What an application can pay for a node, and nodes that cost more.

use chroom_primitives::{Balance, CHR, NodeId};
use std::fmt;

/// What an application can pay for usage, as the finalised chain has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Budget {
    /// The chain was not heard yet: it may be nothing.
    #[default]
    Unknown,
    /// Known.
    Known {
        /// Highest price per GiB that this orchestrator may agree to, in the smallest unit: no more is paid, whatever the node asks.
        limit: Balance,
        /// What is in the application's escrow, in the smallest unit: no more is paid in all.
        escrow: Balance,
    },
}

/// A node that was left out for its price alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The node.
    pub node: NodeId,
    /// Its price per GiB in the smallest unit.
    pub price: Balance,
}

/// Why a node is too dear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TooDear {
    /// It asks more than is paid.
    #[error("price above the application's limit: {} per GiB, the limit is {}", Chr(*price), Chr(*limit))]
    AboveLimit {
        /// Its price per GiB.
        price: Balance,
        /// The limit.
        limit: Balance,
    },
    /// There is nothing to pay from.
    #[error("price above the application's limit: {} per GiB, and the application's escrow is empty", Chr(*price))]
    NoFunds {
        /// Its price per GiB.
        price: Balance,
    },
    /// It may be too dear.
    #[error("price {} per GiB, and the application's limit is not known yet", Chr(*price))]
    Unknown {
        /// Its price per GiB.
        price: Balance,
    },
}

impl Budget {
    /// Whether a node with this price per GiB can be paid. One that asks nothing always can.
    pub fn affords(&self, price: Balance) -> Result<(), TooDear> {
        match *self {
            _ if price == 0 => Ok(()),
            Budget::Unknown => Err(TooDear::Unknown { price }),
            Budget::Known { limit, .. } if price > limit => Err(TooDear::AboveLimit { price, limit }),
            Budget::Known { escrow: 0, .. } => Err(TooDear::NoFunds { price }),
            Budget::Known { .. } => Ok(()),
        }
    }

    /// Highest price per GiB in the smallest unit that can be paid now, if it is known.
    pub fn ceiling(&self) -> Option<Balance> {
        match *self {
            Budget::Unknown => None,
            Budget::Known { escrow: 0, .. } => Some(0),
            Budget::Known { limit, .. } => Some(limit),
        }
    }
}

/// An amount in whole tokens, with as many decimals as it needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chr(pub Balance);

impl fmt::Display for Chr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:012}", self.0 % CHR);
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{} CHR", self.0 / CHR),
            decimals => write!(f, "{}.{decimals} CHR", self.0 / CHR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn exactly_what_can_be_paid_is_affordable(price: Balance, limit: Balance, escrow in 0u128..2) {
            let budget = Budget::Known { limit, escrow };
            prop_assert_eq!(budget.affords(price).is_ok(), price <= budget.ceiling().unwrap());
            prop_assert_eq!(Budget::Unknown.affords(price).is_ok(), price == 0);
            prop_assert_eq!(budget.affords(0), Ok(()));
        }
    }

    #[test]
    fn the_reason_says_what_is_wrong() {
        let reason = |budget: Budget| budget.affords(3 * CHR / 2).unwrap_err().to_string();
        let poor = reason(Budget::Known { limit: CHR, escrow: 5 });
        assert_eq!(poor, "price above the application's limit: 1.5 CHR per GiB, the limit is 1 CHR");
        assert!(reason(Budget::Known { limit: Balance::MAX, escrow: 0 }).contains("escrow is empty"));
        assert!(reason(Budget::Unknown).contains("not known yet"));
    }

    #[test]
    fn amounts_show_as_tokens() {
        for (amount, text) in
            [(0, "0 CHR"), (CHR, "1 CHR"), (1, "0.000000000001 CHR"), (12 * CHR + CHR / 4, "12.25 CHR")]
        {
            assert_eq!(Chr(amount).to_string(), text);
        }
    }
}
