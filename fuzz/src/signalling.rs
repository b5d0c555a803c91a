//! Parameters of clients' requests.

use chroom_orchestrator::signalling::params::{
    JoinParams, KickParams, MuteParams, NegotiateParams, ReceiptParams, ResumeParams, SubscribeParams, UnpublishParams,
};

pub fn run(input: &[u8]) {
    if let Ok(params) = serde_json::from_slice::<JoinParams>(input) {
        let _ = params.receipt_key();
        let _ = params.cell();
    }
    if let Ok(params) = serde_json::from_slice::<NegotiateParams>(input) {
        let _ = params.request();
    }
    if let Ok(params) = serde_json::from_slice::<SubscribeParams>(input) {
        let _ = params.request();
    }
    if let Ok(params) = serde_json::from_slice::<ResumeParams>(input) {
        let _ = params.request();
    }
    if let Ok(params) = serde_json::from_slice::<MuteParams>(input) {
        let _ = params.request();
    }
    if let Ok(params) = serde_json::from_slice::<UnpublishParams>(input) {
        let _ = params.request();
    }
    if let Ok(params) = serde_json::from_slice::<KickParams>(input) {
        let _ = params.request();
    }
    if let Ok(params) = serde_json::from_slice::<ReceiptParams>(input) {
        let _ = params.receipt();
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"token":"a.b.c","receiptKey":"A2sX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW","cell":"85283473fffffff"}"#,
        r#"{"sdp":"v=0","publish":[{"mid":"0","track":"t","source":"camera"}],"subscribe":[{"mid":"1","track":"u","maxHeight":360,"priority":"high"}]}"#,
        r#"{"subscribe":[{"mid":"1","track":""}]}"#,
        r#"{"session":"00000000000000000000000000000001","secret":"s"}"#,
        r#"{"track":"t","muted":true}"#,
        r#"{"participant":"p"}"#,
        r#"{"payload":"{}","signature":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
