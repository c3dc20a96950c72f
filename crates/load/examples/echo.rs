//! A bare axum server that answers each POST with its body: what `scripts/bench load` loads. It prints its address.

#![allow(clippy::print_stdout, reason = "whoever starts it reads the address")]

use axum::Router;
use axum::routing::post;
use axum::serve::ListenerExt;
use bytes::Bytes;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/echo", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // Without it the benchmark would measure Nagle's algorithm.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, Router::new().route("/echo", post(|body: Bytes| async { body }))).await
}
