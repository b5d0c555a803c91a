//! Gossip: topics and message ids.

use chroom_primitives::{Hash, Signed, record::LoadReport, record::NodeRecord};
use codec::{DecodeAll, Encode};
use libp2p::gossipsub::{IdentTopic, MessageId, TopicHash};

/// Largest gossip message in bytes: a signed record fits several times.
pub const MAX_MESSAGE: usize = 4_096;

/// The topics of a network.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Signed node records.
    pub records: IdentTopic,
    /// Signed load reports.
    pub loads: IdentTopic,
}

impl Topics {
    /// Topics carry the genesis hash, so networks cannot mix.
    pub fn of(genesis: &Hash) -> Self {
        let topic = |kind: &str| IdentTopic::new(format!("chroom/{}/{kind}/1", hex::encode(genesis.as_bytes())));
        Self { records: topic("records"), loads: topic("loads") }
    }

    /// Decodes what came on a topic.
    pub fn decode(&self, topic: &TopicHash, data: &[u8]) -> Option<Gossip> {
        if *topic == self.records.hash() {
            Signed::decode_all(&mut &*data).ok().map(|r| Gossip::Record(Box::new(r)))
        } else if *topic == self.loads.hash() {
            Signed::decode_all(&mut &*data).ok().map(|r| Gossip::Load(Box::new(r)))
        } else {
            None
        }
    }
}

/// A gossip message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gossip {
    /// A node's record.
    Record(Box<Signed<NodeRecord>>),
    /// A media node's load.
    Load(Box<Signed<LoadReport>>),
}

impl Gossip {
    /// The bytes that travel.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Gossip::Record(record) => record.encode(),
            Gossip::Load(report) => report.encode(),
        }
    }
}

/// The id of a message is the hash of its content: the same record is the same message, whoever sends it.
pub fn content_id(topic: &TopicHash, data: &[u8]) -> MessageId {
    let mut input = topic.as_str().as_bytes().to_vec();
    input.push(0);
    input.extend_from_slice(data);
    MessageId::from(sp_crypto_hashing::blake2_256(&input).to_vec())
}
