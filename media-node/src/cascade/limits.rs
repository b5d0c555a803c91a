//! What a pipe, a peer and a room may use. What is beyond is refused or dropped, and counted.

use std::time::Duration;

/// The protocol's version.
pub const VERSION: u32 = 1;
/// The oldest version that is still spoken.
pub const OLDEST_VERSION: u32 = 1;
/// Largest control message, in bytes.
pub const MAX_CONTROL: usize = 64 * 1024;
/// Control bytes that may wait for a peer; beyond, the pipe is closed: a peer that reads so slowly can't be told the truth any more.
pub const MAX_CONTROL_BACKLOG: usize = 8 * 1024 * 1024;
/// How often each end says that it lives, and what it counted.
pub const BEAT: Duration = Duration::from_millis(250);
/// Silence after which a pipe is dead: six beats, so that a burst of loss doesn't end it.
pub const DEAD: Duration = Duration::from_millis(1_500);
/// Longest time from dialling to the peer's hello.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// Shortest and longest pause between attempts to reach a node.
pub const REDIAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Pause between attempts to join a parent that refused: it may not have been told yet.
pub const REJOIN: Duration = Duration::from_millis(200);
/// A pipe that no room uses is closed after this.
pub const IDLE_PIPE: Duration = Duration::from_secs(30);
/// Most nodes that pipes go to at once.
pub const MAX_PEERS: usize = 256;
/// Most rooms in the cascade.
pub const MAX_ROOMS: usize = 16_384;
/// Most children of a node in one room.
pub const MAX_CHILDREN: usize = 64;
/// Most tracks of one room.
pub const MAX_TRACKS: usize = 8_192;
/// Most nodes on a track's path.
pub const MAX_HOPS: usize = 8;
/// Most streams in one direction of a pipe.
pub const MAX_STREAMS: usize = 65_536;

/// Packets that are kept for resends, per stream.
pub const RING_PACKETS: usize = 1_024;
/// Bytes of those.
pub const RING_BYTES: usize = 1024 * 1024;
/// How long they are kept: beyond, receivers' jitter buffers have run out.
pub const RING_TIME: Duration = Duration::from_millis(1_000);
/// How long a lost packet is asked for.
pub const REPAIR_TIME: Duration = Duration::from_millis(600);
/// A gap larger than this isn't asked for: that was no loss but an outage, and a key frame is cheaper.
pub const MAX_GAP: u32 = 512;
/// Lost packets of one stream that are asked for at once.
pub const MAX_MISSING: usize = 512;
/// Most resends of one packet.
pub const MAX_RESENDS: u8 = 6;
/// Pieces of packets that wait for their others, per pipe.
pub const MAX_PARTIAL: usize = 256;
/// Most pieces of one packet.
pub const MAX_PIECES: usize = 4;

/// How often [`super::hub::Hub::tick`] should be called while pipes are up.
pub const TICK: Duration = Duration::from_millis(10);
/// How long a track without a way is kept, so that another way can continue it.
pub const ORPHAN: Duration = Duration::from_secs(3);
/// An old parent is kept at least and at most this long after the new one was joined.
pub const LINGER: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
