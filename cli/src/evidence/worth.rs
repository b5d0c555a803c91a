//! Whether evidence is worth a report: the chain's own rules, asked before anybody pays a fee.

use super::{Charge, Evidence};
use crate::failure::{Context, Failure};
use chroom_chain_client::{Attestation, ChainClient, SentRoots, Stake};
use chroom_primitives::{Hash, NodeId, QosEpoch, UnixMs, evidence::RootEquivocation, record::seq_time};

/// How far the time in a sequence number may be ahead of the chain's for a report, in milliseconds: the chain's rule, on this machine's
/// clock.
const MAX_AHEAD_MS: u64 = 10 * 60 * 1_000;

/// What the chain knows that decides over a charge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// What can be slashed for the accused; none if it is not registered.
    pub stake: Option<Stake>,
    /// Sequence number of a record up to which it was punished.
    pub punished_up_to: Option<u64>,
    /// Whether it is an attestor of the epoch; none if the chain does not know the epoch.
    pub is_attestor: Option<bool>,
    /// How it stands in the epoch.
    pub attestation: Attestation,
}

impl Facts {
    /// Asks the chain.
    pub async fn ask(chain: &ChainClient, charge: &Charge) -> Result<Self, Failure> {
        let node = charge.node();
        let what = format!("cannot ask the chain about {node}");
        let mut facts =
            Self { stake: None, punished_up_to: None, is_attestor: None, attestation: Attestation::default() };
        // Anybody can make up keys that contradict themselves: they are not worth a question.
        if chain.membership().borrow().get(&node).is_none() {
            return Ok(facts);
        }
        facts.stake = chain.stake(node).await.context(&what)?;
        match charge {
            Charge::Records { .. } => facts.punished_up_to = chain.punished(node).await.context(&what)?,
            Charge::Roots { epoch, .. } => {
                facts.is_attestor = chain.is_attestor(*epoch, node).await.context(&what)?;
                facts.attestation = chain.attestation_of(*epoch, node).await.context(&what)?;
            }
        }
        Ok(facts)
    }
}

/// Why evidence is not worth a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Worthless {
    /// A signature is not the accused's, or nothing contradicts.
    #[error("it shows no contradiction: a signature is not {0}'s on this network, or it says the same twice")]
    Unsound(NodeId),
    /// The accused has no registration.
    #[error("{0} is not registered any more: there is nothing to slash")]
    NotRegistered(NodeId),
    /// Its bond is gone.
    #[error("{0} has no bond left: nothing would be slashed, and the report would cost its fee")]
    NothingLeft(NodeId),
    /// It was punished for a record of this or a later number.
    #[error("it is spent: {node} was punished for its records up to the number {up_to}")]
    RecordsSpent {
        /// The accused.
        node: NodeId,
        /// The number.
        up_to: u64,
    },
    /// The record is of the future.
    #[error("its number is ahead of the time: the chain takes it in {0} s")]
    Ahead(u64),
    /// The chain has forgotten the epoch, or it has not begun.
    #[error("the chain remembers nothing of epoch {}: it is too late, or too early", .0.0)]
    UnknownEpoch(QosEpoch),
    /// It had no say in the epoch.
    #[error("{node} was no attestor of epoch {}", epoch.0)]
    NotAttestor {
        /// The accused.
        node: NodeId,
        /// The epoch.
        epoch: QosEpoch,
    },
    /// It was punished for the epoch.
    #[error("it is spent: {node} was punished for epoch {} already", epoch.0)]
    EpochSpent {
        /// The accused.
        node: NodeId,
        /// The epoch.
        epoch: QosEpoch,
    },
    /// There is nothing that the statement could contradict.
    #[error("{0} sent no root to the chain that the statement could contradict")]
    NoRoot(NodeId),
    /// The statement is true.
    #[error("the chain has the very roots that the statement names")]
    SameRoots,
}

impl Evidence {
    /// Whether a report now would be taken and slash something, by the chain's rules.
    pub fn weigh(&self, genesis: &Hash, facts: &Facts, now: UnixMs) -> Result<(), Worthless> {
        let charge = self.charge();
        let node = charge.node();
        if !self.is_sound(genesis) {
            return Err(Worthless::Unsound(node));
        }
        let stake = facts.stake.ok_or(Worthless::NotRegistered(node))?;
        match charge {
            Charge::Records { seq, .. } => {
                let ahead = seq_time(seq).saturating_sub(now.saturating_add(MAX_AHEAD_MS));
                if ahead > 0 {
                    return Err(Worthless::Ahead(ahead.div_ceil(1_000)));
                }
                if let Some(up_to) = facts.punished_up_to.filter(|up_to| seq <= *up_to) {
                    return Err(Worthless::RecordsSpent { node, up_to });
                }
            }
            Charge::Roots { epoch, .. } => self.weigh_roots(node, epoch, facts)?,
        }
        if stake.amount == 0 { Err(Worthless::NothingLeft(stake.bearer)) } else { Ok(()) }
    }

    fn weigh_roots(&self, node: NodeId, epoch: QosEpoch, facts: &Facts) -> Result<(), Worthless> {
        match facts.is_attestor {
            None => return Err(Worthless::UnknownEpoch(epoch)),
            Some(false) => return Err(Worthless::NotAttestor { node, epoch }),
            Some(true) => {}
        }
        if facts.attestation.punished {
            return Err(Worthless::EpochSpent { node, epoch });
        }
        if let Evidence::Roots(RootEquivocation::AgainstChain(statement)) = self {
            let SentRoots { quality, snapshot } = facts.attestation.roots.ok_or(Worthless::NoRoot(node))?;
            if (statement.payload.quality, statement.payload.snapshot) == (quality, snapshot) {
                return Err(Worthless::SameRoots);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use chroom_primitives::{
        CapacityClass, H3Cell, Role, Signed,
        evidence::{RecordEquivocation, RootStatement},
        merkle::Root,
        record::NodeRecord,
    };
    use chroom_wallet::Wallet;

    pub const GENESIS: Hash = Hash::repeat_byte(7);
    const NOW: UnixMs = 1_800_000_000_000;

    pub fn wallet(n: u8) -> Wallet {
        Wallet::from_secret(&[n; 32]).unwrap()
    }

    pub fn root(n: u8) -> Root {
        Root { hash: Hash::repeat_byte(n), leaves: 1 }
    }

    fn record(signer: u8, of: u8, seq: u64, left: bool) -> Signed<NodeRecord> {
        let record = NodeRecord {
            node: wallet(of).node_id(),
            seq,
            expires_ms: NOW,
            role: Role::Media,
            cell: H3Cell(0),
            rpc: "127.0.0.1:7400".parse().unwrap(),
            public_url: Default::default(),
            p2p: Default::default(),
            class: CapacityClass::Small,
            version: Default::default(),
            left,
        };
        wallet(signer).sign(record, &GENESIS)
    }

    pub fn records(node: u8, seq: u64) -> Evidence {
        Evidence::Records(RecordEquivocation {
            first: record(node, node, seq, false),
            second: record(node, node, seq, true),
        })
    }

    pub fn statement(signer: u8, of: u8, epoch: u32, quality: u8) -> Signed<RootStatement> {
        let (attestor, epoch) = (wallet(of).node_id(), QosEpoch(epoch));
        let statement = RootStatement { attestor, epoch, quality: root(quality), snapshot: root(0) };
        wallet(signer).sign(statement, &GENESIS)
    }

    pub fn roots_against_chain(node: u8, quality: u8) -> Evidence {
        Evidence::Roots(RootEquivocation::AgainstChain(statement(node, node, 7, quality)))
    }

    pub fn two_statements(node: u8, quality: u8) -> Evidence {
        let (first, second) = (statement(node, node, 7, 1), statement(node, node, 7, quality));
        Evidence::Roots(RootEquivocation::Statements { first, second })
    }

    fn facts(node: u8) -> Facts {
        Facts {
            stake: Some(Stake { bearer: wallet(node).node_id(), amount: 1 }),
            punished_up_to: None,
            is_attestor: Some(true),
            attestation: Attestation {
                roots: Some(SentRoots { quality: root(1), snapshot: root(0) }),
                punished: false,
            },
        }
    }

    fn weigh(evidence: &Evidence, facts: Facts) -> Result<(), Worthless> {
        evidence.weigh(&GENESIS, &facts, NOW)
    }

    #[test]
    fn two_records_are_worth_a_report_until_they_are_spent() {
        let node = wallet(1).node_id();
        let seq = NOW << 16;
        assert_eq!(weigh(&records(1, seq), facts(1)), Ok(()));
        let punished = |up_to| Facts { punished_up_to: Some(up_to), ..facts(1) };
        assert_eq!(weigh(&records(1, seq), punished(seq - 1)), Ok(()));
        assert_eq!(weigh(&records(1, seq), punished(seq)), Err(Worthless::RecordsSpent { node, up_to: seq }));
        let ahead = (NOW + MAX_AHEAD_MS + 1_500) << 16;
        assert_eq!(weigh(&records(1, ahead), facts(1)), Err(Worthless::Ahead(2)));
        assert_eq!(weigh(&records(1, seq), Facts { stake: None, ..facts(1) }), Err(Worthless::NotRegistered(node)));
        let poor = Some(Stake { bearer: wallet(2).node_id(), amount: 0 });
        let poor = weigh(&records(1, seq), Facts { stake: poor, ..facts(1) });
        assert_eq!(poor, Err(Worthless::NothingLeft(wallet(2).node_id())));
    }

    #[test]
    fn what_the_accused_did_not_sign_is_worth_nothing() {
        let node = wallet(1).node_id();
        let seq = NOW << 16;
        let same = RecordEquivocation { first: record(1, 1, seq, true), second: record(1, 1, seq, true) };
        let forged = RecordEquivocation { first: record(1, 1, seq, false), second: record(2, 1, seq, true) };
        for pair in [same, forged] {
            assert_eq!(weigh(&Evidence::Records(pair), facts(1)), Err(Worthless::Unsound(node)));
        }
        let sound = records(1, seq);
        assert_eq!(sound.weigh(&Hash::zero(), &facts(1), NOW), Err(Worthless::Unsound(node)), "another network");
        let forged = Evidence::Roots(RootEquivocation::AgainstChain(statement(2, 1, 7, 2)));
        assert_eq!(weigh(&forged, facts(1)), Err(Worthless::Unsound(node)));
        assert_eq!(weigh(&two_statements(1, 1), facts(1)), Err(Worthless::Unsound(node)));
    }

    #[test]
    fn roots_are_weighed_against_what_the_chain_has() {
        let (node, epoch) = (wallet(1).node_id(), QosEpoch(7));
        assert_eq!(weigh(&roots_against_chain(1, 2), facts(1)), Ok(()));
        assert_eq!(weigh(&roots_against_chain(1, 1), facts(1)), Err(Worthless::SameRoots));
        let silent = Facts { attestation: Attestation::default(), ..facts(1) };
        assert_eq!(weigh(&roots_against_chain(1, 2), silent), Err(Worthless::NoRoot(node)));
        assert_eq!(weigh(&two_statements(1, 2), silent), Ok(()), "two statements need no chain");
        let unknown = Facts { is_attestor: None, ..facts(1) };
        assert_eq!(weigh(&two_statements(1, 2), unknown), Err(Worthless::UnknownEpoch(epoch)));
        let stranger = Facts { is_attestor: Some(false), ..facts(1) };
        assert_eq!(weigh(&two_statements(1, 2), stranger), Err(Worthless::NotAttestor { node, epoch }));
        let mut spent = facts(1);
        spent.attestation.punished = true;
        assert_eq!(weigh(&two_statements(1, 2), spent), Err(Worthless::EpochSpent { node, epoch }));
        let gone = Facts { stake: None, ..facts(1) };
        assert_eq!(weigh(&two_statements(1, 2), gone), Err(Worthless::NotRegistered(node)));
    }
}
