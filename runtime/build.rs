//! Builds the runtime's Wasm, optimised even when the native build is not.

fn main() {
    #[cfg(feature = "std")]
    {
        let builder = substrate_wasm_builder::WasmBuilder::init_with_defaults();
        // The metadata hash needs the Wasm to be built twice, so only releases have it.
        #[cfg(feature = "metadata-hash")]
        let builder = builder.enable_metadata_hash("CHR", 12);
        builder.build();
    }
}
