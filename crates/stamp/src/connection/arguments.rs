//! The options of every command that reaches a Redis server.

use super::{AccessError, RedisAccess, RedisTrust, RedisUrl, Secret};
use clap::Args;
use std::path::Path;

/// The password itself: in the environment, because others can read the command line.
const PASSWORD: &str = "STAMPEDE_REDIS_PASSWORD";

/// How to reach Redis servers, apart from where they are. What an address says by itself is stronger.
#[derive(Debug, Clone, Default, Args)]
pub struct RedisArgs {
    /// The ACL user for the Redis servers; the password comes from the environment variable `STAMPEDE_REDIS_PASSWORD` or a file
    #[arg(long, value_name = "NAME", env = "STAMPEDE_REDIS_USER")]
    pub redis_user: Option<String>,

    /// The file that holds the password for the Redis servers
    #[arg(long, value_name = "FILE", env = "STAMPEDE_REDIS_PASSWORD_FILE", value_parser = secret)]
    pub redis_password_file: Option<Secret>,

    /// The certificate authorities for rediss:// addresses, a PEM file [default: those of this machine]
    #[arg(long, value_name = "FILE", env = "STAMPEDE_REDIS_CA", value_parser = trust)]
    pub redis_ca: Option<RedisTrust>,
}

impl RedisArgs {
    /// The address with what the options and the environment say.
    #[must_use]
    pub fn reach(&self, url: &RedisUrl) -> RedisUrl {
        url.with(&self.access())
    }

    /// What the options and the environment say.
    #[must_use]
    pub fn access(&self) -> RedisAccess {
        let given = |text: &String| !text.is_empty();
        let from_environment = || std::env::var(PASSWORD).ok().filter(given).map(Secret::new);
        RedisAccess {
            user: self.redis_user.clone().filter(given),
            password: self.redis_password_file.clone().or_else(from_environment),
            trust: self.redis_ca.clone(),
        }
    }
}

fn secret(file: &str) -> Result<Secret, AccessError> {
    Secret::from_file(Path::new(file))
}

fn trust(file: &str) -> Result<RedisTrust, AccessError> {
    RedisTrust::from_file(Path::new(file))
}
