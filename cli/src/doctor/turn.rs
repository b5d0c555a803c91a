//! A client's part of TURN (RFC 8656), as far as a check needs it: allocate, permit a peer, ask it something through the relay, release.
//! A state machine: messages come in, messages go out.

mod outcome;

pub use outcome::{Peer, Relay, TurnError};

use super::{
    ice_server::Credentials,
    stun::{Binding, StunError},
};
use rtc_crypto::{RTCCryptoProvider, default_provider};
use rtc_stun::{
    attributes::{
        ATTR_DATA, ATTR_LIFETIME, ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_ADDRESS_FAMILY, ATTR_REQUESTED_TRANSPORT,
        ATTR_SOFTWARE, ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS, ATTR_XOR_RELAYED_ADDRESS, AttrType,
    },
    error_code::ErrorCodeAttribute,
    integrity::MessageIntegrity,
    message::{
        CLASS_ERROR_RESPONSE, CLASS_INDICATION, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, Getter, METHOD_ALLOCATE,
        METHOD_CREATE_PERMISSION, METHOD_DATA, METHOD_REFRESH, METHOD_SEND, Message, MessageType, Method, Setter,
        TransactionId,
    },
    textattrs::TextAttribute,
    xoraddr::XorMappedAddress,
};
use std::{net::SocketAddr, sync::Arc};

/// UDP's protocol number, which is what is asked to be relayed.
const UDP: [u8; 4] = [17, 0, 0, 0];
/// REQUESTED-ADDRESS-FAMILY of IPv6.
const IPV6: [u8; 4] = [2, 0, 0, 0];
const UNAUTHORIZED: u16 = 401;
const STALE_NONCE: u16 = 438;
/// Times that the server may ask for a newer nonce.
const NONCES: u32 = 3;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Send [`Exchange::current`].
    Send,
    /// Wait on: this was nothing.
    Wait,
    /// It is over. [`Exchange::current`] releases the relay, and need not be answered.
    Done(Relay),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Which realm and nonce?
    Asking,
    Allocating,
    Permitting,
    /// The peer was asked.
    Relaying,
    Over,
}

struct Session {
    realm: TextAttribute,
    nonce: TextAttribute,
    key: Vec<u8>,
}

/// One check of one server.
pub struct Exchange {
    credentials: Credentials,
    peer: Option<SocketAddr>,
    random: Box<dyn FnMut() -> [u8; 12] + Send>,
    crypto: Arc<dyn RTCCryptoProvider>,
    state: State,
    session: Option<Session>,
    nonces: u32,
    transaction: TransactionId,
    current: Vec<u8>,
    binding: Option<Binding>,
    relayed: Option<SocketAddr>,
}

impl Exchange {
    /// Begins: the first message is in [`Exchange::current`]. `random` gives transaction ids.
    pub fn new(
        credentials: Credentials,
        peer: Option<SocketAddr>,
        random: impl FnMut() -> [u8; 12] + Send + 'static,
    ) -> Result<Self, TurnError> {
        let crypto = default_provider().map_err(|error| StunError(error.to_string()))?;
        let mut exchange = Self {
            credentials,
            peer,
            random: Box::new(random),
            crypto,
            state: State::Asking,
            session: None,
            nonces: 0,
            transaction: TransactionId::default(),
            current: Vec::new(),
            binding: None,
            relayed: None,
        };
        exchange.ask_for_relay()?;
        Ok(exchange)
    }

    /// What is to be sent, and over UDP sent again as long as nothing comes.
    pub fn current(&self) -> &[u8] {
        &self.current
    }

    /// Takes in a message.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Next, TurnError> {
        let mut message = Message::new();
        if message.unmarshal_binary(bytes).is_err() {
            return Ok(Next::Wait);
        }
        if message.typ == MessageType::new(METHOD_DATA, CLASS_INDICATION) {
            return self.data(&message);
        }
        if message.transaction_id != self.transaction
            || !matches!(self.state, State::Asking | State::Allocating | State::Permitting)
        {
            return Ok(Next::Wait);
        }
        match message.typ.class {
            CLASS_ERROR_RESPONSE => self.refused(&message),
            CLASS_SUCCESS_RESPONSE => self.granted(&mut message),
            _ => Ok(Next::Wait),
        }
    }

    /// The time for the current answer is over. `None`: nothing was heard of the server.
    pub fn give_up(&mut self) -> Option<Next> {
        match self.state {
            State::Relaying => self.over(Some(Peer::Silent)).ok(),
            _ => None,
        }
    }

    fn refused(&mut self, message: &Message) -> Result<Next, TurnError> {
        let mut error = ErrorCodeAttribute::default();
        error.get_from(message).map_err(|_| TurnError::Incomplete("ERROR-CODE"))?;
        let (code, reason) = (error.code.0, String::from_utf8_lossy(&error.reason).into_owned());
        let first = self.state == State::Asking && code == UNAUTHORIZED;
        if first || (code == STALE_NONCE && self.nonces < NONCES) {
            self.nonces += 1;
            self.authenticate(message)?;
            return self.again();
        }
        match self.state {
            State::Permitting => self.over(Some(Peer::Forbidden(code, reason))),
            _ => Err(TurnError::Refused { code, reason }),
        }
    }

    /// Takes realm and nonce from a refusal.
    fn authenticate(&mut self, message: &Message) -> Result<(), TurnError> {
        let text = |name, what| TextAttribute::get_from_as(message, name).map_err(|_| TurnError::Incomplete(what));
        let (realm, nonce) = (text(ATTR_REALM, "REALM")?, text(ATTR_NONCE, "NONCE")?);
        let Credentials { username, password } = self.credentials.clone();
        let key =
            MessageIntegrity::long_term_integrity_key(username, realm.text.clone(), password, self.crypto.crypto())
                .map_err(stun)?;
        self.session = Some(Session { realm, nonce, key });
        Ok(())
    }

    fn again(&mut self) -> Result<Next, TurnError> {
        match self.state {
            State::Permitting => self.permit()?,
            _ => {
                self.state = State::Allocating;
                self.ask_for_relay()?;
            }
        }
        Ok(Next::Send)
    }

    fn granted(&mut self, message: &mut Message) -> Result<Next, TurnError> {
        if let Some(session) = &self.session {
            MessageIntegrity::check(message, &session.key, self.crypto.crypto()).map_err(|_| TurnError::Forged)?;
        }
        if self.state == State::Permitting {
            return self.ask_peer();
        }
        let mut relayed = XorMappedAddress::default();
        relayed
            .get_from_as(message, ATTR_XOR_RELAYED_ADDRESS)
            .map_err(|_| TurnError::Incomplete("XOR-RELAYED-ADDRESS"))?;
        self.relayed = Some(SocketAddr::new(relayed.ip, relayed.port));
        if self.peer.is_none() {
            return self.over(None);
        }
        self.state = State::Permitting;
        self.permit()?;
        Ok(Next::Send)
    }

    fn data(&mut self, message: &Message) -> Result<Next, TurnError> {
        let answered = match (&self.binding, message.get(ATTR_DATA)) {
            (Some(binding), Ok(data)) => binding.mapped(&data).is_some(),
            _ => false,
        };
        if self.state == State::Relaying && answered { self.over(Some(Peer::Answered)) } else { Ok(Next::Wait) }
    }

    fn over(&mut self, peer: Option<Peer>) -> Result<Next, TurnError> {
        let relayed = self.relayed.ok_or(TurnError::Incomplete("XOR-RELAYED-ADDRESS"))?;
        self.state = State::Over;
        self.request(METHOD_REFRESH, &[(ATTR_LIFETIME, &[0; 4])])?;
        Ok(Next::Done(Relay { relayed, peer }))
    }

    fn ask_for_relay(&mut self) -> Result<(), TurnError> {
        let mut attributes: Vec<(AttrType, &[u8])> = vec![(ATTR_REQUESTED_TRANSPORT, &UDP)];
        if self.peer.is_some_and(|peer| peer.is_ipv6()) {
            attributes.push((ATTR_REQUESTED_ADDRESS_FAMILY, &IPV6));
        }
        self.request(METHOD_ALLOCATE, &attributes)
    }

    fn permit(&mut self) -> Result<(), TurnError> {
        self.request(METHOD_CREATE_PERMISSION, &[])
    }

    fn ask_peer(&mut self) -> Result<Next, TurnError> {
        let binding = Binding::new((self.random)())?;
        let mut message = self.begin(METHOD_SEND, CLASS_INDICATION)?;
        message.add(ATTR_DATA, binding.as_bytes());
        self.current = message.raw;
        self.binding = Some(binding);
        self.state = State::Relaying;
        Ok(Next::Send)
    }

    /// A message with its head, and the peer's address where one belongs.
    fn begin(&mut self, method: Method, class: rtc_stun::message::MessageClass) -> Result<Message, TurnError> {
        self.transaction = TransactionId((self.random)());
        let mut message = Message::new();
        message.transaction_id = self.transaction;
        message.typ = MessageType::new(method, class);
        message.write_header();
        let peer = self.peer.filter(|_| method == METHOD_CREATE_PERMISSION || method == METHOD_SEND);
        if let Some(peer) = peer {
            let address = XorMappedAddress { ip: peer.ip(), port: peer.port() };
            address.add_to_as(&mut message, ATTR_XOR_PEER_ADDRESS).map_err(stun)?;
        }
        Ok(message)
    }

    fn request(&mut self, method: Method, attributes: &[(AttrType, &[u8])]) -> Result<(), TurnError> {
        let mut message = self.begin(method, CLASS_REQUEST)?;
        for (name, value) in attributes {
            message.add(*name, value);
        }
        let software = TextAttribute::new(ATTR_SOFTWARE, "chroom doctor".to_owned());
        software.add_to(&mut message).map_err(stun)?;
        if let Some(session) = &self.session {
            let username = TextAttribute::new(ATTR_USERNAME, self.credentials.username.clone());
            for text in [&username, &session.realm, &session.nonce] {
                text.add_to(&mut message).map_err(stun)?;
            }
            MessageIntegrity::new_raw_integrity_with_provider(session.key.clone(), self.crypto.crypto())
                .add_to(&mut message)
                .map_err(stun)?;
        }
        self.current = message.raw;
        Ok(())
    }
}

fn stun(error: impl std::fmt::Display) -> TurnError {
    StunError(error.to_string()).into()
}

#[cfg(test)]
mod tests;
