//! Registers and bonds a local network's nodes through extrinsics; asks the chain first, so that nothing is done twice.

use super::{
    keys,
    plan::{Kind, Plan, Service},
};
use crate::{
    amount::Amount,
    failure::{Context, Failure},
    owner,
};
use chroom_chain_client::{ChainClient, NewNode};
use chroom_primitives::{AccountId, Balance, CHR, CapacityClass, NodeId, Role};
use std::collections::BTreeMap;

/// What a node's own account gets for its transactions.
const FLOAT: Balance = 100 * CHR;
/// Below this, the float is topped up at the next start.
const LOW_FLOAT: Balance = 20 * CHR;
/// Bond of a node: above every minimum of the `local` preset.
const BOND: Balance = 1_000 * CHR;
/// What the media nodes ask for a GiB.
const PRICE_PER_GIB: Balance = CHR;
/// What the demo application's escrow is filled up with.
const ESCROW: Balance = 10_000 * CHR;
/// Below this it is filled up.
const LOW_ESCROW: Balance = 1_000 * CHR;
/// Who fills it.
const PAYER: &str = "Ferdie";

/// Registers every node that is not registered yet, all at once: the chain takes them into the same few blocks.
pub async fn all(
    chain: &ChainClient,
    plan: &Plan,
    nodes: &BTreeMap<String, NodeId>,
    progress: &(impl Fn(&str) + Sync),
) -> Result<(), Failure> {
    let each = plan.services().filter_map(|service| {
        let node = *nodes.get(&service.name)?;
        Some(one(chain, service, node, progress))
    });
    futures::future::try_join_all(each).await?;
    Ok(())
}

async fn one(
    chain: &ChainClient,
    service: &Service,
    node: NodeId,
    progress: &(impl Fn(&str) + Sync),
) -> Result<(), Failure> {
    let name = &service.name;
    let owner = owner::dev(&service.owner)?;
    let what = format!("cannot register {name}");
    let registered = chain.registration(node).await.context(&what)?;
    let float = chain.balance(&node.account()).await.context(&what)?.free;
    let fund = async {
        if float < LOW_FLOAT {
            chain.transfer(&owner, &node.account(), FLOAT).await.context(format_args!("cannot fund {name}"))?;
        }
        Ok(())
    };
    let register = async {
        if let Some(registration) = registered {
            progress(&format!("{name} is registered already, its bond is {}", Amount(registration.bond)));
            return Ok(());
        }
        let wallet = keys::open(service)?;
        let outcome = chain.register(&owner, &wallet, registration(service)?).await.context(&what)?;
        progress(&format!(
            "{name} is registered in block {}: //{} bonds {} for {node}",
            outcome.block_number,
            service.owner,
            Amount(BOND)
        ));
        Ok(())
    };
    let (funded, registered): (Result<(), Failure>, Result<(), Failure>) = tokio::join!(fund, register);
    funded.and(registered)
}

fn registration(service: &Service) -> Result<NewNode, Failure> {
    let role = match service.kind {
        Kind::Registry => Role::Registry,
        Kind::Orchestrator => Role::Orchestrator,
        Kind::Media | Kind::Validator => Role::Media,
    };
    Ok(NewNode {
        role,
        class: CapacityClass::Small,
        cell: service.cell,
        endpoint: service.endpoint().parse().map_err(Failure::new)?,
        price_per_gib: if role == Role::Media { PRICE_PER_GIB } else { 0 },
        bond: BOND,
    })
}

/// Fills the demo application's escrow when it runs low.
pub async fn escrow(
    chain: &ChainClient,
    application: &AccountId,
    progress: &(impl Fn(&str) + Sync),
) -> Result<(), Failure> {
    let what = "cannot fill the demo application's escrow";
    let balance = chain.escrow(application).await.context(what)?;
    if balance >= LOW_ESCROW {
        progress(&format!("the demo application's escrow holds {}", Amount(balance)));
        return Ok(());
    }
    chain.deposit_escrow(&owner::dev(PAYER)?, application, ESCROW).await.context(what)?;
    progress(&format!("//{PAYER} put {} into the demo application's escrow", Amount(ESCROW)));
    Ok(())
}
