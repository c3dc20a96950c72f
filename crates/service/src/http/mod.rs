//! The HTTP server of the shell: one loop that takes connections in, watches them, and lets them finish at the end.

mod watch;

use crate::Metrics;
use crate::metrics::{Counter, Gauge, metrics_route};
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use stamp::clock;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use watch::{Held, Watch, Watched};

/// How long HTTP requests under way may take to finish after the shutdown began.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// How often connections are watched at least.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// Ended connections that may be held until the next time, whatever the number of open ones.
const SPARE: usize = 64;

/// How long to wait before the next attempt when the system grants no connection.
const PAUSE: Duration = Duration::from_millis(200);

/// How often that is logged at most.
const WARN_PERIOD: Duration = Duration::from_secs(60);

/// What clients may take of a service's HTTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// How long a request's header may take, from its first byte on. A connection over it is cut.
    pub header: Duration,
    /// How long a request's body may take after its header. The service that reads bodies keeps to it.
    pub body: Duration,
    /// How long a connection may stay open without a request. It is longer than the pools of HTTP clients keep theirs (90 s is
    /// usual), so that a client does not send on a connection that is just being closed.
    pub idle: Duration,
    /// How long until the first byte of its first request; absent: as long as it may be idle.
    pub first: Option<Duration>,
    /// How many connections may be open. More wait until the system accepts them or gives up.
    pub connections: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            first: None,
            connections: 10_000,
        }
    }
}

/// A service's own way to answer POST requests, which does without the router: on the path of every message, its boxes cost more
/// than what they hold.
pub trait Posts: Clone + Send + Sync + 'static {
    /// Answers a request to whatever path.
    fn post(self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// For a service that takes no POST requests, or leaves them to its router.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NoPosts {}

impl Posts for NoPosts {
    async fn post(self, _: Request<Incoming>) -> Response<Body> {
        match self {}
    }
}

/// A server that takes connections in.
pub(crate) struct HttpServer<P> {
    routes: Router,
    posts: Option<P>,
    limits: HttpLimits,
    /// The tasks of the open connections. Those left when the server is dropped are cut.
    tasks: JoinSet<()>,
    held: Vec<Held>,
    /// When it was logged last that the system grants no connection.
    warned: Option<Instant>,
    open: Gauge,
    cut: Counter,
}

impl<P: Posts> HttpServer<P> {
    pub(crate) fn new(routes: Router, posts: Option<P>, limits: HttpLimits, metrics: &Metrics) -> Self {
        Self {
            // Makes the router what it is called as once, and not for each request.
            routes: routes.with_state(()),
            posts,
            limits,
            tasks: JoinSet::new(),
            held: Vec::new(),
            warned: None,
            open: metrics.gauge("http_connections", "Open HTTP connections"),
            cut: metrics
                .counter("http_connections_cut", "HTTP connections that were cut because they were too slow or idle"),
        }
    }

    /// Serves until the shutdown, and then until the requests under way are answered, under a deadline.
    pub(crate) async fn serve(mut self, listener: TcpListener, shutdown: &CancellationToken) {
        let shortest = self.limits.header.min(self.limits.idle).min(self.limits.first.unwrap_or(self.limits.idle));
        let mut watch = interval(WATCH_PERIOD.min(shortest / 4).max(Duration::from_millis(1)));
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let room = self.tasks.len() < self.limits.connections;
            tokio::select! {
                accepted = accept(&listener, &mut self.warned), if room => self.take(accepted),
                Some(_) = self.tasks.join_next() => {
                    // What is held of an ended connection keeps its memory: short connections must not pile up.
                    if self.held.len() > 2 * self.tasks.len() + SPARE {
                        self.watch();
                    }
                }
                _ = watch.tick() => self.watch(),
                () = shutdown.cancelled() => break,
            }
            self.open.set(i64::try_from(self.tasks.len()).unwrap_or(i64::MAX));
        }
        drop(listener);
        self.finish().await;
    }

    fn take(&mut self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            warn!("TCP_NODELAY could not be set: {error}");
        }
        let watch = Arc::new(Watch::default());
        let (finish, finishing) = oneshot::channel();
        let task = self.tasks.spawn(serve_connection(
            stream,
            self.routes.clone(),
            self.posts.clone(),
            watch.clone(),
            finishing,
        ));
        self.held.push(Held::new(watch, task, finish));
    }

    /// Cuts the connections that take too long, and forgets those that have ended.
    fn watch(&mut self) {
        let now = clock::now();
        self.held.retain_mut(|held| {
            if !held.is_open() {
                return false;
            }
            if held.is_over(&self.limits, now) {
                self.cut.inc();
                held.cut();
                return false;
            }
            true
        });
    }

    async fn finish(mut self) {
        self.held.clear();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(FINISH_WITHIN, ended).await.is_err() {
            warn!("requests were still under way {} s after the shutdown began", FINISH_WITHIN.as_secs());
        }
    }
}

/// The next connection. What the system refuses is logged once a minute: on the edge it refuses and grants in turn.
async fn accept(listener: &TcpListener, warned: &mut Option<Instant>) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_the_client(&error) => debug!("a client went away before it was served: {error}"),
            Err(error) => {
                let now = clock::now();
                if warned.is_none_or(|warned| now.duration_since(warned) >= WARN_PERIOD) {
                    *warned = Some(now);
                    warn!("cannot accept a connection, trying again: {error}; allow more open files (ulimit -n)");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

/// Serves one connection to its end. When `finishing` resolves, the request under way is the last.
async fn serve_connection<P: Posts>(
    stream: TcpStream,
    routes: Router,
    posts: Option<P>,
    watch: Arc<Watch>,
    mut finishing: oneshot::Receiver<()>,
) {
    let io = TokioIo::new(Watched::new(stream, watch.clone()));
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |request: Request<Incoming>| {
        watch.request_begins();
        let watch = watch.clone();
        let answer = match &posts {
            Some(posts) if request.method() == Method::POST => Either::Left(posts.clone().post(request)),
            _ => Either::Right(routes.call(request.map(Body::new))),
        };
        async move {
            let response = match answer {
                Either::Left(answer) => Ok(answer.await),
                Either::Right(answer) => answer.await,
            };
            // A stream of events goes on for as long as its client wants it.
            if !response.as_ref().is_ok_and(is_stream) {
                watch.request_ends();
            }
            response
        }
    });
    // hyper's own limit would set a timer for each request, and cut idle connections, too.
    let connection = http1::Builder::new().header_read_timeout(None).serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        // The holder sends nothing: it lets go.
        _ = &mut finishing => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!("a connection ended early: {error}");
    }
}

fn is_stream(response: &Response<Body>) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|media_type| media_type == "text/event-stream")
}

/// Serves routes until the shutdown: for a program that is no service.
pub async fn serve_routes(routes: Router, limits: HttpLimits, listener: TcpListener, shutdown: &CancellationToken) {
    HttpServer::new(routes, None::<NoPosts>, limits, &Metrics::default()).serve(listener, shutdown).await;
}

impl Metrics {
    /// Serves `/metrics`, and nothing else, until the shutdown: for a program that is no service.
    pub async fn serve(&self, listener: TcpListener, shutdown: &CancellationToken) {
        let server = HttpServer::new(metrics_route(self.clone()), None::<NoPosts>, HttpLimits::default(), self);
        server.serve(listener, shutdown).await;
    }
}
