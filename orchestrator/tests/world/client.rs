use super::{SECRET, claims, token};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chroom_orchestrator::{access::Claims, time::now_ms};
use chroom_primitives::NodeId;
use chroom_rpc::receipt::{Receipt, ReceiptBody, public_key};
use futures::{SinkExt, StreamExt, stream::SplitSink};
use p256::ecdsa::SigningKey;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// A JSON-RPC error.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub code: i64,
    pub message: String,
    pub data: Value,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A client on a raw WebSocket.
pub struct Client {
    sink: SplitSink<Socket, Message>,
    waiting: Waiting,
    events: mpsc::UnboundedReceiver<Value>,
    next: u64,
    pub key: SigningKey,
    seq: u64,
    last_to: u64,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let (socket, _) = connect_async(format!("ws://{address}/")).await.unwrap();
        let (sink, mut stream) = socket.split();
        let waiting: Waiting = Arc::default();
        let (event, events) = mpsc::unbounded_channel();
        let answers = waiting.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let Message::Text(text) = message else { continue };
                let value: Value = serde_json::from_str(&text).unwrap();
                match value["id"].as_u64() {
                    Some(id) => {
                        if let Some(waiting) = answers.lock().remove(&id) {
                            let _ = waiting.send(value);
                        }
                    }
                    None => {
                        assert_eq!(value["method"], "session.event", "{value}");
                        let _ = event.send(value["params"]["result"].clone());
                    }
                }
            }
            answers.lock().clear();
        });
        let mut client =
            Self { sink, waiting, events, next: 0, key: SigningKey::from_slice(&[9; 32]).unwrap(), seq: 0, last_to: 0 };
        client.call("session.events", json!({})).await.unwrap();
        client
    }

    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        let answer = self.send(method, params).await;
        Self::answered(answer).await
    }

    /// Asks the same so many times without waiting for answers in between.
    pub async fn burst(&mut self, method: &str, count: usize) -> Vec<Result<Value, Failure>> {
        let mut answers = Vec::new();
        for _ in 0..count {
            answers.push(self.send(method, json!({})).await);
        }
        futures::future::join_all(answers.into_iter().map(Self::answered)).await
    }

    async fn send(&mut self, method: &str, params: Value) -> oneshot::Receiver<Value> {
        self.next += 1;
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().insert(self.next, sender);
        let request = json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params });
        self.sink.send(Message::text(request.to_string())).await.unwrap();
        answer
    }

    async fn answered(answer: oneshot::Receiver<Value>) -> Result<Value, Failure> {
        let answer = tokio::time::timeout(Duration::from_secs(20), answer).await.expect("an answer in time");
        let answer = answer.expect("an answer before the connection ends");
        match answer.get("error") {
            Some(error) => Err(Failure {
                code: error["code"].as_i64().unwrap(),
                message: error["message"].as_str().unwrap().to_owned(),
                data: error["data"].clone(),
            }),
            None => Ok(answer["result"].clone()),
        }
    }

    pub async fn join(&mut self, identity: &str) -> Value {
        self.join_with(&token(&claims(identity), SECRET)).await.unwrap()
    }

    pub async fn join_claims(&mut self, claims: &Claims) -> Result<Value, Failure> {
        self.join_with(&token(claims, SECRET)).await
    }

    pub async fn join_with(&mut self, token: &str) -> Result<Value, Failure> {
        let key = BASE64_URL_SAFE_NO_PAD.encode(public_key(&self.key));
        self.call("session.join", json!({ "token": token, "receiptKey": key, "cell": "871f8d5b2ffffff" })).await
    }

    /// The next event of this type; others before it are dropped.
    pub async fn event(&mut self, kind: &str) -> Value {
        let waiting = async {
            loop {
                let event = self.events.recv().await.expect("an event before the connection ends");
                if event["type"] == kind {
                    return event;
                }
            }
        };
        match tokio::time::timeout(Duration::from_secs(20), waiting).await {
            Ok(event) => event,
            Err(_) => panic!("no event {kind}"),
        }
    }

    /// Signs what it measured in the last moments.
    pub fn receipt(&mut self, session: &Value, node: NodeId) -> Receipt {
        self.seq += 1;
        let to = now_ms();
        let from = if self.last_to == 0 { to - 1_000 } else { self.last_to };
        self.last_to = to.max(from + 1);
        let body = ReceiptBody {
            v: 1,
            session: session["session"].as_str().unwrap().parse().unwrap(),
            node,
            seq: self.seq,
            from,
            to: self.last_to,
            rx_packets: 100,
            rx_lost: 1,
            rx_bytes: 100_000,
            tx_bytes: 50_000,
            rtt_ms: 10,
            jitter_ms: 1,
            wanted_kbps: 500,
            delivered_kbps: 500,
            frames_decoded: 30,
            freeze_ms: 0,
        };
        Receipt::sign(&body, &self.key).unwrap()
    }

    pub async fn send_receipt(&mut self, receipt: &Receipt) -> Result<Value, Failure> {
        self.call("session.receipt", serde_json::to_value(receipt).unwrap()).await
    }

    /// Ends the connection without a word.
    pub fn drop_connection(self) {}
}
