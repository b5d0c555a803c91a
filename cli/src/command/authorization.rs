//! How an owner's EVM wallet lets a node register itself, without either key on the other's machine.

use super::node::{ClassName, RoleName, refused, transaction, word};
use crate::{
    amount::Amount,
    chain::Chain,
    failure::{Context, Failure},
    output::{Output, facts},
    owner::Owner,
};
use chroom_chain_client::{Authorization, ChainClient, Signer};
use chroom_primitives::{
    CapacityClass, Endpoint, EthereumSignature, H3Cell, Hash, NodeId, Role, typed_data::NodeRegistration,
};
use chroom_wallet::{Wallet, registration_request};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// Arguments of `authorize`.
#[derive(Debug, Args)]
pub struct Authorize {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
    /// The owner's EVM address, where another wallet signs: prints the request for it (eth_signTypedData_v4), unsigned
    #[arg(long, value_name = "ADDRESS", conflicts_with = "signing")]
    owner_address: Option<NodeId>,
    /// The node that may register itself
    #[arg(long, value_name = "NODE")]
    node: NodeId,
    /// What it does
    #[arg(long)]
    role: RoleName,
    /// Capacity class
    #[arg(long, default_value = "small")]
    class: ClassName,
    /// Bond in CHR that goes on hold at the owner's account [default: as for register]
    #[arg(long, value_name = "CHR")]
    bond: Option<Amount>,
}

/// An authorisation as it travels from the owner's machine to the node's: nothing in it is secret.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationFile {
    owner: NodeId,
    node: NodeId,
    role: Role,
    class: CapacityClass,
    /// In the smallest unit.
    bond: String,
    nonce: u32,
    expires_at: u32,
    /// Absent as long as the request below is to be signed by another wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<EthereumSignature>,
    /// What another wallet signs.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    typed_data: Value,
}

impl AuthorizationFile {
    fn new(owner: NodeId, signed: NodeRegistration, signature: Option<EthereumSignature>, genesis: &Hash) -> Self {
        let NodeRegistration { node, role, class, bond, nonce, expires_at } = signed;
        let typed_data = if signature.is_none() { registration_request(&signed, genesis) } else { Value::Null };
        let bond = bond.to_string();
        Self { owner, node, role, class, bond, nonce, expires_at, signature, typed_data }
    }

    /// The authorisation, if the owner's signature is what it should be on the network with this genesis hash.
    fn check(self, signature: Option<EthereumSignature>, genesis: &Hash) -> Result<Authorization, Failure> {
        let Self { owner, node, role, class, bond, nonce, expires_at, .. } = self;
        let bond = bond.parse().context("the bond in the authorisation is no number")?;
        let registration = NodeRegistration { node, role, class, bond, nonce, expires_at };
        let signature = signature.or(self.signature).ok_or_else(|| {
            Failure::new("the authorisation is not signed")
                .hint("have the owner's wallet sign its typedData, and give the signature with --signature")
        })?;
        match registration.signer(&signature, genesis) {
            Some(signer) if signer == owner => Ok(Authorization { owner, registration, signature }),
            _ => Err(Failure::new(format_args!(
                "the signature is not {owner}'s over this authorisation, on this network"
            ))
            .hint("make a new one with chroom node authorize against the same network")),
        }
    }
}

/// Runs `authorize`.
pub async fn run(authorize: &Authorize, output: Output) -> Result<(), Failure> {
    let wallet = match authorize.owner_address {
        Some(_) => None,
        None => match authorize.owner.signer()? {
            Signer::Wallet(wallet) => Some(wallet),
            Signer::Sr25519(_) => {
                return Err(Failure::usage("only an EVM wallet signs typed data")
                    .hint("with a Polkadot account, use chroom node prove and chroom node register --proof"));
            }
        },
    };
    let owner = match (&wallet, authorize.owner_address) {
        (Some(wallet), _) => wallet.node_id(),
        (None, Some(address)) => address,
        (None, None) => return Err(Failure::usage("nobody was named to sign")),
    };
    let (role, class) = (Role::from(authorize.role), CapacityClass::from(authorize.class));
    let bond = authorize.bond.map_or_else(|| super::node::default_bond(role, class), |bond| bond.0);
    let chain = authorize.chain.connect().await?;
    let signed = chain.authorizable(owner, authorize.node, role, class, bond).await.map_err(|error| refused(&error))?;
    let genesis = chain.genesis_hash();
    let signature = wallet.map(|wallet| wallet.sign_registration(&signed, &genesis));
    let file = AuthorizationFile::new(owner, signed, signature, &genesis);
    output.step(format_args!(
        "valid up to block {}, once: {} may register itself with chroom node register --authorization, {} goes on hold at {owner}",
        signed.expires_at,
        signed.node,
        Amount(bond),
    ));
    let json = serde_json::to_value(&file).context("cannot write the authorisation")?;
    output.show(&json, Value::to_string);
    Ok(())
}

/// What a node registers itself with, besides its owner's authorisation.
pub(super) struct Place {
    pub cell: H3Cell,
    pub endpoint: Endpoint,
    pub price_per_gib: u128,
}

/// Registers the node with this wallet by the authorisation in a file.
pub(super) async fn register(
    chain: &ChainClient,
    node: Wallet,
    file: &Path,
    signature: Option<EthereumSignature>,
    place: Place,
    output: Output,
) -> Result<(), Failure> {
    let authorization = read(file)?.check(signature, &chain.genesis_hash())?;
    let Authorization { owner, registration, .. } = authorization;
    if registration.node != node.node_id() {
        return Err(Failure::new(format_args!(
            "the authorisation is for {}, not for {}",
            registration.node,
            node.node_id()
        ))
        .hint("give --wallet the keystore of the node that it names"));
    }
    output.step(format_args!(
        "registering {}, {} goes on hold at {owner}",
        registration.node,
        Amount(registration.bond)
    ));
    let outcome = chain
        .register_authorized(&Signer::from(node), &authorization, place.cell, place.endpoint, place.price_per_gib)
        .await
        .map_err(|error| refused(&error))?;
    let json = json!({
        "node": registration.node,
        "account": registration.node.account().to_string(),
        "owner": owner.account().to_string(),
        "bond": registration.bond.to_string(),
        "fee": outcome.fee.to_string(),
        "transaction": transaction(&outcome),
    });
    output.show(&json, |_| {
        facts(&[
            ("node", registration.node.to_string()),
            ("role", word(&registration.role)),
            ("owner", owner.to_string()),
            ("bond", Amount(registration.bond).to_string()),
            ("block", outcome.block_number.to_string()),
            ("fee", Amount(outcome.fee).to_string()),
        ])
    });
    Ok(())
}

fn read(path: &Path) -> Result<AuthorizationFile, Failure> {
    let what = format!("cannot read the authorisation in {}", path.display());
    let text = std::fs::read(path).context(&what)?;
    serde_json::from_slice(&text).context(&what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENESIS: Hash = Hash::repeat_byte(5);

    fn signed(owner: &Wallet) -> AuthorizationFile {
        let registration = NodeRegistration {
            node: NodeId([7; 20]),
            role: Role::Media,
            class: CapacityClass::Large,
            bond: u128::MAX,
            nonce: 3,
            expires_at: 9,
        };
        let signature = owner.sign_registration(&registration, &GENESIS);
        AuthorizationFile::new(owner.node_id(), registration, Some(signature), &GENESIS)
    }

    fn travelled(file: &AuthorizationFile) -> AuthorizationFile {
        serde_json::from_str(&serde_json::to_string(file).unwrap()).unwrap()
    }

    #[test]
    fn an_authorization_travels_as_json() {
        let owner = Wallet::generate();
        let file = travelled(&signed(&owner));
        assert!(file.typed_data.is_null());
        let authorization = file.check(None, &GENESIS).unwrap();
        assert_eq!((authorization.owner, authorization.registration.bond), (owner.node_id(), u128::MAX));
    }

    #[test]
    fn a_change_or_another_network_is_noticed_before_anything_is_sent() {
        let owner = Wallet::generate();
        assert!(signed(&owner).check(None, &Hash::zero()).is_err());
        let raised = AuthorizationFile { bond: "1".into(), ..signed(&owner) };
        assert!(raised.check(None, &GENESIS).is_err());
        let malformed = AuthorizationFile { bond: "ten".into(), ..signed(&owner) };
        assert!(malformed.check(None, &GENESIS).is_err());
        let other = AuthorizationFile { owner: NodeId([1; 20]), ..signed(&owner) };
        assert!(other.check(None, &GENESIS).is_err());
    }

    #[test]
    fn another_wallets_signature_is_handed_in_later() {
        let owner = Wallet::generate();
        let complete = signed(&owner).check(None, &GENESIS).unwrap();
        let request = AuthorizationFile::new(owner.node_id(), complete.registration, None, &GENESIS);
        let request = travelled(&request);
        assert_eq!(request.typed_data["primaryType"], "NodeRegistration");
        assert!(travelled(&request).check(None, &GENESIS).is_err());
        assert_eq!(request.check(Some(complete.signature), &GENESIS).unwrap(), complete);
    }
}
