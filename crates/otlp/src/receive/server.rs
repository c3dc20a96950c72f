//! The server: OTLP/HTTP at `/v1/traces`, in the shell that all services share.

use super::SERVICE;
use super::body::{Encoding, LARGEST, Refusal, TURN_WITHIN, busy, decompressed, received};
use super::seen::Seen;
use super::stamps::{Stamper, Untaken};
use anyhow::{Context, bail};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use clap::Args;
use plan::{Input, RunOf, SpanMap};
use service::{ListenAddress, ServiceArgs, Shell};
use stamp::{RunId, Tracer, parse_duration};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Requests that may be decompressed and stamped at a time, as that takes memory. As many of the largest bodies may be held.
const AT_A_TIME: usize = 4;

/// Arguments of `driver otlp-receive`.
#[derive(Debug, Clone, Args)]
pub struct ReceiveArgs {
    /// The file that says which spans are which stages, and where a message's id stands (docs/traces.md)
    #[arg(long, value_name = "FILE")]
    pub map: PathBuf,

    /// The run that messages belong to [default: as the map says, or adhoc]
    #[arg(long, value_name = "NAME")]
    pub run: Option<RunId>,

    /// How long it waits at its end for a log store that is away, with spans that it has taken; what is lost then is told, with exit code 1
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = parse_duration)]
    pub finish_within: Duration,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub service: ServiceArgs,
}

/// Where collectors listen.
const USUAL_PORT: &str = "127.0.0.1:4318";

/// Runs as a process of its own, until a signal ends it.
///
/// # Errors
/// When the map is wrong, or its address is taken.
pub async fn start(mut args: ReceiveArgs, listens_elsewhere: bool) -> anyhow::Result<()> {
    // It tells the times of others: a clock of its own would only pretend to know them.
    args.service.clock = service::Clock::Redis;
    if !listens_elsewhere {
        args.service.listen = USUAL_PORT.parse::<ListenAddress>()?;
    }
    let map = args.read_map()?;
    let shell = Shell::open(SERVICE, &args.service).await?;
    run(map, shell, args.finish_within).await
}

/// Runs until the shell's shutdown, and then until everything that was taken is stamped, for `finish_within` at most.
///
/// # Errors
/// When the HTTP listener fails, or some of what was taken is lost.
pub async fn run(map: SpanMap, shell: Shell, finish_within: Duration) -> anyhow::Result<()> {
    let tracer = shell.tracer.clone();
    let stamper = Stamper::new(map, &tracer, &shell.metrics);
    let redis = shell.readiness.part("redis");
    let mut connections = tracer.observer().connections();
    let watching = tokio::spawn(async move {
        while connections.changed().await.is_ok() {
            redis.set(*connections.borrow_and_update());
        }
    });
    let receiver = Receiver {
        stamper: Arc::new(stamper),
        turns: Arc::new(Semaphore::new(AT_A_TIME)),
        room: Arc::new(Semaphore::new(AT_A_TIME * LARGEST)),
    };
    let body_within = shell.limits.body;
    let take = move |state, request| take(state, request, body_within);
    shell.serve_routes(Router::new().route("/v1/traces", post(take)).with_state(receiver)).await?;
    watching.abort();
    finish(&tracer, finish_within).await
}

/// Brings to the log store what was answered with 200: nobody else has it any more.
async fn finish(tracer: &Tracer, within: Duration) -> anyhow::Result<()> {
    let observer = tracer.observer();
    let dropped = || observer.figures().slots.iter().map(|slot| slot.stamps_dropped).sum::<u64>();
    let before = dropped();
    if timeout(within, tracer.flush()).await.is_err() {
        let waiting = observer.stamps_waiting();
        bail!(
            "the log store did not take the last {waiting} stamps, and the last counts, within {within:?} (--finish-within): \
             of spans that were taken, these are lost"
        );
    }
    service::close(tracer).await;
    let lost = dropped() - before;
    if lost > 0 {
        bail!("the log store did not confirm the last {lost} stamps: of spans that were taken, these are lost");
    }
    Ok(())
}

impl ReceiveArgs {
    /// The map, with the run of the command line.
    ///
    /// # Errors
    /// When it cannot be read, or is wrong.
    pub fn read_map(&self) -> anyhow::Result<SpanMap> {
        let name = self.map.display().to_string();
        let text = std::fs::read_to_string(&self.map).with_context(|| format!("cannot read {name}"))?;
        let mut map = SpanMap::read(&Input::new(&name, &text))?;
        if let Some(run) = &self.run {
            map.run = RunOf::Named(run.clone());
        }
        Ok(map)
    }
}

#[derive(Clone)]
struct Receiver {
    stamper: Arc<Stamper>,
    turns: Arc<Semaphore>,
    /// Bytes of bodies that may still come.
    room: Arc<Semaphore>,
}

async fn take(State(receiver): State<Receiver>, request: Request<Body>, within: Duration) -> Response {
    match receiver.take(request, within).await {
        Ok((encoding, body)) => ([(header::CONTENT_TYPE, encoding.name())], body).into_response(),
        Err((status, why)) => {
            let mut response = (status, why).into_response();
            if status == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
            }
            response
        }
    }
}

impl Receiver {
    async fn take(&self, request: Request<Body>, within: Duration) -> Result<(Encoding, Vec<u8>), Refusal> {
        let encoding = Encoding::of(request.headers())?;
        let (head, body) = request.into_parts();
        // 408 is none that exporters try again.
        let late = |_| (StatusCode::SERVICE_UNAVAILABLE, "the body did not arrive whole: send it again".to_owned());
        let body = timeout(within, received(body, &self.room)).await.map_err(late)??;
        // A turn is for what is there: nobody has it who still sends. Closed is what nobody does.
        let Ok(Ok(_turn)) = timeout(TURN_WITHIN, self.turns.acquire()).await else { return Err(busy()) };
        let request = encoding.read(&decompressed(&head.headers, &body)?)?;
        let response = self.stamper.take(&request).await.map_err(refusal)?;
        Ok((encoding, encoding.write(&response)))
    }
}

fn refusal(untaken: Untaken) -> Refusal {
    match untaken {
        Untaken::NoRoom => {
            let why =
                "the log store is away, and too many stamps wait for it: send it again, what was taken counts once";
            (StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
        }
        Untaken::TooMany => {
            let why = format!("a request has at most {} spans: send them in several", Seen::MOST_OF_ONE);
            (StatusCode::PAYLOAD_TOO_LARGE, why)
        }
    }
}
