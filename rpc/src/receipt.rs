//! Callers' receipts: what a client says of the quality that it got, signed with its session's P-256 key.
//!
//! `docs/signalling.md` describes the format. The signature covers the payload's exact text, so nobody needs to agree on how
//! JSON is written. WebCrypto's signatures may have a high s: one receipt can carry two valid signatures, so receipts are told
//! apart by session and `seq`, never by signature.

use chroom_primitives::{NodeId, UnixMs, score::Observation};
use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::{Signer, Verifier},
};
use serde::{Deserialize, Serialize};

/// Longest payload in bytes.
pub const MAX_PAYLOAD: usize = 1_024;
/// Longest interval that one receipt may cover, in milliseconds.
pub const MAX_INTERVAL_MS: u64 = 60_000;
/// How far a receipt's end may be ahead of the clock, in milliseconds.
pub const MAX_AHEAD_MS: u64 = 5_000;
/// The only version.
pub const VERSION: u8 = 1;
/// Largest number that JavaScript writes without loss (2⁵³ − 1).
const MAX_SAFE: u64 = (1 << 53) - 1;

/// What a client measured in one interval of its session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiptBody {
    /// Version of the format: [`VERSION`].
    pub v: u8,
    /// The session.
    pub session: SessionId,
    /// The media node that served it.
    pub node: NodeId,
    /// 1, 2, 3, … within the session.
    pub seq: u64,
    /// Start of the interval, Unix time in milliseconds.
    pub from: UnixMs,
    /// Its end; at most [`MAX_INTERVAL_MS`] later.
    pub to: UnixMs,
    /// RTP packets that arrived, after repair.
    pub rx_packets: u64,
    /// RTP packets lost for good.
    pub rx_lost: u64,
    /// RTP bytes received.
    pub rx_bytes: u64,
    /// RTP bytes sent.
    pub tx_bytes: u64,
    /// Round-trip time in milliseconds.
    pub rtt_ms: u32,
    /// Mean jitter in milliseconds.
    pub jitter_ms: u32,
    /// Bit rate asked for, in kb/s; 0 if unknown.
    pub wanted_kbps: u32,
    /// Bit rate received, in kb/s.
    pub delivered_kbps: u32,
    /// Video frames decoded.
    pub frames_decoded: u64,
    /// Time that the video stood still, in milliseconds.
    pub freeze_ms: u64,
}

/// A session's random id: 32 lower-case hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub [u8; 16]);

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A text is no session id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a session id is 32 hex digits")]
pub struct SessionIdError;

impl std::str::FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut id = [0u8; 16];
        hex::decode_to_slice(text, &mut id).map_err(|_| SessionIdError)?;
        Ok(Self(id))
    }
}

impl Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A signed receipt, as it travels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// The exact text that was signed.
    pub payload: String,
    /// ECDSA P-256 with SHA-256 over the payload's UTF-8 bytes: r ‖ s, 64 bytes; base64url without padding in JSON.
    #[serde(with = "base64url")]
    pub signature: Vec<u8>,
}

/// A receipt is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Too much text.
    #[error("a receipt's payload has at most {MAX_PAYLOAD} bytes")]
    TooLong,
    /// The session's key is none.
    #[error("the receipt key is no compressed P-256 key")]
    Key,
    /// The signature is not by the session's key.
    #[error("the signature is not by the session's receipt key")]
    Signature,
    /// Not the JSON that is expected.
    #[error("the payload is malformed: {0}")]
    Malformed(String),
    /// Fields contradict each other or exceed their range.
    #[error("the payload makes no sense: {0}")]
    Senseless(&'static str),
    /// The receipt is of the future.
    #[error("the receipt ends {ahead_ms} ms in the future; set the clock")]
    Ahead {
        /// By how much.
        ahead_ms: u64,
    },
}

impl ReceiptBody {
    /// Whether the fields agree with each other and lie in their ranges.
    fn check(&self) -> Result<(), ReceiptError> {
        let sizes = [
            self.seq,
            self.to,
            self.rx_packets,
            self.rx_lost,
            self.rx_bytes,
            self.tx_bytes,
            self.frames_decoded,
            self.freeze_ms,
        ];
        let interval = self.to.checked_sub(self.from);
        let fault = if self.v != VERSION {
            "v must be 1"
        } else if self.seq == 0 {
            "seq counts from 1"
        } else if interval.is_none_or(|ms| ms == 0) {
            "to must lie after from"
        } else if interval.is_some_and(|ms| ms > MAX_INTERVAL_MS) {
            "an interval lasts 60 s at most"
        } else if sizes.iter().any(|n| *n > MAX_SAFE) {
            "numbers are below 2^53"
        } else {
            return Ok(());
        };
        Err(ReceiptError::Senseless(fault))
    }

    /// Refuses a receipt whose interval ends later than the clock allows.
    pub fn check_clock(&self, now: UnixMs) -> Result<(), ReceiptError> {
        match self.to.saturating_sub(now) {
            ahead_ms if ahead_ms > MAX_AHEAD_MS => Err(ReceiptError::Ahead { ahead_ms }),
            _ => Ok(()),
        }
    }

    /// The interval as an observation that can be scored.
    pub fn observation(&self) -> Observation {
        let sent = self.rx_packets.saturating_add(self.rx_lost);
        // With nothing sent there is nothing lost.
        let loss = self.rx_lost.saturating_mul(10_000).checked_div(sent).unwrap_or(0).min(10_000) as u16;
        Observation {
            loss,
            rtt_ms: self.rtt_ms,
            jitter_ms: self.jitter_ms,
            delivered_kbps: self.delivered_kbps,
            wanted_kbps: self.wanted_kbps,
        }
    }
}

impl Receipt {
    /// Writes the body as JSON and signs that text.
    pub fn sign(body: &ReceiptBody, key: &SigningKey) -> Result<Self, ReceiptError> {
        body.check()?;
        let payload = serde_json::to_string(body).map_err(|e| ReceiptError::Malformed(e.to_string()))?;
        let signature: Signature = key.sign(payload.as_bytes());
        Ok(Self { payload, signature: signature.to_bytes().to_vec() })
    }

    /// Checks the signature by the session's key (SEC1 compressed), then the payload's form and ranges. Whether session, node
    /// and time fit is the caller's to check: it knows the grant and the clock.
    pub fn verify(&self, key: &[u8; 33]) -> Result<ReceiptBody, ReceiptError> {
        if self.payload.len() > MAX_PAYLOAD {
            return Err(ReceiptError::TooLong);
        }
        let key = VerifyingKey::from_sec1_bytes(key).map_err(|_| ReceiptError::Key)?;
        let signature = Signature::from_slice(&self.signature).map_err(|_| ReceiptError::Signature)?;
        key.verify(self.payload.as_bytes(), &signature).map_err(|_| ReceiptError::Signature)?;
        let body: ReceiptBody =
            serde_json::from_str(&self.payload).map_err(|e| ReceiptError::Malformed(e.to_string()))?;
        body.check()?;
        Ok(body)
    }
}

/// The public side of a receipt key, as session grants carry it.
pub fn public_key(key: &SigningKey) -> [u8; 33] {
    let mut compressed = [0u8; 33];
    for (to, from) in compressed.iter_mut().zip(key.verifying_key().to_sec1_point(true).as_bytes()) {
        *to = *from;
    }
    compressed
}

impl From<Receipt> for crate::v1::Receipt {
    fn from(receipt: Receipt) -> Self {
        Self { payload: receipt.payload, signature: receipt.signature }
    }
}

impl From<crate::v1::Receipt> for Receipt {
    fn from(receipt: crate::v1::Receipt) -> Self {
        Self { payload: receipt.payload, signature: receipt.signature }
    }
}

/// Bytes as base64url without padding.
mod base64url {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64_URL_SAFE_NO_PAD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Shared with the TypeScript client's tests.
    const VECTOR: &str = include_str!("../vectors/receipt.json");

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        about: String,
        secret_key: String,
        receipt_key: String,
        body: ReceiptBody,
        receipt: Receipt,
    }

    fn key() -> SigningKey {
        SigningKey::from_slice(&[7; 32]).unwrap()
    }

    fn body() -> ReceiptBody {
        ReceiptBody {
            v: 1,
            session: SessionId(*b"0123456789abcdef"),
            node: NodeId([0xAB; 20]),
            seq: 3,
            from: 1_795_000_000_000,
            to: 1_795_000_005_000,
            rx_packets: 990,
            rx_lost: 10,
            rx_bytes: 1_100_000,
            tx_bytes: 600_000,
            rtt_ms: 24,
            jitter_ms: 3,
            wanted_kbps: 2_000,
            delivered_kbps: 1_760,
            frames_decoded: 150,
            freeze_ms: 0,
        }
    }

    fn signed(payload: &str) -> Receipt {
        let signature: Signature = key().sign(payload.as_bytes());
        Receipt { payload: payload.into(), signature: signature.to_bytes().to_vec() }
    }

    #[test]
    fn a_signed_receipt_verifies_by_its_own_key_only() {
        let receipt = Receipt::sign(&body(), &key()).unwrap();
        assert_eq!(receipt.verify(&public_key(&key())).unwrap(), body());
        let other = SigningKey::from_slice(&[8; 32]).unwrap();
        assert_eq!(receipt.verify(&public_key(&other)), Err(ReceiptError::Signature));
        assert_eq!(receipt.verify(&[0xFF; 33]), Err(ReceiptError::Key));
        let mut forged = receipt.clone();
        forged.payload = forged.payload.replace("\"rxLost\":10", "\"rxLost\":90");
        assert_ne!(forged, receipt);
        assert_eq!(forged.verify(&public_key(&key())), Err(ReceiptError::Signature));
        let mut short = receipt;
        short.signature.pop();
        assert_eq!(short.verify(&public_key(&key())), Err(ReceiptError::Signature));
    }

    #[test]
    fn the_shared_vector_holds() {
        let vector: Vector = serde_json::from_str(VECTOR).unwrap();
        let key = SigningKey::from_slice(&hex::decode(&vector.secret_key).unwrap()).unwrap();
        let public: [u8; 33] = hex::decode(&vector.receipt_key).unwrap().try_into().unwrap();
        assert_eq!(public_key(&key), public);
        assert_eq!(vector.receipt.verify(&public).unwrap(), vector.body);
        // Signing is deterministic here (RFC 6979), so the whole receipt can be compared.
        assert_eq!(Receipt::sign(&vector.body, &key).unwrap(), vector.receipt);
    }

    #[test]
    #[ignore = "rewrites the shared vector; run by hand when the format changes"]
    fn write_the_shared_vector() {
        let vector = Vector {
            about: "A receipt that both the Rust and the TypeScript side must accept. Keys are hex: the P-256 secret, and \
                    the public key in SEC1 compressed form. The signature (base64url, r || s) is over payload's UTF-8 bytes."
                .into(),
            secret_key: hex::encode(key().to_bytes()),
            receipt_key: hex::encode(public_key(&key())),
            body: body(),
            receipt: Receipt::sign(&body(), &key()).unwrap(),
        };
        let text = serde_json::to_string_pretty(&vector).unwrap() + "\n";
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/receipt.json"), text).unwrap();
    }

    #[test]
    fn senseless_payloads_are_refused() {
        let good = serde_json::to_string(&body()).unwrap();
        let public = public_key(&key());
        assert!(signed(&good).verify(&public).is_ok());
        for (from, to) in [
            ("\"v\":1", "\"v\":2"),
            ("\"seq\":3", "\"seq\":0"),
            ("\"to\":1795000005000", "\"to\":1795000000000"),
            ("\"to\":1795000005000", "\"to\":1794999999999"),
            ("\"to\":1795000005000", "\"to\":1795000060001"),
            ("\"rxBytes\":1100000", "\"rxBytes\":9007199254740992"),
        ] {
            let text = good.replace(from, to);
            assert_ne!(text, good);
            assert!(matches!(signed(&text).verify(&public), Err(ReceiptError::Senseless(_))), "{to}");
        }
        for (from, to) in [
            ("\"seq\":3", "\"seq\":-3"),
            ("\"seq\":3", "\"seq\":3.5"),
            ("\"seq\":3,", ""),
            ("\"seq\":3", "\"seq\":3,\"seq\":4"),
            ("\"seq\":3", "\"seq\":3,\"name\":\"Ada\""),
            ("30313233", "3031"),
        ] {
            let text = good.replace(from, to);
            assert_ne!(text, good);
            assert!(matches!(signed(&text).verify(&public), Err(ReceiptError::Malformed(_))), "{to}");
        }
        let long = format!("{good}{}", " ".repeat(MAX_PAYLOAD));
        assert_eq!(signed(&long).verify(&public), Err(ReceiptError::TooLong));
    }

    #[test]
    fn the_future_is_refused() {
        let body = body();
        assert!(body.check_clock(body.to - MAX_AHEAD_MS).is_ok());
        assert_eq!(
            body.check_clock(body.to - MAX_AHEAD_MS - 1),
            Err(ReceiptError::Ahead { ahead_ms: MAX_AHEAD_MS + 1 })
        );
    }

    #[test]
    fn loss_is_the_share_of_what_was_sent() {
        assert_eq!(body().observation().loss, 100);
        assert_eq!(ReceiptBody { rx_packets: 0, rx_lost: 0, ..body() }.observation().loss, 0);
        assert_eq!(ReceiptBody { rx_packets: 0, rx_lost: 5, ..body() }.observation().loss, 10_000);
    }

    #[test]
    fn signature_travels_as_base64url() {
        let receipt = Receipt { payload: "{}".into(), signature: vec![0xFB, 0xFF] };
        let json = serde_json::to_string(&receipt).unwrap();
        assert_eq!(json, r#"{"payload":"{}","signature":"-_8"}"#);
        assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), receipt);
    }

    proptest! {
        #[test]
        fn no_input_makes_it_panic(payload in "\\PC{0,300}", signature: Vec<u8>, key in proptest::array::uniform32(0u8..)) {
            let mut public = [2u8; 33];
            public[1..].copy_from_slice(&key);
            let receipt = Receipt { payload, signature };
            prop_assert!(receipt.verify(&public).is_err());
        }
    }
}
