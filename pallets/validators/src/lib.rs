//! Validators: candidates bond, the highest bonds are elected for an era, authors are paid, offenders are slashed.
//!
//! A candidate sets its session keys, then [`Call::join`]s with a bond, which is a hold on its own account. At the end
//! of each era the [`EraParameters::validators`] candidates with the highest bonds are elected for the next one. The
//! bonds at the election are the era's *exposure*: they identify a validator in the historical session proofs, and they
//! are what an offence is measured by, whatever the validator did with its bond since. Bonds that are taken back stay
//! slashable until they are free, [`EraParameters::unbonding_eras`] after their owner can last have validated.
//!
//! Without enough candidates those in office serve another era: eras, and with them pay, unbonding and slashes, never
//! stand still.
//!
//! What comes into the [pot](Pallet::pot_account) during an era is shared out by the blocks that each validator authored in
//! it, and paid when somebody asks ([`Call::payout`]). Who authors nothing earns nothing; who authors nothing in several
//! sessions in a row does not stand for election any more, until it joins again.
//!
//! An offender is disabled and sentenced at once, but the slash waits for [`EraParameters::slash_defer_eras`], in which
//! [`Call::cancel_slash`] can take it back. What it may take stays held.
//!
//! The election is a sort over at most [`Config::MaxCandidates`] entries in the block that ends a session, whose whole
//! weight pallet-session claims anyway; so are the look at who was there and the clearing of old eras.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod attendance;
#[cfg(feature = "runtime-benchmarks")]
pub mod benchmarking;
pub mod candidate;
mod election;
pub mod era;
#[cfg(any(feature = "std", feature = "try-runtime"))]
mod invariants;
pub mod offence;
pub mod pay;
pub mod slash;
pub mod weights;

#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use candidate::{Candidate, UnbondingChunk};
pub use election::ExposureOf;
pub use era::{Era, EraInfo, EraParameters};
pub use offence::Sentence;
pub use pallet::*;
pub use pay::EraReward;
pub use slash::{SlashKey, SlashRecord, SlashShares, UnappliedSlash};
pub use weights::WeightInfo;

/// The pallet.
// The macro writes public items that it gives no documentation.
#[allow(missing_docs)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use crate::slash::MAX_CANCELLED;
    use alloc::vec::Vec;
    use chroom_primitives::Balance;
    use frame_support::{
        PalletId,
        pallet_prelude::*,
        traits::{
            ValidatorRegistration, ValidatorSet,
            fungible::{
                Inspect, Mutate,
                hold::{Balanced as BalancedHold, Mutate as MutateHold},
            },
            tokens::Precision,
        },
    };
    use frame_system::pallet_prelude::*;
    use pallet_session::SessionInterface;
    use sp_runtime::Perbill;
    use sp_staking::{EraIndex, SessionIndex};

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// What the runtime decides.
    #[pallet::config]
    pub trait Config: frame_system::Config {
        /// The token.
        type Currency: Inspect<Self::AccountId, Balance = Balance>
            + Mutate<Self::AccountId>
            + MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + BalancedHold<Self::AccountId>;
        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;
        /// The session pallet: which session it is, who has keys, who validates, whom to disable.
        type Session: ValidatorRegistration<Self::AccountId>
            + ValidatorSet<Self::AccountId, ValidatorId = Self::AccountId>
            + SessionInterface<ValidatorId = Self::AccountId, AccountId = Self::AccountId>;
        /// Who may change the rules of elections.
        type ManageOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Who may cancel slashes that wait.
        type CancelOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Names the account that validators are paid from.
        #[pallet::constant]
        type PotId: Get<PalletId>;
        /// Where the treasury's share of slashes goes.
        type Treasury: Get<Self::AccountId>;
        /// Least part of the exposure that an offence costs, however few offended together.
        #[pallet::constant]
        type SlashFloor: Get<Perbill>;
        /// How a slash is split.
        #[pallet::constant]
        type SlashShares: Get<SlashShares>;
        /// Most candidates at a time.
        #[pallet::constant]
        type MaxCandidates: Get<u32>;
        /// Most parts of one bond that unbond at a time.
        #[pallet::constant]
        type MaxUnbondingChunks: Get<u32>;
        /// Most slashes that wait at a time; further ones are applied at once.
        #[pallet::constant]
        type MaxUnappliedSlashes: Get<u32>;
        /// Most slashes that are applied in a block, at least 1.
        #[pallet::constant]
        type MaxSlashesPerBlock: Get<u32>;
        /// What the calls cost.
        type WeightInfo: WeightInfo;
        /// Puts accounts in office to measure with.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: benchmarking::Office<Self::AccountId>;
    }

    /// Why the pallet holds funds.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// The bond of a candidate or validator, and what of it is unbonding.
        #[codec(index = 0)]
        Bond,
    }

    /// The rules of elections.
    #[pallet::storage]
    pub type Parameters<T> = StorageValue<_, EraParameters, ValueQuery>;

    /// Slots in a session, which is a BABE epoch. Set at genesis, never changed: BABE computes epochs from it.
    #[pallet::storage]
    pub type SessionLength<T> = StorageValue<_, u64, ValueQuery, DefaultSessionLength>;

    /// Slots in a session unless the genesis says otherwise: four hours of six-second slots.
    #[pallet::type_value]
    pub fn DefaultSessionLength() -> u64 {
        2_400
    }

    /// Those who stand, or have stood, for election.
    #[pallet::storage]
    pub type Candidates<T: Config> = CountedStorageMap<_, Blake2_128Concat, T::AccountId, Candidate, OptionQuery>;

    /// How many candidates stand for election.
    #[pallet::storage]
    pub type Standing<T> = StorageValue<_, u32, ValueQuery>;

    /// What of a bond is on its way back, oldest first.
    #[pallet::storage]
    pub type Unbonding<T: Config> =
        StorageMap<_, Blake2_128Concat, T::AccountId, BoundedVec<UnbondingChunk, T::MaxUnbondingChunks>, ValueQuery>;

    /// The era that was elected last; in office from its first session on.
    #[pallet::storage]
    pub type PlannedEra<T> = StorageValue<_, Era, OptionQuery>;

    /// The era in office.
    #[pallet::storage]
    pub type ActiveEra<T> = StorageValue<_, Era, ValueQuery>;

    /// The oldest era that is remembered.
    #[pallet::storage]
    pub type OldestEra<T> = StorageValue<_, EraIndex, ValueQuery>;

    /// The oldest session whose offences are remembered.
    #[pallet::storage]
    pub type OldestSession<T> = StorageValue<_, SessionIndex, ValueQuery>;

    /// The bonds with which an era's validators were elected.
    #[pallet::storage]
    pub type Exposures<T: Config> =
        StorageDoubleMap<_, Twox64Concat, EraIndex, Blake2_128Concat, T::AccountId, Balance, OptionQuery>;

    /// Blocks that each validator authored in an era.
    #[pallet::storage]
    pub type Points<T: Config> =
        StorageDoubleMap<_, Twox64Concat, EraIndex, Blake2_128Concat, T::AccountId, u32, ValueQuery>;

    /// Blocks that all validators authored in an era.
    #[pallet::storage]
    pub type TotalPoints<T> = StorageMap<_, Twox64Concat, EraIndex, u32, ValueQuery>;

    /// Blocks that each validator authored in the session in office.
    #[pallet::storage]
    pub type SessionPoints<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, u32, ValueQuery>;

    /// What the remembered eras pay.
    #[pallet::storage]
    pub type EraRewards<T> = StorageMap<_, Twox64Concat, EraIndex, EraReward, OptionQuery>;

    /// What each validator was paid for an era.
    #[pallet::storage]
    pub type Paid<T: Config> =
        StorageDoubleMap<_, Twox64Concat, EraIndex, Blake2_128Concat, T::AccountId, Balance, OptionQuery>;

    /// What the remembered eras have not paid out; the pot has at least this and the existential deposit.
    #[pallet::storage]
    pub type Owed<T> = StorageValue<_, Balance, ValueQuery>;

    /// Who is paid for a validator, if it is another account.
    #[pallet::storage]
    pub type Payees<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, T::AccountId, OptionQuery>;

    /// What a validator's offences in a session cost it.
    #[pallet::storage]
    pub type Slashes<T: Config> =
        StorageDoubleMap<_, Twox64Concat, SessionIndex, Blake2_128Concat, T::AccountId, SlashRecord, ValueQuery>;

    /// Slashes that wait, by the era at whose start they fall due.
    #[pallet::storage]
    pub type UnappliedSlashes<T: Config> =
        StorageDoubleMap<_, Twox64Concat, EraIndex, Twox64Concat, u32, UnappliedSlash<T::AccountId>, OptionQuery>;

    /// How many slashes wait.
    #[pallet::storage]
    pub type UnappliedCount<T> = StorageValue<_, u32, ValueQuery>;

    /// No slash that waits falls due before this era.
    #[pallet::storage]
    pub type SlashCursor<T> = StorageValue<_, EraIndex, ValueQuery>;

    /// Number of the next slash.
    #[pallet::storage]
    pub type NextSlashId<T> = StorageValue<_, u32, ValueQuery>;

    /// What an account's waiting slashes may take, together.
    #[pallet::storage]
    pub type PendingSlashes<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, Balance, ValueQuery>;

    /// Offenders' sentences, candidates or not. One that is over remains until its account joins again.
    #[pallet::storage]
    pub type Sentences<T: Config> = CountedStorageMap<_, Blake2_128Concat, T::AccountId, Sentence, OptionQuery>;

    /// The first validators and the rules.
    #[pallet::genesis_config]
    pub struct GenesisConfig<T: Config> {
        /// Accounts and their bonds; each needs session keys in pallet-session's genesis.
        pub validators: Vec<(T::AccountId, Balance)>,
        /// The rules of elections.
        pub parameters: EraParameters,
        /// Slots in a session, at least 2.
        pub session_length: u64,
    }

    impl<T: Config> Default for GenesisConfig<T> {
        fn default() -> Self {
            Self {
                validators: Vec::new(),
                parameters: EraParameters::default(),
                session_length: DefaultSessionLength::get(),
            }
        }
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        // An unsound genesis must not make a chain: build_state reports the panic to whoever writes the specification.
        #[allow(clippy::panic)]
        fn build(&self) {
            assert!(self.parameters.is_sound(), "validators.parameters of the genesis are out of range");
            assert!(self.session_length >= 2, "validators.sessionLength of the genesis must be at least 2 slots");
            // A network that names no founders has none yet; one that names too few would have no eras.
            assert!(
                self.validators.is_empty() || self.validators.len() >= self.parameters.minimum_validators as usize,
                "the genesis has fewer validators than validators.parameters.minimumValidators"
            );
            // The pot outlives its last payout, so that no fee is too small for it.
            if let Err(error) = T::Currency::mint_into(&Pallet::<T>::pot_account(), T::Currency::minimum_balance()) {
                panic!("the pot cannot be endowed: {error:?}");
            }
            Parameters::<T>::put(&self.parameters);
            SessionLength::<T>::put(self.session_length);
            for (who, bond) in &self.validators {
                assert!(
                    *bond >= self.parameters.minimum_bond && !Candidates::<T>::contains_key(who),
                    "each of the genesis's validators must be listed once, with at least the minimum bond"
                );
                if let Err(error) = T::Currency::hold(&HoldReason::Bond.into(), who, *bond) {
                    panic!("a validator of the genesis cannot bond: {error:?}");
                }
                let mut candidate = Candidate { bond: *bond, ..Default::default() };
                Pallet::<T>::set_standing(&mut candidate, true);
                Candidates::<T>::insert(who, candidate);
            }
        }
    }

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An account stands for election with this bond in all.
        Joined {
            /// The candidate.
            who: T::AccountId,
            /// Its whole bond.
            bond: Balance,
        },
        /// Part of a bond is on its way back.
        UnbondingStarted {
            /// The owner.
            who: T::AccountId,
            /// How much.
            amount: Balance,
            /// The era from which on it can be withdrawn.
            free_from: EraIndex,
        },
        /// An account no longer stands for election.
        Left {
            /// The account.
            who: T::AccountId,
        },
        /// What had unbonded is free.
        Withdrawn {
            /// The owner.
            who: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// The validators of the next era are elected.
        Elected {
            /// The era.
            era: EraIndex,
            /// How many validators.
            validators: u32,
        },
        /// There were too few eligible candidates for an election.
        ElectionFailed {
            /// Eligible candidates.
            candidates: u32,
        },
        /// Without an election, those in office serve this era too.
        Retained {
            /// The era.
            era: EraIndex,
            /// How many validators.
            validators: u32,
        },
        /// An era began.
        EraStarted {
            /// The era.
            era: EraIndex,
        },
        /// A validator offended. It is disabled, and does not stand for election until it has sat out.
        Offended {
            /// The offender.
            who: T::AccountId,
            /// The session in which it offended.
            session: SessionIndex,
            /// The part of its exposure that this session's offences cost it in all.
            fraction: Perbill,
            /// First session in which it may stand again.
            jailed_until: SessionIndex,
        },
        /// A slash waits, or one that waited grew.
        SlashQueued {
            /// The era at whose start it falls due.
            era: EraIndex,
            /// Its number.
            id: u32,
            /// The offender.
            who: T::AccountId,
            /// How much it is to lose.
            amount: Balance,
        },
        /// A slash that waited was cancelled.
        SlashCancelled {
            /// The era at whose start it would have fallen due.
            era: EraIndex,
            /// Its number.
            id: u32,
            /// Who was to lose it.
            who: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A validator lost part of its bond for an offence.
        Slashed {
            /// The offender.
            who: T::AccountId,
            /// How much it lost.
            amount: Balance,
            /// The session in which it offended.
            session: SessionIndex,
        },
        /// A validator authored no block in a session.
        Absent {
            /// The validator.
            who: T::AccountId,
            /// The session.
            session: SessionIndex,
            /// Such sessions in a row.
            absences: u32,
        },
        /// A validator was absent too often and no longer stands for election.
        Chilled {
            /// The validator.
            who: T::AccountId,
            /// The session that it was last absent in.
            session: SessionIndex,
        },
        /// The reward of an era that is over was set aside.
        EraRewarded {
            /// The era.
            era: EraIndex,
            /// For all its validators together.
            total: Balance,
            /// Blocks that they authored.
            points: u32,
        },
        /// What an era still owed is the pot's again.
        EraExpired {
            /// The era.
            era: EraIndex,
            /// What nobody had asked for, with what was lost in rounding.
            unclaimed: Balance,
        },
        /// A validator was paid for an era.
        PaidOut {
            /// The era.
            era: EraIndex,
            /// The validator.
            validator: T::AccountId,
            /// Who was paid.
            payee: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A validator chose who is paid for it.
        PayeeSet {
            /// The validator.
            who: T::AccountId,
            /// Who is paid from now on, for earlier eras too.
            payee: T::AccountId,
        },
        /// The rules of elections changed.
        ParametersSet {
            /// The new rules.
            parameters: EraParameters,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The account has no session keys: call session.set_keys first.
        NoSessionKeys,
        /// The bond would be below the minimum of a candidate.
        BondTooSmall,
        /// All places for candidates are taken.
        TooManyCandidates,
        /// Too few candidates would remain for an election.
        TooFewCandidates,
        /// The account is not a candidate.
        NotCandidate,
        /// The account offended and has to sit out some sessions before it may stand again.
        Jailed,
        /// Too many parts are unbonding at a time: withdraw what is free, or wait for it.
        TooManyChunks,
        /// Nothing has finished unbonding.
        NothingToWithdraw,
        /// All that has finished unbonding is kept back for slashes that wait.
        SlashPending,
        /// No slash of this number waits for this era.
        NoSuchSlash,
        /// Nothing was set aside for this era: it is not over, had no income, or is too long ago.
        NoReward,
        /// The account earned nothing in this era.
        NothingToPay,
        /// The validator was paid for this era.
        AlreadyPaid,
        /// The rules are out of their ranges.
        UnsoundParameters,
        /// The amount is 0.
        NoAmount,
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Stands for election with `amount` more bonded; 0 to stand again with the bond that is left.
        #[pallet::call_index(0)]
        #[pallet::weight(<T as Config>::WeightInfo::join())]
        pub fn join(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
            let who = ensure_signed(origin)?;
            ensure!(T::Session::is_registered(&who), Error::<T>::NoSessionKeys);
            let known = Candidates::<T>::get(&who);
            ensure!(
                known.is_some() || Candidates::<T>::count() < T::MaxCandidates::get(),
                Error::<T>::TooManyCandidates
            );
            let mut candidate = known.unwrap_or_default();
            ensure!(Self::running_sentence(&who).is_none(), Error::<T>::Jailed);
            candidate.bond = candidate.bond.saturating_add(amount);
            ensure!(candidate.bond >= Parameters::<T>::get().minimum_bond, Error::<T>::BondTooSmall);
            T::Currency::hold(&HoldReason::Bond.into(), &who, amount)?;
            Sentences::<T>::remove(&who);
            Self::set_standing(&mut candidate, true);
            let bond = candidate.bond;
            Candidates::<T>::insert(&who, candidate);
            Self::deposit_event(Event::Joined { who, bond });
            Ok(())
        }

        /// Takes back `amount` of the bond after the unbonding period; what remains must be a candidate's minimum.
        #[pallet::call_index(1)]
        #[pallet::weight(<T as Config>::WeightInfo::unbond())]
        pub fn unbond(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let mut candidate = Candidates::<T>::get(&who).ok_or(Error::<T>::NotCandidate)?;
            // A part of nothing would keep its place for good: there would be nothing in it to withdraw.
            ensure!(amount > 0, Error::<T>::NoAmount);
            let rest = candidate.bond.checked_sub(amount).ok_or(Error::<T>::BondTooSmall)?;
            ensure!(rest >= Parameters::<T>::get().minimum_bond, Error::<T>::BondTooSmall);
            candidate.bond = rest;
            Self::start_unbonding(&who, amount)?;
            Candidates::<T>::insert(&who, candidate);
            Ok(())
        }

        /// Gives up candidacy and takes back the whole bond after the unbonding period. A validator in office serves
        /// until the end of the last era that it was elected for.
        #[pallet::call_index(2)]
        #[pallet::weight(<T as Config>::WeightInfo::leave())]
        pub fn leave(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let mut candidate = Candidates::<T>::get(&who).ok_or(Error::<T>::NotCandidate)?;
            ensure!(
                !candidate.active || Standing::<T>::get() > Parameters::<T>::get().minimum_validators,
                Error::<T>::TooFewCandidates
            );
            Self::set_standing(&mut candidate, false);
            if candidate.bond > 0 {
                Self::start_unbonding(&who, candidate.bond)?;
            }
            Candidates::<T>::remove(&who);
            Self::forget_if_gone(&who);
            Self::deposit_event(Event::Left { who });
            Ok(())
        }

        /// Frees what has finished unbonding, as far as no slash that waits may take it.
        #[pallet::call_index(3)]
        #[pallet::weight(<T as Config>::WeightInfo::withdraw())]
        pub fn withdraw(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let amount = Self::take_unbonded(&who, ActiveEra::<T>::get().index)?;
            T::Currency::release(&HoldReason::Bond.into(), &who, amount, Precision::Exact)?;
            Self::forget_if_gone(&who);
            Self::deposit_event(Event::Withdrawn { who, amount });
            Ok(())
        }

        /// Changes the rules; they hold from the next election on.
        #[pallet::call_index(4)]
        #[pallet::weight(<T as Config>::WeightInfo::set_parameters())]
        pub fn set_parameters(origin: OriginFor<T>, parameters: EraParameters) -> DispatchResult {
            T::ManageOrigin::ensure_origin(origin)?;
            ensure!(parameters.is_sound(), Error::<T>::UnsoundParameters);
            Parameters::<T>::put(&parameters);
            Self::deposit_event(Event::ParametersSet { parameters });
            Ok(())
        }

        /// Chooses who is paid for the calling candidate, for eras that are already over too; itself to take that back.
        #[pallet::call_index(5)]
        #[pallet::weight(<T as Config>::WeightInfo::set_payee())]
        pub fn set_payee(origin: OriginFor<T>, payee: T::AccountId) -> DispatchResult {
            let who = ensure_signed(origin)?;
            ensure!(Candidates::<T>::contains_key(&who), Error::<T>::NotCandidate);
            if payee == who {
                Payees::<T>::remove(&who);
            } else {
                Payees::<T>::insert(&who, &payee);
            }
            Self::deposit_event(Event::PayeeSet { who, payee });
            Ok(())
        }

        /// Pays a validator what it earned in an era that is over. Anybody may ask for it; the validator's payee gets it.
        #[pallet::call_index(6)]
        #[pallet::weight(<T as Config>::WeightInfo::payout())]
        pub fn payout(
            origin: OriginFor<T>,
            #[pallet::compact] era: EraIndex,
            validator: T::AccountId,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_payout(era, validator)
        }

        /// Cancels slashes that wait for `era`, all of `ids` or none. An offender whose last slash is cancelled may stand
        /// for election again.
        #[pallet::call_index(7)]
        #[pallet::weight(<T as Config>::WeightInfo::cancel_slash(ids.len() as u32))]
        pub fn cancel_slash(
            origin: OriginFor<T>,
            #[pallet::compact] era: EraIndex,
            ids: BoundedVec<u32, ConstU32<MAX_CANCELLED>>,
        ) -> DispatchResult {
            T::CancelOrigin::ensure_origin(origin)?;
            for id in ids {
                Self::cancel((era, id))?;
            }
            Ok(())
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            Self::apply_due_slashes()
        }

        fn integrity_test() {
            let shares = T::SlashShares::get();
            assert!(
                shares.reporters.deconstruct().saturating_add(shares.treasury.deconstruct())
                    <= Perbill::one().deconstruct(),
                "the shares of a slash are more than the whole"
            );
            assert!(T::MaxSlashesPerBlock::get() > 0, "no slash would ever be applied");
            assert!(T::MaxUnbondingChunks::get() > 0, "no bond could ever be taken back");
            assert!(T::MaxCandidates::get() > 0, "nobody could ever validate");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// The era in office, and what it would pay if it ended now.
        pub fn era_info() -> EraInfo {
            let active = ActiveEra::<T>::get();
            let next = PlannedEra::<T>::get().filter(|planned| planned.index > active.index);
            EraInfo {
                active,
                ends_before: next.map_or_else(
                    || active.first_session.saturating_add(Parameters::<T>::get().sessions_per_era),
                    |planned| planned.first_session,
                ),
                next,
                points: TotalPoints::<T>::get(active.index),
                accrued: Self::accrued(),
                owed: Owed::<T>::get(),
            }
        }

        /// The eras for which a validator can be paid, and how much for each, oldest first.
        pub fn pending_pay(validator: T::AccountId) -> Vec<(EraIndex, Balance)> {
            Self::unpaid_eras(&validator, ActiveEra::<T>::get().index)
        }

        /// The slashes that wait for an account, each with the era at whose start it falls due and its number.
        pub fn pending_slashes(who: T::AccountId) -> Vec<(EraIndex, u32, UnappliedSlash<T::AccountId>)> {
            UnappliedSlashes::<T>::iter().filter(|(_, _, slash)| slash.validator == who).collect()
        }

        /// The sentence of an account, unless it has none or has sat it out.
        pub fn sentence(who: T::AccountId) -> Option<Sentence> {
            Self::running_sentence(&who)
        }
    }
}
