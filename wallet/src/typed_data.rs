//! Typed data as other wallets take it.

use chroom_primitives::{
    Hash,
    typed_data::{DOMAIN_NAME, DOMAIN_VERSION, NodeRegistration},
};
use serde_json::{Value, json};

/// The request that has an EVM wallet sign a registration: the second parameter of `eth_signTypedData_v4`, the argument of viem's
/// `signTypedData` and ethers' alike. Numbers are decimal texts, as they may exceed what JSON's hold.
pub fn registration_request(registration: &NodeRegistration, genesis: &Hash) -> Value {
    let NodeRegistration { node, role, class, bond, nonce, expires_at } = registration;
    json!({
        "types": {
            "EIP712Domain": fields(&[("name", "string"), ("version", "string"), ("salt", "bytes32")]),
            (NodeRegistration::NAME): fields(&[
                ("node", "address"),
                ("role", "string"),
                ("capacityClass", "string"),
                ("bond", "uint256"),
                ("nonce", "uint256"),
                ("expiresAtBlock", "uint256"),
            ]),
        },
        "primaryType": NodeRegistration::NAME,
        "domain": { "name": DOMAIN_NAME, "version": DOMAIN_VERSION, "salt": genesis },
        "message": {
            "node": node,
            "role": role.name(),
            "capacityClass": class.name(),
            "bond": bond.to_string(),
            "nonce": nonce.to_string(),
            "expiresAtBlock": expires_at.to_string(),
        },
    })
}

fn fields(fields: &[(&str, &str)]) -> Value {
    fields.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wallet;
    use chroom_primitives::{CHR, CapacityClass, Role, typed_data};

    /// The first key of Hardhat.
    const OWNER: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    fn registration() -> NodeRegistration {
        NodeRegistration {
            node: "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf".parse().unwrap(),
            role: Role::Media,
            class: CapacityClass::Small,
            bond: 100 * CHR,
            nonce: 0,
            expires_at: 1_200,
        }
    }

    #[test]
    fn the_signature_is_that_of_other_wallets() {
        // The Python package eth-account signs the same request so.
        let owner = Wallet::from_hex(OWNER).unwrap();
        let genesis = Hash::repeat_byte(5);
        let signature = owner.sign_registration(&registration(), &genesis);
        assert_eq!(
            format!("{signature:?}"),
            "0x763bf885d762eaebdc4de34dc6a7e13d06c7b9229a954fb46064aae0e861ba24\
             30cfeaece33f0f52b0fd48f708a34adcd79c90df544195ed00704a7bca2cd11d1b"
        );
        assert_eq!(registration().signer(&signature, &genesis), Some(owner.node_id()));
        assert_ne!(registration().signer(&signature, &Hash::zero()), Some(owner.node_id()));
    }

    /// `encodeType` of one of the request's types.
    fn encoded(request: &Value, name: &str) -> String {
        let fields = request["types"][name].as_array().unwrap().iter();
        let fields =
            fields.map(|field| format!("{} {}", field["type"].as_str().unwrap(), field["name"].as_str().unwrap()));
        format!("{name}({})", fields.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn the_request_says_what_the_chain_hashes() {
        let request = registration_request(&registration(), &Hash::repeat_byte(5));
        assert_eq!(encoded(&request, "EIP712Domain"), typed_data::DOMAIN_TYPE);
        assert_eq!(encoded(&request, "NodeRegistration"), NodeRegistration::TYPE);
        assert_eq!(request["primaryType"], "NodeRegistration");
        assert_eq!(request["domain"]["salt"], format!("0x{}", "05".repeat(32)));
        assert_eq!(
            request["message"],
            json!({
                "node": "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf",
                "role": "media",
                "capacityClass": "small",
                "bond": "100000000000000",
                "nonce": "0",
                "expiresAtBlock": "1200",
            })
        );
    }
}
