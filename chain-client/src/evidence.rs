//! Evidence of misbehaviour: what the chain knows that decides whether it is worth a report, and reporting it.

use crate::{ChainClient, QueryError, Signer, SubmitError, TxOutcome, query::AtBlock, runtime, runtime::transactions};
use chroom_primitives::{
    Balance, NodeId, QosEpoch,
    evidence::{RecordEquivocation, RootEquivocation},
    merkle::Root,
};
use subxt::utils::Static;

/// The whole, in the parts of a [`Perbill`](https://docs.rs/sp-arithmetic).
const BILLION: u128 = 1_000_000_000;

/// The roots that an attestor sent for an epoch. The chain keeps the first ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SentRoots {
    /// Root over its leaves.
    pub quality: Root,
    /// Root of its registry snapshot.
    pub snapshot: Root,
}

/// What the chain knows of an attestor in an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attestation {
    /// The roots that it sent, if it has.
    pub roots: Option<SentRoots>,
    /// Whether it was slashed for having more than one root: that is done once.
    pub punished: bool,
}

/// What can be slashed for a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stake {
    /// The node whose bond bears it: the node itself, or its successor by key rotation.
    pub bearer: NodeId,
    /// Bond and unbonding parts, in the smallest unit.
    pub amount: Balance,
}

/// A report that the chain took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The transaction. Its fee is 0 if anything was slashed.
    pub outcome: TxOutcome,
    /// What the offender lost, in the smallest unit; what was delegated to it included.
    pub slashed: Balance,
    /// The reporter's share of it.
    pub reward: Balance,
}

impl ChainClient {
    /// What the chain knows of `attestor` in `epoch`.
    pub async fn attestation_of(&self, epoch: QosEpoch, attestor: NodeId) -> Result<Attestation, QueryError> {
        self.ask(|at| async move { attestation(&at, epoch, attestor).await }).await
    }

    /// Whether `node` is one of the attestors of `epoch`; none if the chain does not know the epoch (yet, or any more).
    pub async fn is_attestor(&self, epoch: QosEpoch, node: NodeId) -> Result<Option<bool>, QueryError> {
        self.ask(|at| async move { is_attestor(&at, epoch, node).await }).await
    }

    /// Sequence number up to which a node was punished for contradicting records: evidence up to it is spent.
    pub async fn punished(&self, node: NodeId) -> Result<Option<u64>, QueryError> {
        self.ask(|at| async move {
            let address = runtime::storage().nodes().punished();
            let value = at.storage().try_fetch(address, (Static(node),)).await.map_err(subxt::Error::from)?;
            value.map(|value| Ok(value.decode().map_err(subxt::Error::from)?)).transpose()
        })
        .await
    }

    /// What a slash of `node` would be taken from; none if the node is not registered.
    pub async fn stake(&self, node: NodeId) -> Result<Option<Stake>, QueryError> {
        if self.registration(node).await?.is_none() {
            return Ok(None);
        }
        let bearer = self.ask(|at| async move { successor(&at, node).await }).await?.unwrap_or(node);
        let bond = self.registration(bearer).await?.map_or(0, |registration| registration.bond);
        let unbonding = self.unbonding(bearer).await?;
        let amount = unbonding.iter().fold(bond, |sum, part| sum.saturating_add(part.amount));
        Ok(Some(Stake { bearer, amount }))
    }

    /// Shows that a node signed two records with one sequence number.
    pub async fn report_records(&self, reporter: &Signer, evidence: RecordEquivocation) -> Result<Report, SubmitError> {
        let outcome = self.submit(reporter, &transactions().nodes().report_equivocation(Static(evidence))).await?;
        self.report(outcome).await
    }

    /// Shows that an attestor has more than one root for an epoch.
    pub async fn report_roots(&self, reporter: &Signer, evidence: RootEquivocation) -> Result<Report, SubmitError> {
        let outcome = self.submit(reporter, &transactions().qos().report_equivocation(Static(evidence))).await?;
        self.report(outcome).await
    }

    async fn report(&self, outcome: TxOutcome) -> Result<Report, SubmitError> {
        let share = self.ask(|at| async move { reporter_share(&at).await }).await?;
        let (slashed, reward) = shares(&outcome, share);
        Ok(Report { outcome, slashed, reward })
    }
}

/// What was slashed of the bond and of what is delegated, and the reporter's parts of both.
fn shares(outcome: &TxOutcome, reporter_share: u32) -> (Balance, Balance) {
    let amounts = outcome
        .events
        .iter()
        .filter(|event| event.event == "Slashed" && ["Nodes", "Pools"].contains(&event.pallet.as_str()))
        .filter_map(|event| event.numbers.get("amount"));
    amounts.fold((0, 0), |(slashed, reward): (Balance, Balance), amount| {
        (slashed.saturating_add(*amount), reward.saturating_add(part_of(*amount, reporter_share)))
    })
}

/// So many billionths of an amount, rounded down, as the chain counts them.
fn part_of(amount: Balance, billionths: u32) -> Balance {
    let parts = u128::from(billionths).min(BILLION);
    (amount / BILLION).saturating_mul(parts).saturating_add((amount % BILLION).saturating_mul(parts) / BILLION)
}

async fn attestation(at: &AtBlock, epoch: QosEpoch, attestor: NodeId) -> Result<Attestation, QueryError> {
    use runtime::runtime_types::pallet_chroom_qos::types::Standing;
    let address = runtime::storage().qos().attestations();
    let value = at.storage().try_fetch(address, (Static(epoch), Static(attestor))).await.map_err(subxt::Error::from)?;
    let Some(value) = value else { return Ok(Attestation::default()) };
    let known = value.decode().map_err(subxt::Error::from)?;
    Ok(Attestation {
        roots: known.roots.map(|roots| SentRoots { quality: roots.quality.0, snapshot: roots.snapshot.0 }),
        punished: matches!(known.standing, Standing::Equivocated),
    })
}

/// As the chain itself looks it up: the index of the epoch's set says on which page the node would be.
async fn is_attestor(at: &AtBlock, epoch: QosEpoch, node: NodeId) -> Result<Option<bool>, QueryError> {
    let storage = runtime::storage();
    let fetched = at.storage().try_fetch(storage.qos().epochs(), (Static(epoch),)).await;
    let Some(value) = fetched.map_err(subxt::Error::from)? else { return Ok(None) };
    let set = value.decode().map_err(subxt::Error::from)?.attestor_set;
    let fetched = at.storage().try_fetch(storage.qos().attestor_sets(), (set,)).await;
    let Some(value) = fetched.map_err(subxt::Error::from)? else { return Ok(Some(false)) };
    let index = value.decode().map_err(subxt::Error::from)?.0;
    let Some(page) = index.partition_point(|first| first.0 <= node).checked_sub(1) else { return Ok(Some(false)) };
    let page = u32::try_from(page).unwrap_or(u32::MAX);
    let fetched = at.storage().try_fetch(storage.qos().attestor_pages(), (set, page)).await;
    let Some(value) = fetched.map_err(subxt::Error::from)? else { return Ok(Some(false)) };
    let attestors = value.decode().map_err(subxt::Error::from)?.0;
    Ok(Some(attestors.iter().any(|attestor| attestor.0 == node)))
}

async fn successor(at: &AtBlock, node: NodeId) -> Result<Option<NodeId>, QueryError> {
    let address = runtime::storage().nodes().successors();
    let value = at.storage().try_fetch(address, (Static(node),)).await.map_err(subxt::Error::from)?;
    value.map(|value| Ok(value.decode().map_err(subxt::Error::from)?.0)).transpose()
}

async fn reporter_share(at: &AtBlock) -> Result<u32, QueryError> {
    let address = runtime::storage().nodes().parameters();
    let value = at.storage().fetch(address, ()).await.map_err(subxt::Error::from)?;
    Ok(value.decode().map_err(subxt::Error::from)?.reporter_share.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventSummary;
    use chroom_primitives::Hash;
    use proptest::prelude::*;
    use sp_runtime::Perbill;

    proptest! {
        #[test]
        fn parts_are_what_the_chain_gives(amount: u128, billionths in 0u32..=1_000_000_000) {
            prop_assert_eq!(part_of(amount, billionths), Perbill::from_parts(billionths).mul_floor(amount));
        }
    }

    #[test]
    fn a_report_sums_up_bond_and_delegations() {
        let event = |pallet: &str, event: &str, amount: u128| EventSummary {
            pallet: pallet.into(),
            event: event.into(),
            fields: String::new(),
            numbers: [("amount".to_owned(), amount)].into(),
        };
        let events = vec![
            event("Balances", "Slashed", 99),
            event("Nodes", "Slashed", 50),
            event("Pools", "Slashed", 7),
            event("Nodes", "BondReduced", 3),
        ];
        let (extrinsic_hash, block_hash) = (Hash::zero(), Hash::zero());
        let outcome = TxOutcome { extrinsic_hash, block_hash, block_number: 1, fee: 0, events };
        assert_eq!(shares(&outcome, 200_000_000), (57, 11));
    }
}
