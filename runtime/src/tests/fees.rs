//! What a transaction costs, and who says so.

use super::{
    chain::{author, local_chain},
    governance::{COUNCILLORS, committee, council, dispatch, signed},
};
use crate::{
    Balance, RuntimeCall, TransactionPayment,
    parameters::{BYTE_FEE, FEE_RANGE, MICROSECOND_FEE, RuntimeParameters, fees},
};
use chroom_primitives::CHR;
use frame_support::{
    assert_ok,
    weights::{Weight, constants::WEIGHT_REF_TIME_PER_SECOND},
};
use sp_keyring::Sr25519Keyring::{Alice, Dave, Eve, Ferdie};
use sp_runtime::DispatchError::BadOrigin;

fn set(parameters: fees::Parameters) -> RuntimeCall {
    RuntimeCall::Parameters(pallet_parameters::Call::set_parameter { key_value: RuntimeParameters::Fees(parameters) })
}

fn set_byte_fee(fee: Option<Balance>) -> RuntimeCall {
    set(fees::Parameters::ByteFee(fees::ByteFee, fee))
}

fn set_microsecond_fee(fee: Option<Balance>) -> RuntimeCall {
    set(fees::Parameters::MicrosecondFee(fees::MicrosecondFee, fee))
}

fn second() -> Balance {
    TransactionPayment::weight_to_fee(Weight::from_parts(WEIGHT_REF_TIME_PER_SECOND, 0))
}

#[test]
fn a_second_and_a_megabyte_cost_one_token_at_first() {
    local_chain().execute_with(|| {
        assert_eq!(TransactionPayment::length_to_fee(1_000_000), CHR);
        // No transaction may take a second, so the query caps it at what a block has for one.
        let half = TransactionPayment::weight_to_fee(Weight::from_parts(WEIGHT_REF_TIME_PER_SECOND / 2, 0));
        assert_eq!(half, CHR / 2);
    });
}

#[test]
fn the_council_sets_them_and_nobody_else_does() {
    local_chain().execute_with(|| {
        author(1, || {
            for call in [set_byte_fee(Some(5)), set_microsecond_fee(Some(5))] {
                assert_eq!(council(&[Alice], &call), Err(BadOrigin));
                assert_eq!(committee(&[Dave, Eve, Ferdie], &call), Err(BadOrigin));
                assert_eq!(dispatch(signed(Alice), call), Err(BadOrigin));
            }
            assert_ok!(council(&COUNCILLORS, &set_byte_fee(Some(3 * BYTE_FEE))));
            assert_eq!(TransactionPayment::length_to_fee(10), 30 * BYTE_FEE);
            let before = second();
            assert_ok!(council(&COUNCILLORS, &set_microsecond_fee(Some(MICROSECOND_FEE / 2))));
            assert_eq!(second(), before / 2);
            // And back to what they were at first.
            assert_ok!(council(&COUNCILLORS, &set_byte_fee(None)));
            assert_eq!(TransactionPayment::length_to_fee(10), 10 * BYTE_FEE);
        });
    });
}

#[test]
fn no_fee_is_so_low_that_it_is_none_or_so_high_that_nobody_can_pay_for_another_motion() {
    local_chain().execute_with(|| {
        author(1, || {
            for (fee, counts_as) in [(0, BYTE_FEE / FEE_RANGE), (Balance::MAX, BYTE_FEE * FEE_RANGE)] {
                assert_ok!(council(&COUNCILLORS, &set_byte_fee(Some(fee))));
                assert_eq!(TransactionPayment::length_to_fee(1), counts_as);
            }
            let first = second();
            for (fee, counts_as) in [(0, first / FEE_RANGE), (Balance::MAX, first * FEE_RANGE)] {
                assert_ok!(council(&COUNCILLORS, &set_microsecond_fee(Some(fee))));
                assert_eq!(second(), counts_as);
            }
        });
    });
}
