//! What the client reads from the chain's storage.

use crate::{QueryError, query::AtBlock, runtime};
use chroom_primitives::{Balance, NodeId, QosEpoch};
use subxt::utils::{AccountId32, Static};

/// Balances of an account in the smallest unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct AccountBalance {
    /// What can be spent or put on hold (frozen parts included).
    pub free: Balance,
    /// What is on hold: bonds.
    pub held: Balance,
    /// Part of the whole that may not be transferred.
    pub frozen: Balance,
}

/// A part of a node's bond that its owner took back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct UnbondingPart {
    /// How much, in the smallest unit.
    pub amount: Balance,
    /// First block at which it may be withdrawn.
    pub until: u32,
}

pub(crate) async fn balance(at: &AtBlock, account: AccountId32) -> Result<AccountBalance, QueryError> {
    let address = runtime::storage().system().account();
    let value = at.storage().try_fetch(address, (account,)).await.map_err(subxt::Error::from)?;
    let Some(value) = value else { return Ok(AccountBalance::default()) };
    let data = value.decode().map_err(subxt::Error::from)?.data;
    Ok(AccountBalance { free: data.free, held: data.reserved, frozen: data.frozen })
}

pub(crate) async fn generation(at: &AtBlock) -> Result<u64, QueryError> {
    let address = runtime::storage().nodes().generation();
    let value = at.storage().fetch(address, ()).await.map_err(subxt::Error::from)?;
    Ok(value.decode().map_err(subxt::Error::from)?)
}

pub(crate) async fn authorization_nonce(at: &AtBlock, owner: NodeId) -> Result<u32, QueryError> {
    let address = runtime::storage().nodes().authorization_nonces();
    let value = at.storage().try_fetch(address, (Static(owner),)).await.map_err(subxt::Error::from)?;
    let Some(value) = value else { return Ok(0) };
    Ok(value.decode().map_err(subxt::Error::from)?)
}

pub(crate) async fn unbonding(at: &AtBlock, node: NodeId) -> Result<Vec<UnbondingPart>, QueryError> {
    let address = runtime::storage().nodes().unbonding();
    let value = at.storage().try_fetch(address, (Static(node),)).await.map_err(subxt::Error::from)?;
    let Some(value) = value else { return Ok(Vec::new()) };
    let parts = value.decode().map_err(subxt::Error::from)?.0;
    Ok(parts.into_iter().map(|part| UnbondingPart { amount: part.amount, until: part.until }).collect())
}

pub(crate) async fn last_reward(at: &AtBlock, node: NodeId) -> Result<Option<(QosEpoch, Balance)>, QueryError> {
    let address = runtime::storage().rewards().claims();
    let value = at.storage().try_fetch(address, (Static(node),)).await.map_err(subxt::Error::from)?;
    let Some(value) = value else { return Ok(None) };
    let last = value.decode().map_err(subxt::Error::from)?.last;
    Ok(Some((last.epoch.0, last.amount)))
}
