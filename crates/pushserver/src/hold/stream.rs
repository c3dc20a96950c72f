//! A hold on messages of a stream: the worker's pending entries in the consumer group.

use super::scripts::Scripts;
use super::{HoldError, Keys, Taken};
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use service::queue::{BODY, GROUP};

/// Milliseconds that a worker waits for a message.
const WAIT_MS: usize = 500;

/// The most entries that are read back at a time on a new connection.
const READ_BACK: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct HeldStream {
    scripts: Option<Scripts>,
}

impl HeldStream {
    pub(super) async fn resume(
        &mut self,
        connection: &mut MultiplexedConnection,
        scripts: Scripts,
        keys: &Keys,
        name: &str,
    ) -> Result<Vec<Taken>, HoldError> {
        let created: redis::RedisResult<()> = redis::cmd("XGROUP")
            .arg(&["CREATE", &keys.queue.key, GROUP, "0", "MKSTREAM"])
            .query_async(connection)
            .await;
        match created {
            Err(error) if error.code() != Some("BUSYGROUP") => return Err(error.into()),
            _ => {}
        }
        let mut pipeline = redis::pipe();
        pipeline.add_command(scripts.settle(keys, name, std::iter::empty())).ignore();
        pipeline.add_command(read(keys, name, READ_BACK, None, "0"));
        let (held,): (StreamReadReply,) = pipeline.query_async(connection).await?;
        self.scripts = Some(scripts);
        Ok(taken(held))
    }

    pub(super) async fn take<'a>(
        &mut self,
        connection: &mut MultiplexedConnection,
        keys: &Keys,
        name: &str,
        settled: impl Iterator<Item = &'a [u8]>,
        most: usize,
        may_wait: bool,
    ) -> Result<Vec<Taken>, HoldError> {
        let Some(scripts) = &self.scripts else { return Ok(Vec::new()) };
        let mut pipeline = redis::pipe();
        pipeline.add_command(scripts.settle(keys, name, settled)).ignore();
        if most == 0 {
            pipeline.exec_async(connection).await?;
            return Ok(Vec::new());
        }
        pipeline.add_command(read(keys, name, most, may_wait.then_some(WAIT_MS), ">"));
        match pipeline.query_async::<(Option<StreamReadReply>,)>(connection).await {
            Ok((found,)) => Ok(found.map(taken).unwrap_or_default()),
            // The stream was deleted, and the group with it: the next connection makes both.
            Err(error) => Err(error.into()),
        }
    }
}

fn read(keys: &Keys, name: &str, most: usize, wait_ms: Option<usize>, from: &str) -> redis::Cmd {
    let mut command = redis::cmd("XREADGROUP");
    command.arg("GROUP").arg(GROUP).arg(name).arg("COUNT").arg(most);
    if let Some(wait_ms) = wait_ms {
        command.arg("BLOCK").arg(wait_ms);
    }
    command.arg("STREAMS").arg(&keys.queue.key).arg(from);
    command
}

/// An entry that somebody else has written without the field is an empty message: it is for the receiver to complain.
fn taken(reply: StreamReadReply) -> Vec<Taken> {
    let entries = reply.keys.into_iter().flat_map(|stream| stream.ids);
    entries.map(|entry| (entry.id.clone().into_bytes(), entry.get(BODY).unwrap_or_default())).collect()
}
