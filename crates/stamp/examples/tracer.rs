//! The SDK in two calls: connect, and stamp each message. Here, 1,000 messages pass the stage `enricher`.
//!
//!     cargo run -p stamp --example tracer -- redis://127.0.0.1:6379

#![allow(clippy::print_stdout, reason = "an example shows its result on stdout")]

use stamp::{MsgId, Stage, Tracer};
use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let tracer = Tracer::connect(&url).await?;
    let stage: Stage = "enricher".parse()?;

    for id in 0..1000 {
        // A service stamps where it has read a message. Each is counted; every hundredth one is stamped too, by a task in
        // the background, so that nothing here waits for Redis.
        tracer.stamp(&stage, MsgId::new(id)?);
    }

    // What has been stamped is written within 100 ms anyway; a process that ends waits for it, and signs off.
    tracer.close().await;
    println!("1000 messages counted, every {}th stamped. Look at them:", tracer.every());
    println!("  redis-cli -u {url} HGETALL trace:adhoc:counts");
    println!("  redis-cli -u {url} LRANGE trace:adhoc:enricher 0 -1");
    Ok(())
}
