//! A TURN server, as far as one client at a time needs it: it checks credentials and relays for real.

use base64::{Engine, prelude::BASE64_STANDARD};
use rtc_crypto::{HmacAlgorithm, default_provider};
use rtc_stun::{
    attributes::*, integrity::MessageIntegrity, message::*, textattrs::TextAttribute, xoraddr::XorMappedAddress,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::net::UdpSocket;

const REALM: &str = "example";

pub struct TurnServer {
    pub url: String,
    released: Arc<AtomicUsize>,
}

/// The password of a user (draft-uberti-behave-turn-rest-00 §2.2).
fn password(secret: &str, user: &str) -> String {
    let provider = default_provider().unwrap();
    let mut mac = provider.crypto().new_hmac(HmacAlgorithm::Sha1, secret.as_bytes()).unwrap();
    let mut bytes = [0; 20];
    mac.sign(&[user.as_bytes()], &mut bytes).unwrap();
    BASE64_STANDARD.encode(bytes)
}

impl TurnServer {
    pub async fn start(secret: &'static str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let url = format!("turn:{}", socket.local_addr().unwrap());
        let released = Arc::new(AtomicUsize::new(0));
        let count = released.clone();
        tokio::spawn(async move {
            let (mut asked, mut relayed) = ([0; 1_500], [0; 1_500]);
            let mut client = None;
            loop {
                tokio::select! {
                    got = socket.recv_from(&mut asked) => {
                        let (size, from) = got.unwrap();
                        client = Some(from);
                        if let Some(answer) = answer(secret, &asked[..size], from, &relay, &count).await {
                            socket.send_to(&answer, from).await.unwrap();
                        }
                    }
                    got = relay.recv_from(&mut relayed) => {
                        let (size, peer) = got.unwrap();
                        let mut data = Message::new();
                        data.new_transaction_id().unwrap();
                        data.typ = MessageType::new(METHOD_DATA, CLASS_INDICATION);
                        data.write_header();
                        address(&mut data, ATTR_XOR_PEER_ADDRESS, peer);
                        data.add(ATTR_DATA, &relayed[..size]);
                        socket.send_to(&data.raw, client.unwrap()).await.unwrap();
                    }
                }
            }
        });
        Self { url, released }
    }

    /// How often a relay was given back.
    pub fn released(&self) -> usize {
        self.released.load(Ordering::Relaxed)
    }

    /// The server as an orchestrator's link.
    pub fn link(&self, secret: &str) -> String {
        let user = "2000000000:x";
        let password = password(secret, user);
        format!(
            "<{}>; rel=\"ice-server\"; username=\"{user}\"; credential=\"{password}\"; credential-type=\"password\"",
            self.url
        )
    }
}

fn address(message: &mut Message, name: AttrType, address: SocketAddr) {
    XorMappedAddress { ip: address.ip(), port: address.port() }.add_to_as(message, name).unwrap();
}

async fn answer(
    secret: &str,
    asked: &[u8],
    from: SocketAddr,
    relay: &UdpSocket,
    released: &AtomicUsize,
) -> Option<Vec<u8>> {
    let mut request = Message::new();
    request.unmarshal_binary(asked).unwrap();
    if request.typ == MessageType::new(METHOD_SEND, CLASS_INDICATION) {
        let mut peer = XorMappedAddress::default();
        peer.get_from_as(&request, ATTR_XOR_PEER_ADDRESS).unwrap();
        relay.send_to(&request.get(ATTR_DATA).unwrap(), (peer.ip, peer.port)).await.unwrap();
        return None;
    }
    let provider = default_provider().unwrap();
    let user = TextAttribute::get_from_as(&request, ATTR_USERNAME).map(|name| name.text);
    let key = user.ok().map(|user| {
        let password = password(secret, &user);
        MessageIntegrity::long_term_integrity_key(user, REALM.to_owned(), password, provider.crypto()).unwrap()
    });
    let key = key.filter(|key| MessageIntegrity::check(&mut request, key, provider.crypto()).is_ok());
    let mut reply = Message::new();
    reply.transaction_id = request.transaction_id;
    let class = if key.is_some() { CLASS_SUCCESS_RESPONSE } else { CLASS_ERROR_RESPONSE };
    reply.typ = MessageType::new(request.typ.method, class);
    reply.write_header();
    let Some(key) = key else {
        reply.add(ATTR_ERROR_CODE, &[0, 0, 4, 1]);
        reply.add(ATTR_REALM, REALM.as_bytes());
        reply.add(ATTR_NONCE, b"once");
        return Some(reply.raw);
    };
    match request.typ.method {
        METHOD_ALLOCATE => {
            assert_eq!(request.get(ATTR_REQUESTED_TRANSPORT).unwrap(), [17, 0, 0, 0]);
            address(&mut reply, ATTR_XOR_RELAYED_ADDRESS, relay.local_addr().unwrap());
            address(&mut reply, ATTR_XORMAPPED_ADDRESS, from);
        }
        METHOD_REFRESH if request.get(ATTR_LIFETIME).unwrap() == [0; 4] => {
            released.fetch_add(1, Ordering::Relaxed);
        }
        _ => assert_eq!(request.typ.method, METHOD_CREATE_PERMISSION),
    }
    MessageIntegrity::new_raw_integrity_with_provider(key, provider.crypto()).add_to(&mut reply).unwrap();
    Some(reply.raw)
}
