//! HTTP to Redis: one LPUSH for each request, on one shared connection.

use crate::{TraceArgs, announce, trace};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt;
use clap::Args;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use stamp::{Envelope, Stage, StageHandle, Tracer, Wait, keys};
use std::net::SocketAddr;
use tokio::net::TcpListener;

#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    /// Where it answers HTTP; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    #[command(flatten)]
    trace: TraceArgs,
}

#[derive(Clone)]
struct Api {
    redis: MultiplexedConnection,
    tracer: Tracer,
    apiserver: StageHandle,
    enqueue: StageHandle,
}

pub(crate) async fn run(args: ApiArgs) -> anyhow::Result<()> {
    let tracer = trace(&args.trace, "api");
    let api = Api {
        // The tracer's crate opens it as redis-rs would, with TCP_NODELAY.
        redis: args.trace.redis.connect(Wait::BRIEFLY).await?,
        apiserver: tracer.stage(&Stage::APISERVER),
        enqueue: tracer.stage(&Stage::ENQUEUE),
        tracer: tracer.clone(),
    };
    let routes = Router::new().route("/", post(accept)).route("/{*path}", post(accept)).with_state(api);
    let listener = TcpListener::bind(args.listen).await?;
    announce("api", Some(listener.local_addr()?));
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let shutdown = service::shutdown_on_signal()?;
    tokio::select! {
        served = axum::serve(listener, routes).into_future() => served?,
        () = shutdown.cancelled() => {}
    }
    service::close(&tracer).await;
    Ok(())
}

async fn accept(State(mut api): State<Api>, body: Bytes) -> StatusCode {
    let Ok(envelope) = Envelope::read(&body) else { return StatusCode::BAD_REQUEST };
    let (id, run) = (envelope.id, api.tracer.run(envelope.run()));
    run.stamp(api.apiserver, id);
    let pushed: redis::RedisResult<()> = api.redis.lpush(keys::DEFAULT_QUEUE, body.as_ref()).await;
    if pushed.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    run.stamp(api.enqueue, id);
    StatusCode::ACCEPTED
}
