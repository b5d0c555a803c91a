//! What may be called: everything, except for what the network has stopped.

use crate::{
    AccountId, Balance, Balances, BlockNumber, Runtime, RuntimeCall, RuntimeEvent, RuntimeHoldReason, SafeMode,
    TxPause,
    governance::{GuardOrigin, ReleaseOrigin, TwoThirdsOfCommittee},
};
use frame_support::{
    parameter_types,
    traits::{ConstU32, Contains, EitherOf, InsideBoth, MapSuccess},
};
use frame_system::{EnsureRoot, EnsureRootWithSuccess};
use pallet_tx_pause::RuntimeCallNameOf;
use sp_runtime::traits::Replace;

/// The filter of every call that doesn't come from root.
pub type CallFilter = InsideBoth<SudoHasKey, InsideBoth<SafeMode, TxPause>>;

/// Lets calls of the sudo pallet through only where there is a sudo key: nowhere but in developers' networks.
pub struct SudoHasKey;

impl Contains<RuntimeCall> for SudoHasKey {
    fn contains(call: &RuntimeCall) -> bool {
        !matches!(call, RuntimeCall::Sudo(_)) || pallet_sudo::Key::<Runtime>::exists()
    }
}

/// What goes on in safe mode: blocks and sessions, the way out, and what is lost if it has to wait or what takes one's own
/// out of the network. Anything new stops there until somebody has a reason to put it here.
pub struct GoesOnInSafeMode;

impl Contains<RuntimeCall> for GoesOnInSafeMode {
    fn contains(call: &RuntimeCall) -> bool {
        use pallet_chroom_nodes::Call as Nodes;
        use pallet_chroom_pools::Call as Pools;
        use pallet_chroom_rewards::Call as Rewards;
        use pallet_chroom_validators::Call as Validators;
        match call {
            // Without the time there are no blocks.
            RuntimeCall::Timestamp(_) => true,
            // Reports of equivocations have a last day; keys that may have been stolen must be changed at once.
            RuntimeCall::Babe(_) | RuntimeCall::Grandpa(_) | RuntimeCall::Session(_) => true,
            // The way out: decisions, and the upgrade that they authorised.
            RuntimeCall::Council(_)
            | RuntimeCall::TechnicalCommittee(_)
            | RuntimeCall::Preimage(_)
            | RuntimeCall::Enactment(_)
            | RuntimeCall::Parameters(_)
            | RuntimeCall::SafeMode(_)
            | RuntimeCall::TxPause(_)
            | RuntimeCall::Sudo(_) => true,
            RuntimeCall::System(call) => matches!(call, frame_system::Call::apply_authorized_upgrade { .. }),
            // These carry other calls, which come through this filter by themselves.
            RuntimeCall::Utility(_) | RuntimeCall::Multisig(_) => true,
            // Validators may leave, and take out what is theirs when its time has come.
            RuntimeCall::Validators(call) => {
                matches!(
                    call,
                    Validators::unbond { .. }
                        | Validators::leave { .. }
                        | Validators::withdraw { .. }
                        | Validators::payout { .. }
                        | Validators::cancel_slash { .. }
                )
            }
            // So may nodes; draining spares callers a node that is about to go. Evidence has a last day too.
            RuntimeCall::Nodes(call) => matches!(
                call,
                Nodes::drain { .. }
                    | Nodes::unbond { .. }
                    | Nodes::withdraw { .. }
                    | Nodes::report_equivocation { .. }
                    | Nodes::reduce_bond { .. }
                    | Nodes::withdraw_reduced { .. }
                    | Nodes::rotate_key { .. }
            ),
            // An epoch's roots come within the epoch, and its pay is claimed while the chain remembers it.
            RuntimeCall::Qos(_) => true,
            RuntimeCall::Rewards(call) => {
                matches!(call, Rewards::claim { .. } | Rewards::collect { .. } | Rewards::collect_attestor { .. })
            }
            // Delegators may leave as nodes may.
            RuntimeCall::Pools(call) => {
                matches!(call, Pools::undelegate { .. } | Pools::withdraw_delegation { .. } | Pools::collect { .. })
            }
            _ => false,
        }
    }
}

/// What cannot be paused: the time, without which there are no blocks, and whatever the houses need to decide, so that
/// neither can shut the other out.
pub struct Unpausable;

/// Pallets of which no call can be paused.
pub const UNPAUSABLE_PALLETS: [&str; 9] = [
    "Timestamp",
    "Council",
    "TechnicalCommittee",
    "Preimage",
    "Enactment",
    "SafeMode",
    "TxPause",
    // A house's member may be a multisig.
    "Multisig",
    "Sudo",
];

/// Single calls that cannot be paused: pallet and call.
pub const UNPAUSABLE_CALLS: [(&str, &str); 1] = [("System", "apply_authorized_upgrade")];

impl Contains<RuntimeCallNameOf<Runtime>> for Unpausable {
    fn contains((pallet, call): &RuntimeCallNameOf<Runtime>) -> bool {
        UNPAUSABLE_PALLETS.iter().any(|name| name.as_bytes() == pallet.as_slice())
            || UNPAUSABLE_CALLS
                .iter()
                .any(|(of, name)| of.as_bytes() == pallet.as_slice() && name.as_bytes() == call.as_slice())
    }
}

parameter_types! {
    /// How long safe mode lasts, and by how much it is extended at a time: a day.
    pub const SafeModeDuration: BlockNumber = 14_400;
    /// Nobody enters safe mode by paying for it.
    pub const NoDeposit: Option<Balance> = None;
    /// There are no deposits to release.
    pub const NoRelease: Option<BlockNumber> = None;
}

/// May enter safe mode, and extend it, for a day.
type EnterOrigin = EitherOf<
    EnsureRootWithSuccess<AccountId, SafeModeDuration>,
    MapSuccess<TwoThirdsOfCommittee, Replace<SafeModeDuration>>,
>;

impl pallet_safe_mode::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type WhitelistedCalls = GoesOnInSafeMode;
    type EnterDuration = SafeModeDuration;
    type ExtendDuration = SafeModeDuration;
    // Whoever has the deposit could stop the network for as long as it has deposits; there is no price for that.
    type EnterDepositAmount = NoDeposit;
    type ExtendDepositAmount = NoDeposit;
    type ForceEnterOrigin = EnterOrigin;
    type ForceExtendOrigin = EnterOrigin;
    type ForceExitOrigin = ReleaseOrigin;
    type ForceDepositOrigin = EnsureRoot<AccountId>;
    type Notify = ();
    type ReleaseDelay = NoRelease;
    type WeightInfo = pallet_safe_mode::weights::SubstrateWeight<Runtime>;
}

impl pallet_tx_pause::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type PauseOrigin = GuardOrigin;
    type UnpauseOrigin = ReleaseOrigin;
    type WhitelistedCalls = Unpausable;
    type MaxNameLen = ConstU32<128>;
    type WeightInfo = pallet_tx_pause::weights::SubstrateWeight<Runtime>;
}
