//! The networks that the node knows by name. Their genesis comes from the runtime's presets.

use chroom_primitives::CHR;
use chroom_runtime::presets;
use sc_chain_spec::{ChainSpecExtension, ChainType, GenericChainSpec, Properties};
use sc_client_api::{BadBlocks, ForkBlocks};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::service::Block;

/// What a specification may carry besides the genesis.
#[derive(Default, Clone, Serialize, Deserialize, ChainSpecExtension)]
#[serde(rename_all = "camelCase")]
pub struct Extensions {
    /// Blocks that are known to be on the right fork.
    pub fork_blocks: ForkBlocks<Block>,
    /// Blocks that are known to be bad.
    pub bad_blocks: BadBlocks<Block>,
    /// Where light clients may begin.
    pub light_sync_state: sc_sync_state_rpc::LightSyncStateExtension,
}

/// A network's specification.
pub type ChainSpec = GenericChainSpec<Extensions>;

/// Prefix of addresses as text.
const SS58_FORMAT: u16 = 42;

/// The Wasm is missing from this build.
#[derive(Debug, thiserror::Error)]
#[error(
    "this node was built without the runtime's Wasm (SKIP_WASM_BUILD): build it again without that variable, or give --chain \
     a specification file"
)]
pub struct NoWasm;

fn properties() -> Properties {
    let decimals = CHR.ilog10();
    let mut properties = Properties::new();
    properties.insert("tokenSymbol".into(), "CHR".into());
    properties.insert("tokenDecimals".into(), decimals.into());
    properties.insert("ss58Format".into(), SS58_FORMAT.into());
    properties
}

fn network(name: &str, id: &str, kind: ChainType, preset: &str, patch: Option<Value>) -> Result<ChainSpec, NoWasm> {
    let wasm = chroom_runtime::wasm_binary().ok_or(NoWasm)?;
    let builder = ChainSpec::builder(wasm, Extensions::default())
        .with_name(name)
        .with_id(id)
        .with_protocol_id(id)
        .with_chain_type(kind)
        .with_genesis_config_preset_name(preset)
        .with_properties(properties());
    Ok(match patch {
        Some(patch) => builder.with_genesis_config_patch(patch).build(),
        None => builder.build(),
    })
}

/// One validator, Alice.
pub fn dev() -> Result<ChainSpec, NoWasm> {
    network("Chroom Development", "chroom_dev", ChainType::Development, presets::DEV, None)
}

/// Two validators, Alice and Bob.
pub fn local() -> Result<ChainSpec, NoWasm> {
    network("Chroom Local", "chroom_local", ChainType::Local, presets::LOCAL, None)
}

/// Production values with `patch`, which brings balances, session keys and validators.
pub fn live(name: &str, id: &str, patch: Value) -> Result<ChainSpec, NoWasm> {
    network(name, id, ChainType::Live, presets::LIVE, Some(patch))
}
