//! Validators: candidates bond, the highest bonds are elected for an era, equivocation slashes.
//!
//! A candidate sets its session keys, then [`Call::join`]s with a bond, which is a hold on its own account. At the end
//! of each era the [`EraParameters::validators`] candidates with the highest bonds are elected for the next one. The
//! bonds at the election are the era's *exposure*: they identify a validator in the historical session proofs, and they
//! are what an offence is measured by, whatever the validator did with its bond since. Bonds that are taken back stay
//! slashable until they are free, [`EraParameters::unbonding_eras`] after their owner can last have validated.
//!
//! The election is a sort over at most [`Config::MaxCandidates`] entries in the block that ends a session, whose whole
//! weight pallet-session claims anyway.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

pub mod candidate;
mod election;
pub mod era;
mod offence;
pub mod weights;

#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use candidate::{Candidate, UnbondingChunk};
pub use election::ExposureOf;
pub use era::{Era, EraParameters};
pub use offence::SlashShares;
pub use pallet::*;
pub use weights::WeightInfo;

/// The pallet.
// The macro writes public items that it gives no documentation.
#[allow(missing_docs)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use chroom_primitives::Balance;
    use frame_support::{
        pallet_prelude::*,
        traits::{
            ValidatorRegistration,
            fungible::{
                Inspect,
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
            + MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + BalancedHold<Self::AccountId>;
        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;
        /// The session pallet: who has keys, who validates, whom to disable.
        type Session: ValidatorRegistration<Self::AccountId>
            + SessionInterface<ValidatorId = Self::AccountId, AccountId = Self::AccountId>;
        /// Who may change the rules of elections.
        type ManageOrigin: EnsureOrigin<Self::RuntimeOrigin>;
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
        /// What the calls cost.
        type WeightInfo: WeightInfo;
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

    /// The part of its exposure that a validator has lost for offences in a session.
    #[pallet::storage]
    pub type Slashes<T: Config> =
        StorageDoubleMap<_, Twox64Concat, SessionIndex, Blake2_128Concat, T::AccountId, Perbill, ValueQuery>;

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
                Candidates::<T>::insert(who, Candidate { bond: *bond, active: true, jailed_until: 0 });
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
        /// There were too few eligible candidates: those in office stay for another session.
        ElectionFailed {
            /// Eligible candidates.
            candidates: u32,
        },
        /// An era began.
        EraStarted {
            /// The era.
            era: EraIndex,
        },
        /// A validator lost part of its bond for an offence and does not stand for election until it has sat out.
        Slashed {
            /// The offender.
            who: T::AccountId,
            /// How much it lost.
            amount: Balance,
            /// The session in which it offended.
            session: SessionIndex,
            /// First era in which it may stand again.
            jailed_until: EraIndex,
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
        /// The account offended and has to sit out some eras before it may stand again.
        Jailed,
        /// Too many parts are unbonding at a time: withdraw what is free, or wait for it.
        TooManyChunks,
        /// Nothing has finished unbonding.
        NothingToWithdraw,
        /// The rules are out of their ranges.
        UnsoundParameters,
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
            ensure!(ActiveEra::<T>::get().index >= candidate.jailed_until, Error::<T>::Jailed);
            candidate.bond = candidate.bond.saturating_add(amount);
            ensure!(candidate.bond >= Parameters::<T>::get().minimum_bond, Error::<T>::BondTooSmall);
            T::Currency::hold(&HoldReason::Bond.into(), &who, amount)?;
            candidate.active = true;
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
            let candidate = Candidates::<T>::get(&who).ok_or(Error::<T>::NotCandidate)?;
            // An offender that is sitting out stays listed: leaving and joining anew must not shorten its sentence.
            ensure!(ActiveEra::<T>::get().index >= candidate.jailed_until, Error::<T>::Jailed);
            ensure!(
                !candidate.active || Candidates::<T>::count() > Parameters::<T>::get().minimum_validators,
                Error::<T>::TooFewCandidates
            );
            if candidate.bond > 0 {
                Self::start_unbonding(&who, candidate.bond)?;
            }
            Candidates::<T>::remove(&who);
            Self::deposit_event(Event::Left { who });
            Ok(())
        }

        /// Frees what has finished unbonding.
        #[pallet::call_index(3)]
        #[pallet::weight(<T as Config>::WeightInfo::withdraw())]
        pub fn withdraw(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let era = ActiveEra::<T>::get().index;
            let mut chunks = Unbonding::<T>::get(&who);
            let mut amount: Balance = 0;
            chunks.retain(|chunk| {
                let free = chunk.free_from <= era;
                if free {
                    amount = amount.saturating_add(chunk.amount);
                }
                !free
            });
            ensure!(amount > 0, Error::<T>::NothingToWithdraw);
            T::Currency::release(&HoldReason::Bond.into(), &who, amount, Precision::Exact)?;
            if chunks.is_empty() {
                Unbonding::<T>::remove(&who);
            } else {
                Unbonding::<T>::insert(&who, chunks);
            }
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
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    impl<T: Config> Pallet<T> {
        /// Puts `amount` on its way back. It stays slashable for the whole unbonding period after the end of the last
        /// era that its owner may have been elected for.
        fn start_unbonding(who: &T::AccountId, amount: Balance) -> DispatchResult {
            let elected = PlannedEra::<T>::get().unwrap_or_default().index;
            let free_from = elected.saturating_add(1).saturating_add(Parameters::<T>::get().unbonding_eras);
            Unbonding::<T>::try_mutate(who, |chunks| match chunks.last_mut() {
                Some(last) if last.free_from == free_from => {
                    last.amount = last.amount.saturating_add(amount);
                    Ok(())
                }
                _ => chunks.try_push(UnbondingChunk { amount, free_from }).map_err(|_| Error::<T>::TooManyChunks),
            })?;
            Self::deposit_event(Event::UnbondingStarted { who: who.clone(), amount, free_from });
            Ok(())
        }

        /// What must hold in every block: each hold is accounted for, and the sums agree.
        #[cfg(any(test, feature = "try-runtime"))]
        pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
            use alloc::collections::BTreeSet;
            use frame_support::traits::fungible::hold::Inspect as _;
            let accounts: BTreeSet<Vec<u8>> = Candidates::<T>::iter_keys()
                .chain(Unbonding::<T>::iter_keys())
                .map(|who| codec::Encode::encode(&who))
                .collect();
            for encoded in accounts {
                let who = T::AccountId::decode(&mut encoded.as_slice()).map_err(|_| "an account does not decode")?;
                let bond = Candidates::<T>::get(&who).map(|candidate| candidate.bond).unwrap_or_default();
                let unbonding: Balance = Unbonding::<T>::get(&who).iter().map(|chunk| chunk.amount).sum();
                let held = T::Currency::balance_on_hold(&HoldReason::Bond.into(), &who);
                ensure!(held == bond.saturating_add(unbonding), "a bond and its hold differ");
            }
            let era = ActiveEra::<T>::get().index;
            let points: u32 = Points::<T>::iter_prefix_values(era).sum();
            ensure!(points == TotalPoints::<T>::get(era), "the era's points and their total differ");
            ensure!(
                PlannedEra::<T>::get().is_none_or(|planned| planned.index >= era),
                "the active era was never planned"
            );
            Ok(())
        }
    }
}
