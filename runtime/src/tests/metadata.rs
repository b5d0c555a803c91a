//! The chain client's metadata is that of this runtime.

use crate::metadata_for_clients;

#[test]
fn metadata_is_current() {
    let current = metadata_for_clients().unwrap();
    // Asked at run time: checkouts that share a target folder share this program, too.
    let runtime = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let committed =
        std::fs::read(std::path::Path::new(&runtime).join("../chain-client/metadata.scale")).unwrap_or_default();
    assert!(
        committed == current,
        "chain-client/metadata.scale is stale: run `make metadata`, or \
         `cargo run -p chroom-runtime --example metadata > chain-client/metadata.scale`"
    );
}
