//! Makes the Rust side of the protocol from `proto/`.

fn main() -> std::io::Result<()> {
    tonic_prost_build::configure().compile_protos(
        &["proto/chroom/v1/registry.proto", "proto/chroom/v1/media.proto", "proto/chroom/v1/pipe.proto"],
        &["proto"],
    )
}
