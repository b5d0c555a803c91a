//! The chain client's metadata is that of this runtime.

use crate::metadata_for_clients;

#[test]
fn metadata_is_current() {
    let current = metadata_for_clients().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../chain-client/metadata.scale");
    let committed = std::fs::read(path).unwrap_or_default();
    assert!(
        committed == current,
        "chain-client/metadata.scale is stale: run `make metadata`, or \
         `cargo run -p chroom-runtime --example metadata > chain-client/metadata.scale`"
    );
}
