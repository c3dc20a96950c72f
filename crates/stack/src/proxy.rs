//! A name that moves: a TCP proxy whose address stays while the server behind it changes, as that of a Kubernetes Service or a virtual address does.

use crate::StackError;
use stamp::clock;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep_until;

/// What is read at a time.
const CHUNK: usize = 64 << 10;

/// Chunks that may be delayed at a time; more wait in the server's socket.
const DELAYED: usize = 4096;

/// Where a proxy leads.
#[derive(Debug, Clone, Copy, Default)]
struct Target {
    port: Option<u16>,
    /// How often all connections have been cut.
    cuts: u64,
}

/// A free port of 127.0.0.1 that leads to whatever server it is pointed at.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    target: watch::Sender<Target>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Starts one that leads nowhere yet: connections are closed at once.
    pub async fn start() -> Result<Self, StackError> {
        Self::start_delayed(Duration::ZERO).await
    }

    /// Starts one that delivers what a server sends so much later, as a longer way would.
    pub async fn start_delayed(delay: Duration) -> Result<Self, StackError> {
        let unusable = |source| StackError::Spawn { program: "127.0.0.1:0".into(), source };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(unusable)?;
        let port = listener.local_addr().map_err(unusable)?.port();
        let (target, towards) = watch::channel(Target::default());
        Ok(Self { port, target, serving: tokio::spawn(serve(listener, towards, delay)) })
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads to this port of 127.0.0.1 from now on, or nowhere. Every connection that there is ends, with all that is on its way.
    pub fn lead_to(&self, port: Option<u16>) {
        self.target.send_modify(|target| *target = Target { port, cuts: target.cuts + 1 });
    }

    /// Leads new connections to this port of 127.0.0.1. Those that there are stay where they are.
    pub fn lead_new_to(&self, port: u16) {
        self.target.send_modify(|target| target.port = Some(port));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, towards: watch::Receiver<Target>, delay: Duration) {
    // Ends with this task.
    let mut connections = JoinSet::new();
    loop {
        // A failure, such as of too few open files, is the client's to notice.
        if let Ok((client, _)) = listener.accept().await {
            connections.spawn(connect(client, towards.clone(), delay));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// One connection's life: until either end closes it, or the name moves.
async fn connect(client: TcpStream, mut towards: watch::Receiver<Target>, delay: Duration) {
    let Target { port: Some(port), cuts } = *towards.borrow() else { return };
    let passing = async {
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
            return;
        }
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::select! {
            () = pass(from_client, to_server) => {}
            () = pass_late(from_server, to_client, delay) => {}
        }
    };
    tokio::select! { () = passing => {}, _ = towards.wait_for(|target| target.cuts != cuts) => {} }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

async fn pass_late(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    if delay.is_zero() {
        return pass(from, to).await;
    }
    let (late, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(DELAYED);
    let reading = async move {
        let mut chunk = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            if late.send((clock::now() + delay, chunk[..read].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((at, chunk)) = due.recv().await {
            sleep_until(at.into()).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}
