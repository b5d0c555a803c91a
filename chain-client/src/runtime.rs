//! The chain's interface, generated from its metadata.
//!
//! `metadata.scale` comes from the runtime's own Wasm; continuous integration fails if it is stale. Types that chain and
//! off-chain software share are the ones of `chroom_primitives`, wrapped in [`subxt::utils::Static`].

#[subxt::subxt(
    runtime_metadata_path = "metadata.scale",
    substitute_type(
        path = "chroom_primitives::anchor::FinalSnapshot",
        with = "::subxt::utils::Static<::chroom_primitives::anchor::FinalSnapshot>"
    ),
    substitute_type(
        path = "chroom_primitives::capacity::CapacityClass",
        with = "::subxt::utils::Static<::chroom_primitives::CapacityClass>"
    ),
    substitute_type(
        path = "chroom_primitives::cell::H3Cell",
        with = "::subxt::utils::Static<::chroom_primitives::H3Cell>"
    ),
    substitute_type(
        path = "chroom_primitives::endpoint::Endpoint",
        with = "::subxt::utils::Static<::chroom_primitives::Endpoint>"
    ),
    substitute_type(
        path = "chroom_primitives::epoch::EpochInfo",
        with = "::subxt::utils::Static<::chroom_primitives::epoch::EpochInfo>"
    ),
    substitute_type(
        path = "chroom_primitives::epoch::QosEpoch",
        with = "::subxt::utils::Static<::chroom_primitives::QosEpoch>"
    ),
    substitute_type(
        path = "chroom_primitives::evidence::RecordEquivocation",
        with = "::subxt::utils::Static<::chroom_primitives::evidence::RecordEquivocation>"
    ),
    substitute_type(
        path = "chroom_primitives::evidence::RootEquivocation",
        with = "::subxt::utils::Static<::chroom_primitives::evidence::RootEquivocation>"
    ),
    substitute_type(
        path = "chroom_primitives::merkle::Root",
        with = "::subxt::utils::Static<::chroom_primitives::merkle::Root>"
    ),
    substitute_type(
        path = "chroom_primitives::node_id::NodeId",
        with = "::subxt::utils::Static<::chroom_primitives::NodeId>"
    ),
    substitute_type(
        path = "chroom_primitives::record::Registration",
        with = "::subxt::utils::Static<::chroom_primitives::record::Registration>"
    ),
    substitute_type(
        path = "chroom_primitives::role::NodeStatus",
        with = "::subxt::utils::Static<::chroom_primitives::NodeStatus>"
    ),
    substitute_type(
        path = "chroom_primitives::role::Role",
        with = "::subxt::utils::Static<::chroom_primitives::Role>"
    ),
    substitute_type(
        path = "chroom_primitives::runtime_api::MemberProof",
        with = "::subxt::utils::Static<::chroom_primitives::runtime_api::MemberProof>"
    ),
    substitute_type(
        path = "chroom_primitives::runtime_api::Payout",
        with = "::subxt::utils::Static<::chroom_primitives::runtime_api::Payout>"
    ),
    substitute_type(
        path = "chroom_primitives::score::Score",
        with = "::subxt::utils::Static<::chroom_primitives::Score>"
    ),
    substitute_type(
        path = "chroom_primitives::signed::EthereumSignature",
        with = "::subxt::utils::Static<::chroom_primitives::EthereumSignature>"
    )
)]
#[allow(missing_docs, clippy::all, clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]
pub mod chroom {}

pub use chroom::*;
