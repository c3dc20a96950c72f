//! A Redis with a replica behind one name, and its failovers.

use crate::{Proxy, Redis, RedisOptions, Sandbox, StackError};
use redis::FromRedisValue;
use stamp::{RedisUrl, StoreError, Wait};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long servers may take to agree on who leads.
const AGREED_WITHIN: Duration = Duration::from_secs(20);

/// How often they are asked.
const PERIOD: Duration = Duration::from_millis(5);

/// How a replica comes to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// The primary is killed (SIGKILL), with all that it had not sent to its replica yet.
    Crash,
    /// The primary hands over: it takes no more writes, waits until its replica has them all, and follows it (FAILOVER).
    Planned,
}

impl fmt::Display for Failover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failover::Crash => "crash",
            Failover::Planned => "planned",
        })
    }
}

/// Two real servers, one of which follows the other, and the name that leads to the primary.
#[derive(Debug)]
pub struct ReplicatedRedis {
    name: Proxy,
    /// On the way from the primary to its replica.
    link: Proxy,
    primary: Redis,
    replica: Redis,
}

impl ReplicatedRedis {
    /// Starts both, each in a sandbox of its own. The replica gets what the primary writes so much later.
    pub async fn start(primary: RedisOptions, replica: RedisOptions, lag: Duration) -> Result<Self, StackError> {
        let (name, link) = (Proxy::start().await?, Proxy::start_delayed(lag).await?);
        // They have the same files, under the same names.
        let (one, other) = (Arc::new(Sandbox::new()?), Arc::new(Sandbox::new()?));
        let (primary, replica) = tokio::try_join!(Redis::start_as(&one, primary), Redis::start_as(&other, replica))?;
        let servers = Self { name, link, primary, replica };
        servers.follow().await?;
        servers.name.lead_to(Some(servers.primary.port()));
        Ok(servers)
    }

    /// Where the primary is, whichever that is: `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.name.port())
    }

    /// The server that leads now.
    pub fn primary(&self) -> &Redis {
        &self.primary
    }

    /// The server that follows it.
    pub fn replica(&self) -> &Redis {
        &self.replica
    }

    /// The name that leads to the primary.
    pub fn name(&self) -> &Proxy {
        &self.name
    }

    /// Lets the replica lead, and the name lead to it: connections that there were are cut. The old primary is the replica from now on, once
    /// it [follows](Self::rejoin).
    pub async fn fail_over(&mut self, how: Failover) -> Result<(), StackError> {
        match how {
            Failover::Crash => {
                self.primary.process.kill();
                // What is still on its way to the replica is lost with the primary's machine.
                self.link.lead_to(None);
                let () = ask(&self.replica, &["REPLICAOF", "NO", "ONE"]).await?;
            }
            Failover::Planned => {
                let () = ask(&self.primary, &["FAILOVER"]).await?;
                agreed("the replica leads", async || Ok(info(&self.replica).await?.contains("role:master"))).await?;
            }
        }
        std::mem::swap(&mut self.primary, &mut self.replica);
        self.name.lead_to(Some(self.primary.port()));
        Ok(())
    }

    /// Brings the replica back, where it has been killed, and waits until it follows the primary.
    pub async fn rejoin(&mut self) -> Result<(), StackError> {
        if self.replica.process.ended().is_err() {
            self.replica.restart().await?;
        }
        self.follow().await
    }

    async fn follow(&self) -> Result<(), StackError> {
        self.link.lead_to(Some(self.primary.port()));
        let () = ask(&self.replica, &["REPLICAOF", "127.0.0.1", &self.link.port().to_string()]).await?;
        agreed("the replica follows", async || {
            let follows = info(&self.replica).await?.contains("master_link_status:up");
            Ok(follows && info(&self.primary).await?.contains("state=online"))
        })
        .await
    }
}

async fn info(server: &Redis) -> Result<String, StackError> {
    ask(server, &["INFO", "replication"]).await
}

async fn ask<T: FromRedisValue>(server: &Redis, command: &[&str]) -> Result<T, StackError> {
    let asked = async {
        let url: RedisUrl = server.url().parse()?;
        let mut connection = url.connect(Wait::BRIEFLY).await?;
        let answer = redis::cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await;
        answer.map_err(|error| url.failed(error))
    };
    asked.await.map_err(|source: StoreError| StackError::Replication(source.to_string()))
}

/// Asks until it is so.
async fn agreed(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool, StackError>) -> Result<(), StackError> {
    let agreed = timeout(AGREED_WITHIN, async {
        while !is_so().await? {
            sleep(PERIOD).await;
        }
        Ok(())
    });
    let seconds = AGREED_WITHIN.as_secs();
    agreed.await.unwrap_or_else(|_| Err(StackError::Replication(format!("it took more than {seconds} s until {what}"))))
}
