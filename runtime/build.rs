//! Builds the runtime's Wasm, optimised even when the native build is not.

fn main() {
    #[cfg(feature = "std")]
    build_wasm();
}

/// Names the workspace whose `Cargo.lock` the Wasm is built with.
#[cfg(feature = "std")]
const WORKSPACE_HINT: &str = "WASM_BUILD_WORKSPACE_HINT";

#[cfg(feature = "std")]
fn build_wasm() {
    // The builder looks for the lock file above the target folder, which lies outside of the checkout here, and builds
    // with whatever versions are newest when it finds none. Only the environment tells it where to look instead, so this
    // script runs itself with the right one.
    if std::env::var_os(WORKSPACE_HINT).is_none() {
        println!("cargo:rerun-if-env-changed={WORKSPACE_HINT}");
        std::process::exit(run_with_hint().unwrap_or_else(|error| {
            eprintln!("cannot start the build of the Wasm: {error}");
            1
        }));
    }
    let builder = substrate_wasm_builder::WasmBuilder::init_with_defaults();
    // The metadata hash needs the Wasm to be built twice, so only releases have it.
    #[cfg(feature = "metadata-hash")]
    let builder = builder.enable_metadata_hash("CHR", 12);
    builder.build();
}

#[cfg(feature = "std")]
fn run_with_hint() -> std::io::Result<i32> {
    // Asked at run time: checkouts that share a target folder share this program, too.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").ok_or(std::io::ErrorKind::NotFound)?;
    let workspace = std::path::Path::new(&manifest).join("..").canonicalize()?;
    let status = std::process::Command::new(std::env::current_exe()?).env(WORKSPACE_HINT, workspace).status()?;
    Ok(status.code().unwrap_or(1))
}
