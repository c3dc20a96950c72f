//! A private pipeline on this machine: a real `redis-server`, a real `mosquitto` and the three services, each a
//! process of its own on a free port, in a temporary folder. Nothing of the machine's own Redis or Mosquitto is
//! touched, and everything ends with the value that holds it: on success, error, Ctrl-C, panic, even SIGKILL.
//!
//! [`Redis`] and [`Mosquitto`] are the test fixtures of all other crates; [`Stack`] is what `driver sweep` and
//! `driver stack` run when no address is given. It must not know what the services do: it starts an executable
//! with a role and waits for its ready line.

mod certificates;
mod cgroup;
mod error;
mod mosquitto;
mod part;
mod process;
mod program;
mod proxy;
mod redis;
mod replicated;
mod sandbox;
mod services;
mod stack;
mod until;

pub use self::redis::{Redis, RedisOptions};
pub use certificates::Certificates;
pub use error::StackError;
pub use mosquitto::{Mosquitto, MosquittoOptions};
pub use part::Part;
pub use process::Process;
pub use proxy::Proxy;
pub use replicated::{Failover, ReplicatedRedis};
pub use rustix::process::Signal;
pub use sandbox::Sandbox;
pub use services::{Role, without_servers};
pub use stack::{Cpus, Endpoints, Pids, Replicas, Stack, StackOptions};
pub use until::until;
