//! What an account owns.

use chroom_primitives::Balance;

/// Balances of an account in the smallest unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AccountBalance {
    /// What can be spent or put on hold (frozen parts included).
    pub free: Balance,
    /// What is on hold: bonds.
    pub held: Balance,
    /// Part of the whole that may not be transferred.
    pub frozen: Balance,
}

use crate::{QueryError, query::AtBlock};
use chroom_primitives::{NodeId, QosEpoch};
use codec::Decode;
use subxt::utils::Static;
use subxt::{storage, utils::AccountId32};

#[derive(Decode)]
struct AccountInfo {
    _nonce: u32,
    _consumers: u32,
    _providers: u32,
    _sufficients: u32,
    free: Balance,
    reserved: Balance,
    frozen: Balance,
}

pub(crate) async fn balance(at: &AtBlock, account: AccountId32) -> Result<AccountBalance, QueryError> {
    let address = storage::dynamic::<(AccountId32,), Static<AccountInfo>>("System", "Account");
    let value = at.storage().try_fetch(address, (account,)).await.map_err(subxt::Error::from)?;
    let Some(value) = value else { return Ok(AccountBalance::default()) };
    let info = value.decode().map_err(subxt::Error::from)?.0;
    Ok(AccountBalance { free: info.free, held: info.reserved, frozen: info.frozen })
}

pub(crate) async fn generation(at: &AtBlock) -> Result<u64, QueryError> {
    let address = storage::dynamic::<(), u64>("Nodes", "Generation");
    let value = at.storage().try_fetch(address, ()).await.map_err(subxt::Error::from)?;
    match value {
        Some(value) => Ok(value.decode().map_err(subxt::Error::from)?),
        None => Ok(0),
    }
}

pub(crate) async fn last_reward(at: &AtBlock, node: NodeId) -> Result<Option<(QosEpoch, Balance)>, QueryError> {
    let address = storage::dynamic::<(Static<NodeId>,), Static<(QosEpoch, Balance)>>("Rewards", "LastReward");
    let value = at.storage().try_fetch(address, (Static(node),)).await.map_err(subxt::Error::from)?;
    value.map(|value| value.decode().map(|reward| reward.0)).transpose().map_err(|e| subxt::Error::from(e).into())
}
