//! Writes the runtime's metadata to stdout, for the chain client:
//! `cargo run -p chroom-runtime --example metadata > chain-client/metadata.scale`

use std::io::Write;

fn main() -> std::io::Result<()> {
    let metadata = chroom_runtime::metadata_for_clients()
        .ok_or_else(|| std::io::Error::other("the runtime has no metadata of the version that clients want"))?;
    std::io::stdout().lock().write_all(&metadata)
}
