//! The request-response protocol between registry nodes, in SCALE.

use super::reconcile::{Answer, Request};
use codec::{DecodeAll, Encode};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};
use std::io;

/// Name of the protocol.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/chroom/registry/reconcile/1");
/// Largest request or answer in bytes.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// Reads and writes messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExchangeCodec;

async fn read<T: AsyncRead + Unpin + Send, M: DecodeAll>(io: &mut T) -> io::Result<M> {
    let mut bytes = Vec::new();
    io.take(MAX_BYTES + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is longer than 1 MiB"));
    }
    M::decode_all(&mut &*bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))
}

async fn write<T: AsyncWrite + Unpin + Send, M: Encode>(io: &mut T, message: M) -> io::Result<()> {
    io.write_all(&message.encode()).await
}

impl request_response::Codec for ExchangeCodec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Answer;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Request> {
        read(io).await
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Answer> {
        read(io).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Request,
    ) -> io::Result<()> {
        write(io, request).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        answer: Answer,
    ) -> io::Result<()> {
        write(io, answer).await
    }
}
