//! Keys of a local network: wallets, passphrases, network keys, the demo application's secret. Each is made once.

use super::plan::{Service, Validator};
use crate::{
    failure::{Context, Failure},
    private_file,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chroom_primitives::NodeId;
use chroom_wallet::{Strength, Wallet, passphrase};
use rand::TryRngCore;
use sp_core::Pair;
use std::path::Path;
use zeroize::Zeroizing;

/// Makes what `service` lacks of passphrase and keystore, and says which node it is.
pub fn service(service: &Service) -> Result<NodeId, Failure> {
    folder(&service.dir)?;
    folder(&service.data())?;
    secret_file(&service.passphrase())?;
    let keystore = service.keystore();
    if !keystore.exists() {
        let passphrase = passphrase::read(Some(&service.passphrase())).context("cannot make a wallet")?;
        // A test network's key, under a random passphrase in the same folder: a costly derivation would protect nothing.
        Wallet::generate().save_with(&keystore, &passphrase, Strength::Light).context("cannot make a wallet")?;
    }
    chroom_wallet::keystore::address(&keystore)
        .context("cannot read a wallet")?
        .ok_or_else(|| Failure::new(format_args!("the keystore {} names no address", keystore.display())))
}

/// Opens the wallet that [`service`] made.
pub fn open(service: &Service) -> Result<Wallet, Failure> {
    let passphrase = passphrase::read(Some(&service.passphrase())).context("cannot open a wallet")?;
    Wallet::open(service.keystore(), &passphrase).context("cannot open a wallet")
}

/// Makes the validator's network key if it has none, and gives the libp2p peer id that follows from it.
pub fn validator(validator: &Validator) -> Result<String, Failure> {
    folder(&validator.dir)?;
    let path = validator.node_key();
    if !path.exists() {
        private_file::write(&path, hex::encode(random()?.as_slice()).as_bytes())?;
    }
    let text = Zeroizing::new(std::fs::read_to_string(&path).context("cannot read a network key")?);
    let mut seed = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(text.trim(), seed.as_mut_slice())
        .map_err(|_| Failure::new(format_args!("{} holds no network key (64 hex digits)", path.display())))?;
    Ok(peer_id(&sp_core::ed25519::Pair::from_seed(&seed).public().0))
}

/// The libp2p peer id of an Ed25519 key: base58 of the identity multihash of its protobuf form
/// (<https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md>).
fn peer_id(public: &[u8; 32]) -> String {
    let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    bytes.extend_from_slice(public);
    bs58::encode(bytes).into_string()
}

/// Makes a file with a random secret, one line of 43 characters, unless it exists.
pub fn secret_file(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    private_file::write(path, URL_SAFE_NO_PAD.encode(random()?.as_slice()).as_bytes())
}

/// Makes a folder that only its owner may enter.
pub fn folder(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .context(format_args!("cannot make the folder {}", path.display()))
}

fn random() -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    rand::rngs::OsRng.try_fill_bytes(bytes.as_mut_slice()).context("the operating system gives no random bytes")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::{options::Options, plan::Plan};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn peer_ids_are_those_of_libp2p() {
        // From the libp2p peer id specification's Ed25519 test vector (public key part).
        let key: [u8; 32] = hex::decode("1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")
            .unwrap()
            .try_into()
            .unwrap();
        assert_eq!(peer_id(&key), "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq");
    }

    #[test]
    fn keys_are_made_once_and_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan::new(&Options::default(), dir.path()).unwrap();
        let media = &plan.media[0];
        let first = service(media).unwrap();
        assert_eq!(service(media).unwrap(), first);
        assert_eq!(open(media).unwrap().node_id(), first);
        let peer = validator(&plan.validators[0]).unwrap();
        assert_eq!(validator(&plan.validators[0]).unwrap(), peer);
        for file in [media.keystore(), media.passphrase(), plan.validators[0].node_key()] {
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
    }
}
