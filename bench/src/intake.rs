//! UDP sockets that are read at once, however busy the WebRTC stack is.
//!
//! The stack reads a socket in the same task in which it decrypts, answers and paces, and many participants share a few threads. While
//! that task waits for its turn, packets wait in the kernel, whose default buffer of 208 KiB holds a fifth of a second of what
//! a participant in a room of twelve receives; what comes then is lost, and looks like the network's loss. Here each socket
//! has a larger kernel buffer, as far as the system grants it (`net.core.rmem_max`), and is emptied by a thread that does
//! nothing else into a bounded queue, from which the stack reads.
//!
//! The stack keeps no more than 256 packets of a track for whoever reads that one, and takes in what waits at a socket without
//! letting others have their turn. So what was held up is handed out datagram by datagram, and a task gets no more of them in one
//! turn than tokio's budget allows, which is 128.

use bytes::Bytes;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use socket2::SockRef;
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    task::{JoinHandle, coop},
};
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle as Task, RecvMeta, Runtime, Transmit,
};

/// Kernel buffer that is asked for, in bytes.
const KERNEL_BUFFER: usize = 4 * 1024 * 1024;
/// Bytes that may wait for the stack, per socket: ten seconds at 6 Mb/s.
const QUEUE: usize = 8 * 1024 * 1024;
/// Messages that are read at once.
const BATCH: usize = 8;
/// Pause between two looks at whether the stack has caught up.
const LOOK: Duration = Duration::from_millis(20);
/// Longest datagram, and with receive offload the longest of those that come in one message, in bytes.
const DATAGRAM: usize = 1_500;

/// The thread that reads sockets, shared by all connections of the process.
#[derive(Debug)]
pub struct Intake {
    /// Taken when it ends.
    reader: Option<tokio::runtime::Runtime>,
    handle: Handle,
    queues: Arc<Mutex<Vec<Weak<Queue>>>>,
    overflowed: Arc<AtomicU64>,
}

impl Intake {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let reader =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("intake").enable_all().build()?;
        let handle = reader.handle().clone();
        Ok(Self { handle, reader: Some(reader), queues: Arc::default(), overflowed: Arc::default() })
    }

    /// A runtime for peer connections whose sockets are read here; everything else is done where they are made.
    pub fn runtime(&self, inner: Arc<dyn Runtime>) -> Arc<dyn Runtime> {
        Arc::new(self.around(inner))
    }

    fn around(&self, inner: Arc<dyn Runtime>) -> IntakeRuntime {
        let (queues, overflowed) = (self.queues.clone(), self.overflowed.clone());
        IntakeRuntime { inner, reader: self.handle.clone(), queues, overflowed }
    }

    /// Waits until the stack has taken everything that came before `moment`.
    pub async fn caught_up(&self, moment: Instant) {
        while self.queues.lock().iter().filter_map(Weak::upgrade).any(|queue| queue.holds(moment)) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Messages that were dropped because the stack lagged behind by a whole queue.
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        // It may be dropped within another runtime, where nothing may wait.
        if let Some(reader) = self.reader.take() {
            reader.shutdown_background();
        }
    }
}

#[derive(Debug)]
struct IntakeRuntime {
    inner: Arc<dyn Runtime>,
    reader: Handle,
    queues: Arc<Mutex<Vec<Weak<Queue>>>>,
    overflowed: Arc<AtomicU64>,
}

impl IntakeRuntime {
    fn open(&self, socket: std::net::UdpSocket) -> io::Result<IntakeSocket> {
        // The kernel grants what it may; that it is less is no error.
        if let Err(error) = SockRef::from(&socket).set_recv_buffer_size(KERNEL_BUFFER) {
            tracing::debug!(%error, "a receive buffer keeps its default size");
        }
        // Its readiness is told to the reader's thread, not to the one that is busy.
        let inner = {
            let _reader = self.reader.enter();
            self.inner.wrap_udp_socket(socket)?
        };
        let queue = Arc::new(Queue::new(self.overflowed.clone()));
        {
            let mut queues = self.queues.lock();
            queues.retain(|queue| queue.strong_count() > 0);
            queues.push(Arc::downgrade(&queue));
        }
        let reading = self.reader.spawn(read(inner.clone(), queue.clone()));
        Ok(IntakeSocket { inner, queue, reading })
    }
}

impl Runtime for IntakeRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn Task> {
        self.inner.spawn(future)
    }

    fn spawn_reactor(&self, pool: usize, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn Task> {
        self.inner.spawn_reactor(pool, future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(self.open(socket)?))
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.inner.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        self.inner.connect_tcp(remote)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        self.inner.resolve_host(host)
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.inner.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.inner.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.inner.block_on(future);
    }

    fn yield_now(&self) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.inner.yield_now()
    }

    fn name(&self) -> &'static str {
        "intake"
    }
}

/// A received datagram.
struct Message {
    at: Instant,
    meta: RecvMeta,
    bytes: Bytes,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Message>,
    bytes: usize,
    failed: Option<io::Error>,
}

/// What was read and waits for the stack.
struct Queue {
    waiting: Mutex<Waiting>,
    stack: AtomicWaker,
    overflowed: Arc<AtomicU64>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("messages", &self.waiting.lock().messages.len()).finish_non_exhaustive()
    }
}

impl Queue {
    fn new(overflowed: Arc<AtomicU64>) -> Self {
        Self { waiting: Mutex::default(), stack: AtomicWaker::new(), overflowed }
    }

    fn put(&self, message: Message) {
        let mut waiting = self.waiting.lock();
        if waiting.bytes + message.bytes.len() > QUEUE {
            // The newest goes, as in the kernel.
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes += message.bytes.len();
        waiting.messages.push_back(message);
    }

    /// Whether something waits that came before `moment`.
    fn holds(&self, moment: Instant) -> bool {
        self.waiting.lock().messages.front().is_some_and(|message| message.at < moment)
    }

    fn fail(&self, error: io::Error) {
        self.waiting.lock().failed = Some(error);
        self.stack.wake();
    }

    /// Fills as many buffers as there are messages for.
    fn take(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> Option<io::Result<usize>> {
        let mut waiting = self.waiting.lock();
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            let Some(Message { meta: received, bytes, .. }) = waiting.messages.pop_front() else { break };
            waiting.bytes -= bytes.len();
            let size = bytes.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..size), bytes.get(..size)) {
                to.copy_from_slice(from);
            }
            *meta = received;
            meta.len = size;
            count += 1;
        }
        if count > 0 {
            return Some(Ok(count));
        }
        waiting.failed.take().map(Err)
    }
}

/// Reads a socket into its queue until it fails.
async fn read(socket: Arc<dyn AsyncUdpSocket>, queue: Arc<Queue>) {
    let size = socket.max_gro_segments().max(2) * DATAGRAM;
    let mut buffers = vec![vec![0; size]; BATCH];
    loop {
        let mut metas = [RecvMeta::default(); BATCH];
        let received = poll_fn(|cx| {
            let mut slices: Vec<IoSliceMut<'_>> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
            socket.poll_recv(cx, &mut slices, &mut metas)
        })
        .await;
        match received {
            Ok(count) => {
                let at = Instant::now();
                for (buffer, meta) in buffers.iter().zip(&metas).take(count) {
                    let mut rest = Bytes::copy_from_slice(buffer.get(..meta.len).unwrap_or_default());
                    // The kernel may have joined several of one sender.
                    while !rest.is_empty() {
                        let bytes = rest.split_to(meta.stride.clamp(1, rest.len()));
                        let mut meta = *meta;
                        (meta.len, meta.stride) = (bytes.len(), bytes.len());
                        queue.put(Message { at, meta, bytes });
                    }
                }
                queue.stack.wake();
            }
            // A peer's port is closed (ICMP), or a signal came: no matter of the socket.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => {
                queue.fail(error);
                return;
            }
        }
    }
}

/// A socket that is read into a queue, and written to as ever.
#[derive(Debug)]
struct IntakeSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    queue: Arc<Queue>,
    reading: JoinHandle<()>,
}

impl Drop for IntakeSocket {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl AsyncUdpSocket for IntakeSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.inner.poll_send(cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let turn = ready!(coop::poll_proceed(cx));
        let taken = self.queue.take(buffers, metas).or_else(|| {
            self.queue.stack.register(cx.waker());
            // What came between the two looks has woken nobody.
            self.queue.take(buffers, metas)
        });
        match taken {
            Some(taken) => {
                turn.made_progress();
                Poll::Ready(taken)
            }
            None => Poll::Pending,
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn open(intake: &Intake) -> (UdpSocket, IntakeSocket) {
        let runtime = intake.around(webrtc::runtime::default_runtime().unwrap());
        let socket = runtime.open(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        (UdpSocket::bind("127.0.0.1:0").unwrap(), socket)
    }

    /// Numbered datagrams, until `count` have come.
    async fn receive(socket: &IntakeSocket, count: usize) -> Vec<u32> {
        let mut buffer = vec![0; 64 * DATAGRAM];
        let mut got = Vec::new();
        while got.len() < count {
            let mut meta = [RecvMeta::default(); 1];
            let received = poll_fn(|cx| socket.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta)).await;
            assert_eq!(received.unwrap(), 1);
            assert_eq!(meta[0].len, meta[0].stride, "one at a time");
            got.push(u32::from_be_bytes(buffer[..4].try_into().unwrap()));
        }
        got
    }

    #[tokio::test]
    async fn a_stack_that_is_held_up_loses_nothing() {
        let intake = Intake::start().unwrap();
        let (sender, socket) = open(&intake);
        let target = socket.local_addr().unwrap();
        // Many times what the kernel's default buffer holds, while the stack takes out nothing; in portions that the smallest of
        // buffers holds, each sent once the one before was read.
        let (portions, each, size) = (40u32, 50u32, 1_200usize);
        for portion in 0..portions {
            for n in 0..each {
                let mut datagram = vec![0; size];
                datagram[..4].copy_from_slice(&(portion * each + n).to_be_bytes());
                sender.send_to(&datagram, target).unwrap();
            }
            while socket.queue.waiting.lock().bytes < ((portion + 1) * each) as usize * size {
                tokio::task::yield_now().await;
            }
        }
        let got = receive(&socket, (portions * each) as usize).await;
        assert_eq!(got, (0..portions * each).collect::<Vec<_>>());
        assert_eq!(intake.overflowed(), 0);
    }

    #[tokio::test]
    async fn who_takes_in_what_was_held_up_lets_others_have_their_turn() {
        let intake = Intake::start().unwrap();
        let (sender, socket) = open(&intake);
        let target = socket.local_addr().unwrap();
        let count = 2_000usize;
        for n in 0..count {
            sender.send_to(&[0; 100], target).unwrap();
            while socket.queue.waiting.lock().messages.len() <= n {
                tokio::task::yield_now().await;
            }
        }
        // As the stack does it: one task takes in whatever is there, another one reads what that keeps for it.
        let (kept, mut reader) = tokio::sync::mpsc::channel(256);
        let stack = tokio::spawn(async move {
            for _ in 0..count {
                let mut buffer = [0; DATAGRAM];
                let mut meta = [RecvMeta::default(); 1];
                let received = poll_fn(|cx| socket.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta)).await;
                assert!(matches!(received, Ok(1)));
                kept.try_send(()).expect("the reader has its turn in time");
            }
        });
        let mut read = 0;
        while reader.recv().await.is_some() {
            read += 1;
        }
        stack.await.unwrap();
        assert_eq!(read, count);
    }

    #[tokio::test]
    async fn what_came_before_is_waited_for_and_not_what_came_since() {
        let intake = Intake::start().unwrap();
        let (sender, socket) = open(&intake);
        let target = socket.local_addr().unwrap();
        let waiting = |count| {
            let queue = socket.queue.clone();
            async move {
                while queue.waiting.lock().messages.len() < count {
                    tokio::task::yield_now().await;
                }
            }
        };
        sender.send_to(&[0, 0, 0, 1], target).unwrap();
        waiting(1).await;
        let moment = Instant::now();
        sender.send_to(&[0, 0, 0, 2], target).unwrap();
        waiting(2).await;
        let mut caught_up = std::pin::pin!(intake.caught_up(moment));
        assert!(futures::poll!(caught_up.as_mut()).is_pending());
        assert_eq!(receive(&socket, 1).await, [1]);
        caught_up.await;
        assert_eq!(socket.queue.waiting.lock().messages.len(), 1);
        drop(socket);
        // Of a connection that was closed nothing is waited for.
        intake.caught_up(Instant::now()).await;
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let intake = Intake::start().unwrap();
        let (sender, socket) = open(&intake);
        let target = socket.local_addr().unwrap();
        let waiting = tokio::spawn(async move { receive(&socket, 2).await });
        sender.send_to(&[0, 0, 0, 7], target).unwrap();
        sender.send_to(&[0, 0, 0, 8], target).unwrap();
        assert_eq!(waiting.await.unwrap(), [7, 8]);
    }

    #[tokio::test]
    async fn the_kernel_is_asked_for_a_larger_buffer() {
        let plain = UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = SockRef::from(&plain).recv_buffer_size().unwrap();
        let intake = Intake::start().unwrap();
        let kept = plain.try_clone().unwrap();
        let _socket = intake.around(webrtc::runtime::default_runtime().unwrap()).open(plain).unwrap();
        // Even where no more is granted than the default, the kernel doubles what is asked for.
        assert!(SockRef::from(&kept).recv_buffer_size().unwrap() > before);
    }

    #[test]
    fn what_waits_is_bounded_and_the_newest_is_dropped() {
        let overflowed = Arc::new(AtomicU64::default());
        let queue = Queue::new(overflowed.clone());
        let message =
            |n: u8| Message { at: Instant::now(), meta: RecvMeta::default(), bytes: vec![n; QUEUE / 2].into() };
        (1..=3).for_each(|n| queue.put(message(n)));
        assert_eq!(overflowed.load(Ordering::Relaxed), 1);
        let (mut first, mut second) = (vec![0; QUEUE / 2], vec![0; 10]);
        let mut metas = [RecvMeta::default(); 2];
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(queue.take(&mut buffers, &mut metas).unwrap().unwrap(), 2);
        assert_eq!((first[0], second[0], metas[1].len), (1, 2, 10), "what does not fit is cut off");
        queue.put(message(4));
        queue.fail(io::ErrorKind::BrokenPipe.into());
        assert!(
            queue.take(&mut [IoSliceMut::new(&mut first)], &mut metas).unwrap().is_ok(),
            "what came first is first"
        );
        assert!(queue.take(&mut [IoSliceMut::new(&mut first)], &mut metas).unwrap().is_err());
        assert!(queue.take(&mut [IoSliceMut::new(&mut first)], &mut metas).is_none());
    }
}
