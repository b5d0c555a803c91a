//! One TCP connection of a client.

use super::frame::{Deframer, LENGTH};
use mio::net::TcpStream;
use std::{
    io::{self, Read, Write},
    net::SocketAddr,
};

/// Bytes that may wait for a slow client: a quarter of a second at 4 Mb/s. More would be late; whole frames are dropped then, as a network drops
/// datagrams.
const MOST_WAITING: usize = 128 * 1024;

/// What reading found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// Bytes; there may be more.
    Bytes,
    /// Nothing for now.
    Nothing,
    /// The end.
    End,
}

/// A connection.
#[derive(Debug)]
pub struct Line {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) frames: Deframer,
    out: Vec<u8>,
    /// Where the frame begins that is being written.
    begun: usize,
    /// Frames written, and frames dropped as too much waits.
    pub(super) sent: u64,
    /// Bytes of the frames written, without their lengths.
    pub(super) sent_bytes: u64,
    pub(super) dropped: u64,
}

impl Line {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, frames: Deframer) -> Self {
        Self { stream, peer, frames, out: Vec::new(), begun: 0, sent: 0, sent_bytes: 0, dropped: 0 }
    }

    /// Reads once.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Found {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Found::End,
                Ok(length) => {
                    self.frames.push(scratch.get(..length).unwrap_or_default());
                    return Found::Bytes;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Found::Nothing,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Found::End,
            }
        }
    }

    /// The buffer at whose end a frame's contents are to be written.
    pub(super) fn begin(&mut self) -> &mut Vec<u8> {
        self.begun = self.out.len();
        self.out.extend_from_slice(&[0; LENGTH]);
        &mut self.out
    }

    /// What was appended since is a frame.
    pub(super) fn end(&mut self) {
        let length = self.out.len().saturating_sub(self.begun + LENGTH);
        let prefix = u16::try_from(length).ok().filter(|length| *length > 0 && self.begun <= MOST_WAITING);
        match (prefix, self.out.get_mut(self.begun..self.begun + LENGTH)) {
            (Some(prefix), Some(place)) => {
                place.copy_from_slice(&prefix.to_be_bytes());
                self.sent += 1;
                self.sent_bytes += length as u64;
            }
            _ => {
                self.out.truncate(self.begun);
                self.dropped += u64::from(length > 0);
            }
        }
    }

    /// Gives the kernel what it takes. An error is the connection's end.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        let result = loop {
            match self.out.get(written..) {
                None | Some([]) => break Ok(()),
                Some(rest) => match self.stream.write(rest) {
                    Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                    Ok(length) => written += length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break Err(error),
                },
            }
        };
        self.out.drain(..written);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (Line, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        (Line::new(TcpStream::from_std(server), peer, Deframer::default()), client)
    }

    #[test]
    fn a_client_that_reads_nothing_loses_whole_frames_and_costs_little() {
        let (mut line, mut client) = pair();
        for number in 0..20_000u32 {
            line.begin().extend_from_slice(&[&number.to_be_bytes()[..], &[7; 996]].concat());
            line.end();
            line.flush().unwrap();
        }
        assert!(line.dropped > 0 && line.sent + line.dropped == 20_000);
        assert!(line.out.len() <= MOST_WAITING + 1_002);
        let sent = line.sent;
        let reader = std::thread::spawn(move || {
            let (mut frames, mut scratch) = (Deframer::default(), vec![0; 65_536]);
            let (mut count, mut last) = (0, None);
            while count < sent {
                let length = client.read(&mut scratch).unwrap();
                frames.push(&scratch[..length]);
                while let Some(frame) = frames.pop().unwrap() {
                    assert_eq!(frame.len(), 1_000);
                    let number = u32::from_be_bytes(*frame.first_chunk().unwrap());
                    assert!(last.is_none_or(|last| last < number) && frame[4..].iter().all(|byte| *byte == 7));
                    (count, last) = (count + 1, Some(number));
                }
            }
        });
        while !line.out.is_empty() {
            line.flush().unwrap();
        }
        reader.join().unwrap();
    }

    #[test]
    fn nothing_written_is_no_frame() {
        let (mut line, _client) = pair();
        line.begin();
        line.end();
        line.begin().extend_from_slice(&vec![0; 70_000]);
        line.end();
        assert!(line.out.is_empty());
    }
}
