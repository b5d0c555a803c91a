//! Refusals as JSON-RPC errors, with a reason and a hint.

use crate::session::Refusal;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Map, Value, json};

/// Code, slug and hint of a refusal.
fn parts(refusal: &Refusal) -> (i32, &'static str, &'static str) {
    match refusal {
        Refusal::TokenInvalid(_) => {
            (-32001, "token-invalid", "get a new token from your application's back end; see docs/signalling.md")
        }
        Refusal::TokenExpired(_) => (-32002, "token-expired", "get a new token, and check both clocks"),
        Refusal::NotPermitted { .. } => (-32003, "not-permitted", "ask the application for a token with this grant"),
        Refusal::Application(_) => (-32003, "not-permitted", "the application's rules decide who enters"),
        Refusal::NoMediaNode(_) => {
            (-32004, "no-media-node", "try again in a few seconds; data.considered says why each node was passed over")
        }
        Refusal::TooDear { ceiling: None, .. } => {
            (-32009, "price-limit", "the orchestrator has not heard from the chain yet: try again in a few seconds")
        }
        Refusal::TooDear { .. } => (
            -32009,
            "price-limit",
            "the application fills its escrow (chroom escrow deposit) and lets this orchestrator agree to such a price (chroom escrow authorize)",
        ),
        Refusal::NoSession(_) => (-32005, "no-session", "call session.join with a fresh token"),
        Refusal::MediaNodeFailed(_) | Refusal::OfferRefused(_) => {
            (-32006, "media-node-failed", "wait for `moved` or `closed`, or negotiate again in a moment")
        }
        Refusal::ReceiptRefused(_) => (-32007, "receipt-refused", "sign each interval once, with a growing seq"),
        Refusal::TooManyRequests(_) => (-32008, "too-many-requests", "slow down and try again in a second"),
        Refusal::InvalidParams(_) => (-32602, "invalid-params", "see docs/signalling.md"),
        Refusal::Internal(_) => (-32603, "internal", "try again; if it stays, tell the operator"),
    }
}

/// The slug of a refusal.
pub fn slug(refusal: &Refusal) -> &'static str {
    parts(refusal).1
}

/// The refusal as clients get it.
pub fn error_object(refusal: &Refusal) -> ErrorObjectOwned {
    let (code, reason, hint) = parts(refusal);
    let mut data = Map::new();
    data.insert("reason".to_owned(), json!(reason));
    data.insert("hint".to_owned(), json!(hint));
    match refusal {
        Refusal::NotPermitted { needs } => {
            data.insert("needs".to_owned(), json!(needs));
        }
        Refusal::NoMediaNode(explanation) => {
            data.insert("considered".to_owned(), serde_json::to_value(explanation).unwrap_or(Value::Null));
        }
        Refusal::TooDear { ceiling, cheapest, explanation } => {
            // As texts: they are beyond what JavaScript's numbers hold.
            data.insert("limit".to_owned(), json!(ceiling.map(|ceiling| ceiling.to_string())));
            data.insert("cheapest".to_owned(), json!({ "node": cheapest.node, "price": cheapest.price.to_string() }));
            data.insert("considered".to_owned(), serde_json::to_value(explanation).unwrap_or(Value::Null));
        }
        _ => {}
    }
    ErrorObjectOwned::owned(code, refusal.to_string(), Some(data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocation::{Considered, Explanation, Offer, Verdict};
    use chroom_primitives::{CHR, NodeId};

    #[test]
    fn errors_carry_what_the_contract_says() {
        let error = error_object(&Refusal::NotPermitted { needs: "publish" });
        let data: Value = serde_json::from_str(error.data().unwrap().get()).unwrap();
        assert_eq!(
            (error.code(), &data["reason"], &data["needs"]),
            (-32003, &json!("not-permitted"), &json!("publish"))
        );
        let explanation = Explanation {
            considered: vec![Considered {
                node: NodeId([1; 20]),
                km: Some(5),
                turn: None,
                verdict: Verdict::PassedOver { reason: "draining on the chain".into() },
            }],
        };
        let error = error_object(&Refusal::NoMediaNode(Box::new(explanation)));
        let data: Value = serde_json::from_str(error.data().unwrap().get()).unwrap();
        assert_eq!(data["considered"][0]["reason"], "draining on the chain");
        assert_eq!(data["considered"][0]["node"], NodeId([1; 20]).to_hex());
        let cheapest = Offer { node: NodeId([2; 20]), price: 3 * CHR };
        let explanation = Box::new(Explanation::default());
        let error = error_object(&Refusal::TooDear { ceiling: Some(CHR), cheapest, explanation });
        let data: Value = serde_json::from_str(error.data().unwrap().get()).unwrap();
        assert_eq!((error.code(), &data["reason"]), (-32009, &json!("price-limit")));
        assert_eq!((&data["limit"], &data["cheapest"]["price"]), (&json!("1000000000000"), &json!("3000000000000")));
        let message = error.message();
        assert!(message.contains("the limit is 1 CHR") && message.contains(&NodeId([2; 20]).to_hex()), "{message}");
    }
}
