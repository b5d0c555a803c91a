//! Receipts that callers signed: the checks, without I/O.

use super::{epoch::EpochTimes, epoch::TimeRefusal, session::Session};
use chroom_primitives::{NodeId, QosEpoch, Score, UnixMs, score::Observation, score::score};
use chroom_rpc::receipt::{MAX_INTERVAL_MS, ReceiptBody, ReceiptError};
use codec::{Decode, Encode};

/// How far intervals of one session may overlap, and how far the first may begin before the grant, in milliseconds: two clocks are involved.
pub const SLACK_MS: u64 = 2_000;

/// A receipt as it is kept: what the caller signed, word for word, and the figures in it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct StoredReceipt {
    /// Sequence number in its session.
    pub seq: u64,
    /// Begin of the interval, Unix time in milliseconds.
    pub from_ms: UnixMs,
    /// End of the interval.
    pub to_ms: UnixMs,
    /// RTP packets that arrived.
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
    /// Bit rate that was asked for, in kb/s; 0 if unknown.
    pub wanted_kbps: u32,
    /// Bit rate that arrived, in kb/s.
    pub delivered_kbps: u32,
    /// The text that was signed.
    pub payload: String,
    /// P-256 signature over it, r ‖ s.
    pub signature: Vec<u8>,
}

impl StoredReceipt {
    /// Length of the interval in milliseconds, at least 1.
    pub fn duration_ms(&self) -> u64 {
        self.to_ms.saturating_sub(self.from_ms).max(1)
    }

    /// Score of the interval.
    pub fn score(&self) -> Score {
        let sent = self.rx_packets.saturating_add(self.rx_lost);
        let loss = self.rx_lost.saturating_mul(10_000).checked_div(sent).unwrap_or(0);
        score(&Observation {
            loss: u16::try_from(loss.min(10_000)).unwrap_or(10_000),
            rtt_ms: self.rtt_ms,
            jitter_ms: self.jitter_ms,
            delivered_kbps: self.delivered_kbps,
            wanted_kbps: self.wanted_kbps,
        })
    }

    /// Bytes of media that the caller confirms, both ways.
    pub fn bytes(&self) -> u64 {
        self.rx_bytes.saturating_add(self.tx_bytes)
    }
}

/// Why a receipt is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptRefusal {
    /// Not signed by the session's key, or not of a receipt's form.
    #[error("{0}")]
    Receipt(#[from] ReceiptError),
    /// Of another session than the grant.
    #[error("the receipt names another session than the grant")]
    OtherSession,
    /// Of another node than the grant.
    #[error("the receipt names another media node than the grant")]
    OtherNode,
    /// The sequence number was used up.
    #[error("receipt {seq} of this session comes after {last}: sequence numbers only grow")]
    Replayed {
        /// Its number.
        seq: u64,
        /// The newest here.
        last: u64,
    },
    /// The interval is empty, negative or too long.
    #[error("the interval must last from 1 ms to 60 s")]
    Interval,
    /// The interval overlaps the one before.
    #[error("the interval begins before the end of the last receipt's")]
    Overlap,
    /// The interval lies outside of the grant.
    #[error("the interval lies outside of the session's time in the grant")]
    OutsideGrant,
    /// Figures that no caller can have measured.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// Too late.
    #[error(transparent)]
    Time(#[from] TimeRefusal),
    /// Not this attestor's node.
    #[error("this registry is not in the committee of {node} for epoch {}; ask the chain who is", epoch.0)]
    NotInCommittee {
        /// The node.
        node: NodeId,
        /// The epoch in which the interval ends.
        epoch: QosEpoch,
    },
}

/// Checks what a caller signed (`body`, whose signature holds) against its session and the time.
pub fn judge(
    session: &Session,
    body: &ReceiptBody,
    payload: &str,
    signature: &[u8],
    times: &EpochTimes,
    now: UnixMs,
) -> Result<StoredReceipt, ReceiptRefusal> {
    let grant = &session.grant.payload;
    if body.session.0 != grant.session {
        return Err(ReceiptRefusal::OtherSession);
    }
    if body.node != grant.node {
        return Err(ReceiptRefusal::OtherNode);
    }
    if body.seq <= session.last_seq {
        return Err(ReceiptRefusal::Replayed { seq: body.seq, last: session.last_seq });
    }
    let length = body.to.checked_sub(body.from).filter(|ms| (1..=MAX_INTERVAL_MS).contains(ms));
    let length = length.ok_or(ReceiptRefusal::Interval)?;
    body.check_clock(now)?;
    if body.from.saturating_add(SLACK_MS) < session.last_to_ms || body.to <= session.last_to_ms {
        return Err(ReceiptRefusal::Overlap);
    }
    if body.from.saturating_add(SLACK_MS) < grant.started_ms || body.to > grant.expires_ms {
        return Err(ReceiptRefusal::OutsideGrant);
    }
    // 10 Gb/s and a million packets a second are beyond any caller.
    if body.rx_bytes.saturating_add(body.tx_bytes) > length.saturating_mul(1_250_000) {
        return Err(ReceiptRefusal::Range("the number of bytes"));
    }
    if body.rx_packets.saturating_add(body.rx_lost) > length.saturating_mul(1_000).saturating_add(1_000) {
        return Err(ReceiptRefusal::Range("the number of packets"));
    }
    times.admits(body.to, now)?;
    Ok(StoredReceipt {
        seq: body.seq,
        from_ms: body.from,
        to_ms: body.to,
        rx_packets: body.rx_packets,
        rx_lost: body.rx_lost,
        rx_bytes: body.rx_bytes,
        tx_bytes: body.tx_bytes,
        rtt_ms: body.rtt_ms,
        jitter_ms: body.jitter_ms,
        wanted_kbps: body.wanted_kbps,
        delivered_kbps: body.delivered_kbps,
        payload: payload.to_owned(),
        signature: signature.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{GENESIS, wallet};
    use chroom_primitives::{AccountId, epoch::EpochInfo, record::SessionGrant};
    use chroom_rpc::receipt::SessionId;

    const START: UnixMs = 1_800_000_000_000;

    fn session() -> Session {
        let orchestrator = wallet(5);
        let grant = SessionGrant {
            orchestrator: orchestrator.node_id(),
            node: NodeId([7; 20]),
            session: [3; 16],
            application: AccountId::new([8; 32]),
            receipt_key: [2; 33],
            started_ms: START,
            expires_ms: START + 3_600_000,
        };
        Session::new(orchestrator.sign(grant, &GENESIS), AccountId::new([1; 32]))
    }

    fn body(seq: u64, from: UnixMs, to: UnixMs) -> ReceiptBody {
        ReceiptBody {
            v: 1,
            session: SessionId([3; 16]),
            node: NodeId([7; 20]),
            seq,
            from,
            to,
            rx_packets: 90,
            rx_lost: 10,
            rx_bytes: 100_000,
            tx_bytes: 50_000,
            rtt_ms: 10,
            jitter_ms: 1,
            wanted_kbps: 0,
            delivered_kbps: 0,
            frames_decoded: 0,
            freeze_ms: 0,
        }
    }

    fn times() -> EpochTimes {
        let mut times = EpochTimes::default();
        times.observe(
            1,
            EpochInfo {
                current: QosEpoch(0),
                started_at: 1,
                started_ms: START - 1_000,
                length: 8,
                submit_window: 4,
                committee_size: 3,
            },
        );
        times
    }

    fn verdict(session: &Session, body: &ReceiptBody, now: UnixMs) -> Result<StoredReceipt, ReceiptRefusal> {
        judge(session, body, "{}", &[0; 64], &times(), now)
    }

    #[test]
    fn a_sound_receipt_is_taken_once() {
        let mut session = session();
        let now = START + 6_000;
        let taken = verdict(&session, &body(1, START, START + 5_000), now).unwrap();
        assert_eq!((taken.seq, taken.rx_lost, taken.bytes()), (1, 10, 150_000));
        session.last_seq = 1;
        session.last_to_ms = START + 5_000;
        assert!(matches!(
            verdict(&session, &body(1, START, START + 5_000), now),
            Err(ReceiptRefusal::Replayed { seq: 1, last: 1 })
        ));
        assert!(matches!(verdict(&session, &body(2, START, START + 5_001), now), Err(ReceiptRefusal::Overlap)));
        assert!(verdict(&session, &body(2, START + 4_900, START + 9_000), now).is_ok());
    }

    #[test]
    fn what_does_not_fit_the_grant_or_the_time_is_refused() {
        let session = session();
        let now = START + 6_000;
        let good = body(1, START, START + 5_000);
        let other = |change: fn(&mut ReceiptBody)| {
            let mut body = good.clone();
            change(&mut body);
            verdict(&session, &body, now)
        };
        assert!(matches!(other(|b| b.session = SessionId([4; 16])), Err(ReceiptRefusal::OtherSession)));
        assert!(matches!(other(|b| b.node = NodeId([8; 20])), Err(ReceiptRefusal::OtherNode)));
        assert!(matches!(other(|b| b.from = b.to), Err(ReceiptRefusal::Interval)));
        assert!(matches!(other(|b| b.to = START + 12_000), Err(ReceiptRefusal::Receipt(ReceiptError::Ahead { .. }))));
        assert!(matches!(other(|b| b.from = START - 2_001), Err(ReceiptRefusal::OutsideGrant)));
        assert!(matches!(other(|b| b.rx_bytes = 1 << 40), Err(ReceiptRefusal::Range(_))));
        let mut early = session.clone();
        early.grant.payload.started_ms = START - 100_000;
        assert!(matches!(
            verdict(&early, &body(1, START - 9_000, START - 5_000), START + 60_000),
            Err(ReceiptRefusal::Time(TimeRefusal::Closed))
        ));
    }
}
