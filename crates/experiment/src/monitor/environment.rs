//! Where a sweep was measured: what a reader must know to compare it with another.

use crate::pipeline::Pipeline;
use std::collections::BTreeMap;
use std::fs;

/// What Redis is asked for, beside its version: persistence and threads cost latency.
const REDIS_SETTINGS: [&str; 6] =
    ["appendonly", "save", "io-threads", "list-compress-depth", "maxmemory", "maxmemory-policy"];

/// Host, versions and the settings that cost latency, as far as they can be found out.
pub(crate) async fn environment(pipeline: &Pipeline) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut tell = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            found.insert(name.to_owned(), value);
        }
    };
    let kernel = rustix::system::uname();
    tell("kernel", Some(format!("{} {}", kernel.sysname().to_string_lossy(), kernel.release().to_string_lossy())));
    tell("architecture", Some(kernel.machine().to_string_lossy().into_owned()));
    tell("processor", processor());
    tell("processors", std::thread::available_parallelism().ok().map(|count| count.to_string()));
    tell("memory", memory());
    tell("stampede", Some(env!("CARGO_PKG_VERSION").to_owned()));
    tell("broker", pipeline.broker());
    // Every connection of ours sets it, wherever it goes (docs/method.md).
    tell("tcp_nodelay", Some("generator, services, redis clients, mqtt clients".to_owned()));
    let Some(store) = &pipeline.store else { return found };
    for (prefix, server) in [("redis", Some(&store.queue)), ("logstore", (!store.is_shared).then_some(&store.log))] {
        let Some(server) = server else { continue };
        let info = server.info(&["server"]).await.unwrap_or_default();
        tell(&format!("{prefix}_version"), info.get("redis_version").cloned());
        // A secured server may refuse to tell.
        for (name, value) in server.settings(&REDIS_SETTINGS).await.unwrap_or_default() {
            tell(&format!("{prefix}_{}", name.replace('-', "_")), Some(value));
        }
    }
    tell("log_store", Some(if store.is_shared { "the queue's redis" } else { "a redis of its own" }.to_owned()));
    for beat in store.log.services().await.unwrap_or_default() {
        let clock = if beat.clock.is_some() { "disciplined clock" } else { "plain stamps" };
        let version = if beat.version.is_empty() { "of unknown version" } else { &beat.version };
        let host = if beat.host.is_empty() { String::new() } else { format!(" on {}", beat.host) };
        tell(
            &format!("service_{}_{}", beat.service, beat.instance),
            Some(format!("{version}{host}, 1 in {}, {clock}", beat.every)),
        );
    }
    found
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let name = info.lines().find_map(|line| line.strip_prefix("model name"))?;
    let name = name.trim_start().strip_prefix(':')?.trim().to_owned();
    let is_virtual = info
        .lines()
        .any(|line| line.starts_with("flags") && line.split_ascii_whitespace().any(|flag| flag == "hypervisor"));
    Some(if is_virtual { format!("{name} (virtual machine)") } else { name })
}

fn memory() -> Option<String> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{:.1} GiB", kib as f64 / 1024.0 / 1024.0))
}
