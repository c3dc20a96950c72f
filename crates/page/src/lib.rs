//! The live page: what an experiment does while it runs, in a browser; and what can be changed of it there.
//!
//! It listens to an experiment as the progress bar does, and reads what the pipeline counts and stamps once a second. It is served by a thread of
//! its own, so that whoever watches takes no time of those who load and measure. It is for watching: nothing of a report comes from here.

mod board;
mod events;
mod follow;
mod level;
mod listen;
mod options;
mod phase;
mod result;
mod security;
mod series;
mod server;
mod shown;
mod spread;
mod threshold;
mod told;

pub use options::{Asked, PageLimits, PageOptions, PlanOffer, Start};

use board::{Board, Inner};
use experiment::Control;
use follow::{Following, Source};
use security::{Door, Token};
use service::{HttpLimits, ListenAddress, ListenError, serve_routes};
use stamp::Path;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Where the page is unless it is said.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:8089";

/// What clients may take of the page's server.
const LIMITS: HttpLimits = HttpLimits {
    header: Duration::from_secs(5),
    body: Duration::from_secs(5),
    idle: Duration::from_secs(60),
    first: Some(Duration::from_secs(5)),
    connections: 1_000,
};

/// How long whoever watches may take to hear that it has ended.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(500);

/// Marks in the charts what happens. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Marks(Board);

impl Marks {
    /// Something has happened: `fault`, `restart`, `warning`.
    pub fn mark(&self, kind: &'static str, text: &str) {
        self.0.change(|inner| inner.mark(kind, text));
    }
}

/// A page that is open.
#[derive(Debug)]
pub struct Page {
    board: Board,
    out: PathBuf,
    url: String,
    source: Option<Source>,
    path: Option<Path>,
    following: Option<Following>,
    ended: CancellationToken,
    /// Tells when the last client is served.
    served: Receiver<()>,
}

/// The page cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// Its address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The token that is given is none.
    #[error("the page's token {0}")]
    Token(&'static str),
    /// The system refuses what it needs.
    #[error("cannot open the page: {0}")]
    System(#[from] io::Error),
}

impl Page {
    /// Opens the page. It shows that nothing runs until it hears of something.
    ///
    /// # Errors
    /// When its address cannot be listened on: that is known before the load.
    pub async fn open(options: PageOptions) -> Result<Self, PageError> {
        let listener = listen(options.listen.as_ref()).await?;
        let at = listener.local_addr()?;
        let given =
            options.token.as_ref().map(|token| Token::given(token.reveal())).transpose().map_err(PageError::Token)?;
        let is_given = given.is_some();
        let (cookie, boot) = (Token::new()?, Token::new()?);
        let token = given.map_or_else(Token::new, Ok)?;
        // Whoever listens on all addresses is reached by this machine's own names, and by those that are named.
        let shown = match options.hosts.first() {
            Some(host) if security::name_of(host) != host => host.clone(),
            Some(host) => format!("{host}:{}", at.port()),
            None if at.ip().is_unspecified() => format!("127.0.0.1:{}", at.port()),
            None => at.to_string(),
        };
        // Whoever gave it knows it, and it belongs into no log.
        let told = if is_given { "TOKEN" } else { token.as_str() };
        let url = format!("http://{shown}/#token={told}");
        let bound = if at.is_ipv6() { format!("[{}]", at.ip()) } else { at.ip().to_string() };
        let own = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        let is_own = at.ip().is_loopback() || at.ip().is_unspecified();
        let hosts = own.into_iter().filter(|name| is_own || name == "localhost").chain([bound]);
        let hosts = hosts.chain(options.hosts.iter().map(|host| security::name_of(host).to_owned()));
        let door = Door {
            hosts: hosts.collect(),
            is_loopback: at.ip().is_loopback(),
            token,
            cookie,
            cookie_name: format!("stampede_{}", at.port()),
            limits: options.limits,
            out: options.out.clone(),
        };
        let board = Board::new(options.command, options.limits, boot.as_str()[..8].to_owned());
        if let Some((plans, starts)) = options.starts {
            board.change(|inner| inner.offer(plans, starts));
        }
        let ended = CancellationToken::new();
        let served = serve(listener, server::routes(board.clone(), door), ended.clone())?;
        let (source, path, following) = (None, None, None);
        Ok(Self { board, out: options.out, url, source, path, following, ended, served })
    }

    /// The address to open, with the token, unless that was given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What may be changed from the page, until this run has ended; without a control it can only be stopped.
    pub fn attach(&self, control: Option<&Control>, stop: &CancellationToken) {
        self.board.change(|inner| {
            (inner.control, inner.stop) = (control.cloned(), Some(stop.clone()));
            inner.tell_state();
        });
    }

    /// For those who mark in the charts what happens.
    pub fn marks(&self) -> Marks {
        Marks(self.board.clone())
    }

    /// The next level waits until somebody lets it begin.
    pub fn pause(&self) {
        self.board.change(|inner| inner.enter(phase::Phase::Paused));
    }

    /// What is run has failed.
    pub fn fail(&self, why: &str) {
        self.board.change(|inner| inner.fail(why));
    }

    /// What is run is being made ready.
    pub fn prepare(&self) {
        self.board.change(Inner::prepare);
    }

    /// Nothing runs any more, and something else may be started.
    pub fn rest(&mut self) {
        (self.source, self.following) = (None, None);
        self.board.change(Inner::end);
    }

    /// Ends it: whoever watches is told so, and is not waited for longer than a moment.
    pub fn close(self) {
        self.board.change(|inner: &mut Inner| inner.events.push("bye", "{}".to_owned()));
        self.ended.cancel();
        let _ = self.served.recv_timeout(LAST_WORDS_WITHIN);
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

/// At this address; where none is said, at the usual one or else at a free port.
async fn listen(address: Option<&ListenAddress>) -> Result<TcpListener, PageError> {
    if let Some(address) = address {
        return Ok(address.bind("--ui").await?);
    }
    match TcpListener::bind(DEFAULT_ADDRESS).await {
        Ok(listener) => Ok(listener),
        Err(_) => Ok(TcpListener::bind("127.0.0.1:0").await?),
    }
}

/// Serves on a thread of its own, until the end.
fn serve(listener: TcpListener, routes: axum::Router, ended: CancellationToken) -> io::Result<Receiver<()>> {
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (done, served) = mpsc::channel();
    std::thread::Builder::new().name("page".to_owned()).spawn(move || {
        runtime.block_on(async {
            if let Ok(listener) = TcpListener::from_std(listener) {
                serve_routes(routes, LIMITS, listener, &ended).await;
            }
        });
        let _ = done.send(());
    })?;
    Ok(served)
}
