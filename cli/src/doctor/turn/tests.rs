use super::*;
use proptest::prelude::*;

fn exchange(peer: Option<&str>) -> Exchange {
    let credentials = Credentials { username: "1:doctor".into(), password: "secret".into() };
    let mut count = 0;
    let random = move || {
        count += 1;
        [count; 12]
    };
    Exchange::new(credentials, peer.map(|peer| peer.parse().unwrap()), random).unwrap()
}

fn read(bytes: &[u8]) -> Message {
    let mut message = Message::new();
    message.unmarshal_binary(bytes).unwrap();
    message
}

/// An answer to what was asked, with a password's integrity if there is one.
fn answer(
    asked: &[u8],
    class: rtc_stun::message::MessageClass,
    attributes: &[(AttrType, &[u8])],
    password: Option<&str>,
) -> Vec<u8> {
    let asked = read(asked);
    let mut message = Message::new();
    message.typ = MessageType::new(asked.typ.method, class);
    message.transaction_id = asked.transaction_id;
    message.write_header();
    for (name, value) in attributes {
        message.add(*name, value);
    }
    if let Some(password) = password {
        let crypto = default_provider().unwrap();
        let (user, realm) = ("1:doctor".to_owned(), "example".to_owned());
        MessageIntegrity::new_long_term_integrity_with_provider(user, realm, password.to_owned(), crypto.crypto())
            .unwrap()
            .add_to(&mut message)
            .unwrap();
    }
    message.raw
}

const CHALLENGE: [(AttrType, &[u8]); 3] =
    [(rtc_stun::attributes::ATTR_ERROR_CODE, &[0, 0, 4, 1]), (ATTR_REALM, b"example"), (ATTR_NONCE, b"nonce")];
/// 192.0.2.1:32853, XORed.
const RELAYED: [(AttrType, &[u8]); 1] = [(ATTR_XOR_RELAYED_ADDRESS, &[0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43])];

#[test]
fn a_relay_is_asked_for_twice_and_released() {
    let mut exchange = exchange(None);
    assert!(!read(exchange.current()).contains(ATTR_USERNAME), "credentials need a realm and a nonce");
    let challenge = answer(exchange.current(), CLASS_ERROR_RESPONSE, &CHALLENGE, None);
    assert_eq!(exchange.take(&challenge), Ok(Next::Send));
    assert_eq!(exchange.take(&challenge), Ok(Next::Wait), "of another transaction");
    assert!(read(exchange.current()).contains(ATTR_USERNAME));
    let granted = answer(exchange.current(), CLASS_SUCCESS_RESPONSE, &RELAYED, Some("secret"));
    let relayed = "192.0.2.1:32853".parse().unwrap();
    assert_eq!(exchange.take(&granted), Ok(Next::Done(Relay { relayed, peer: None })));
    let release = read(exchange.current());
    assert_eq!(release.typ, MessageType::new(METHOD_REFRESH, CLASS_REQUEST));
    assert_eq!(release.get(ATTR_LIFETIME).unwrap(), [0; 4]);
}

#[test]
fn refusals_and_forgeries_are_told_apart() {
    let mut exchange = exchange(Some("192.0.2.9:7500"));
    let challenge = answer(exchange.current(), CLASS_ERROR_RESPONSE, &CHALLENGE, None);
    exchange.take(&challenge).unwrap();
    let forged = answer(exchange.current(), CLASS_SUCCESS_RESPONSE, &RELAYED, Some("other"));
    assert_eq!(exchange.take(&forged), Err(TurnError::Forged));
    let refused = answer(exchange.current(), CLASS_ERROR_RESPONSE, &CHALLENGE, None);
    assert_eq!(exchange.take(&refused), Err(TurnError::Refused { code: 401, reason: String::new() }));
    let granted = answer(exchange.current(), CLASS_SUCCESS_RESPONSE, &RELAYED, Some("secret"));
    assert_eq!(exchange.take(&granted), Ok(Next::Send));
    assert_eq!(read(exchange.current()).typ.method, METHOD_CREATE_PERMISSION);
    let forbidden = [(rtc_stun::attributes::ATTR_ERROR_CODE, &[0, 0, 4, 3, b'n', b'o'][..])];
    let forbidden = answer(exchange.current(), CLASS_ERROR_RESPONSE, &forbidden, None);
    let Ok(Next::Done(relay)) = exchange.take(&forbidden) else { panic!("not over") };
    assert_eq!(relay.peer, Some(Peer::Forbidden(403, "no".into())));
}

#[test]
fn a_nonce_grows_old_only_so_often() {
    let mut exchange = exchange(None);
    let mut challenge = CHALLENGE;
    let mut last = Ok(Next::Send);
    for round in 0..10 {
        if round > 0 {
            challenge[0].1 = &[0, 0, 4, 38];
        }
        last = exchange.take(&answer(exchange.current(), CLASS_ERROR_RESPONSE, &challenge, None));
    }
    assert_eq!(last, Err(TurnError::Refused { code: 438, reason: String::new() }));
}

proptest! {
    #[test]
    fn no_message_makes_it_panic(bytes: Vec<u8>, changes in proptest::collection::vec((0usize..80, any::<u8>()), 1..6)) {
        for granted in [false, true] {
            let mut exchange = exchange(Some("192.0.2.9:7500"));
            let mut message = answer(exchange.current(), CLASS_ERROR_RESPONSE, &CHALLENGE, None);
            if granted {
                exchange.take(&message).unwrap();
                message = answer(exchange.current(), CLASS_SUCCESS_RESPONSE, &RELAYED, Some("secret"));
            }
            let _ = exchange.take(&bytes);
            for (at, value) in &changes {
                let length = message.len();
                message[at % length] = *value;
                let _ = exchange.take(&message);
            }
        }
    }
}
