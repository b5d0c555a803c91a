//! What the node signs about itself.

use crate::health::Load;
use chroom_primitives::{
    CapacityClass, Endpoint, H3Cell, Hash, Role, Signed, UnixMs,
    record::{LoadReport, NodeRecord, ShortText, next_seq},
};
use chroom_wallet::Wallet;
use codec::Encode;

/// How long a record holds. It is renewed at half of it, so a renewal may fail often before anyone misses the node.
pub const LIFETIME_MS: u64 = 10 * 60 * 1_000;

/// What doesn't change while the node runs.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its place.
    pub cell: H3Cell,
    /// Its class.
    pub class: CapacityClass,
    /// Where orchestrators reach it.
    pub rpc: Endpoint,
    /// Its public API.
    pub public_url: ShortText,
    /// Its software.
    pub version: ShortText,
}

/// Signs records and reports, each with a greater number than the one before.
pub struct Author {
    wallet: Wallet,
    genesis: Hash,
    profile: Profile,
    record_seq: u64,
    load_seq: u64,
    report_seq: u64,
}

impl Author {
    /// An author with this wallet, for the network with this genesis hash.
    pub fn new(wallet: Wallet, genesis: Hash, profile: Profile) -> Self {
        Self { wallet, genesis, profile, record_seq: 0, load_seq: 0, report_seq: 0 }
    }

    /// The node's record, or its farewell.
    pub fn record(&mut self, now: UnixMs, left: bool) -> Vec<u8> {
        self.record_seq = next_seq(self.record_seq, now);
        let Profile { cell, class, rpc, public_url, version } = self.profile.clone();
        let record = NodeRecord {
            node: self.wallet.node_id(),
            seq: self.record_seq,
            expires_ms: now + LIFETIME_MS,
            role: Role::Media,
            cell,
            rpc,
            public_url,
            p2p: Default::default(),
            class,
            version,
            left,
        };
        self.wallet.sign(record, &self.genesis).encode()
    }

    /// A load report.
    pub fn load(&mut self, now: UnixMs, load: &Load, egress_limit_kbps: u32, accepting: bool) -> Vec<u8> {
        self.load_seq = next_seq(self.load_seq, now);
        let report = LoadReport {
            node: self.wallet.node_id(),
            seq: self.load_seq,
            cpu: load.cpu,
            ingress_kbps: load.ingress_kbps,
            // Callers confirm what they got; nobody confirms what went over pipes.
            egress_kbps: load.caller_egress_kbps(),
            egress_limit_kbps,
            rooms: load.totals.rooms,
            sessions: load.totals.sessions,
            loss: load.loss,
            rtt_ms: load.rtt_ms,
            accepting,
        };
        self.wallet.sign(report, &self.genesis).encode()
    }

    /// A report on a session.
    pub fn report(
        &mut self,
        now: UnixMs,
        interval: &super::report::Interval,
        epoch: chroom_primitives::QosEpoch,
    ) -> Vec<u8> {
        self.report_seq = next_seq(self.report_seq, now);
        let signed: Signed<_> =
            self.wallet.sign(interval.report(self.wallet.node_id(), epoch, self.report_seq), &self.genesis);
        signed.encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::DecodeAll;

    #[test]
    fn records_are_signed_small_and_numbered() {
        let wallet = Wallet::generate();
        let genesis = Hash::repeat_byte(7);
        let profile = Profile {
            cell: H3Cell(0x0851_fae0_7fff_ffff),
            class: CapacityClass::Small,
            rpc: "127.0.0.1:7400".parse().unwrap(),
            public_url: b"http://127.0.0.1:7600".to_vec().try_into().unwrap(),
            version: b"0.1.0".to_vec().try_into().unwrap(),
        };
        let mut author = Author::new(wallet.clone(), genesis, profile);
        let now = 1_790_000_000_000;
        let first = author.record(now, false);
        assert!(first.len() <= NodeRecord::MAX_ENCODED + 65);
        let first = Signed::<NodeRecord>::decode_all(&mut first.as_slice()).unwrap();
        let second = Signed::<NodeRecord>::decode_all(&mut author.record(now, true).as_slice()).unwrap();
        assert_eq!(first.signer(&genesis), Some(wallet.node_id()));
        assert!(second.payload.seq > first.payload.seq && second.payload.left);
        // A report says what callers can confirm.
        let load = Load { egress_kbps: 900, pipe_egress_kbps: 700, ..Load::default() };
        let report = author.load(now, &load, 1_000, false);
        let report = Signed::<LoadReport>::decode_all(&mut report.as_slice()).unwrap();
        assert_eq!((report.payload.egress_kbps, report.payload.egress_limit_kbps), (200, 1_000));
    }
}
