//! What one client, room or node may use. Everything beyond is refused with a reason.

use std::time::Duration;

/// A session whose client hasn't come up (ICE and DTLS) by then is closed.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a session may stay without consent once ICE reports it lost, after 15 s, before it is closed if nothing else was heard of its client of late;
pub const DISCONNECT_GRACE: Duration = Duration::from_secs(5);
/// "of late" is so long ago at most: reports of sound may be 5 s apart.
pub const HEARD_LATELY: Duration = Duration::from_secs(10);
/// and if something was, so that it is 30 s in all (RFC 7675, section 5.1).
pub const CONSENT_GRACE: Duration = Duration::from_secs(15);
/// Largest SDP that is read, in bytes.
pub const MAX_SDP: usize = 64 * 1024;
/// Most m-lines of one client.
pub const MAX_LINES: usize = 160;
/// Most tracks that one client publishes.
pub const MAX_TRACKS: usize = 16;
/// Most simulcast layers of one track.
pub const MAX_LAYERS: usize = 4;
/// Most RTP sources (SSRCs) that are remembered per client, and that it may begin at once: three layers and their resends of each track are fewer.
pub const MAX_SOURCES: usize = 128;
/// Sources per second that a client may begin for long. The engine forgets none of them.
pub const SOURCES_PER_SECOND: u32 = 1;
/// Most sessions of one room.
pub const MAX_ROOM_SESSIONS: usize = 512;
/// Voices of a room that are forwarded at a time: a room with no more microphones forwards all of them.
pub const AUDIBLE: usize = 10;
/// Largest data message of a client, in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024;
/// Messages per second that a client may send for long; bursts of twice as many.
pub const MESSAGES_PER_SECOND: u32 = 200;
/// Bytes of messages per second that a client may send for long: a line of 1 Mb/s, as the slowest receivers have, keeps up with one sender.
pub const MESSAGE_BYTES_PER_SECOND: u32 = 64 * 1024;
/// Bytes of messages that it may send at once: a quarter of what may wait for a receiver.
pub const MESSAGE_BYTES_BURST: u32 = 256 * 1024;
/// Bytes that wait for a receiver on its reliable channel. Beyond, the session is closed rather than
/// a message lost silently.
pub const MAX_BACKLOG: usize = 1024 * 1024;
/// What a client may send, in kb/s, unless the orchestrator says otherwise.
pub const DEFAULT_UPLINK_KBPS: u32 = 12_000;
/// Commands that wait for a shard.
pub const COMMAND_QUEUE: usize = 4_096;
/// Datagrams that other shards received and that wait for their own; what is beyond is lost. They do not share the commands' queue,
/// so that strangers, who can fill this one, keep no command out.
pub const RELAY_QUEUE: usize = 4_096;
/// Packets of other nodes that wait for a shard; what is beyond is lost.
pub const REMOTE_QUEUE: usize = 8_192;
/// Addresses that are remembered per session.
pub const MAX_ADDRESSES: usize = 8;
