//! A hold on messages of a list: a list of the worker's own.

use super::scripts::Scripts;
use super::{HoldError, Keys, Taken};
use redis::aio::MultiplexedConnection;

/// Seconds that a worker waits for a message.
const WAIT_SECONDS: f64 = 0.5;

#[derive(Debug, Default)]
pub(super) struct HeldList {
    scripts: Option<Scripts>,
}

impl HeldList {
    pub(super) async fn resume(
        &mut self,
        connection: &mut MultiplexedConnection,
        scripts: Scripts,
        keys: &Keys,
        name: &str,
    ) -> Result<Vec<Taken>, HoldError> {
        let held: Vec<Vec<u8>> = scripts.held(keys, name).query_async(connection).await?;
        self.scripts = Some(scripts);
        Ok(taken(held).collect())
    }

    pub(super) async fn take(
        &mut self,
        connection: &mut MultiplexedConnection,
        keys: &Keys,
        name: &str,
        settled: usize,
        most: usize,
        may_wait: bool,
    ) -> Result<Vec<Taken>, HoldError> {
        let Some(scripts) = &self.scripts else { return Ok(Vec::new()) };
        if !may_wait {
            let found: Vec<Vec<u8>> = scripts.take(keys, name, settled, most).query_async(connection).await?;
            return Ok(taken(found).collect());
        }
        // Three commands in one trip: Redis goes on to the third when the second has come to its end.
        let mut pipeline = redis::pipe();
        pipeline.add_command(scripts.take(keys, name, settled, 0));
        pipeline.cmd("BLMOVE").arg(&keys.queue.key).arg(keys.held(name)).arg("RIGHT").arg("RIGHT").arg(WAIT_SECONDS);
        pipeline.add_command(scripts.take(keys, name, 0, most - 1));
        let (_, first, more): (redis::Value, Option<Vec<u8>>, Vec<Vec<u8>>) = pipeline.query_async(connection).await?;
        Ok(taken(first).chain(taken(more)).collect())
    }
}

/// In a list, a message is called what it is.
fn taken(bodies: impl IntoIterator<Item = Vec<u8>>) -> impl Iterator<Item = Taken> {
    bodies.into_iter().map(|body| (body.clone(), body))
}
