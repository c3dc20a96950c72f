//! Where requests go, and the pipeline behind it.

use super::Reader;
use super::table::list;
use crate::model::{Hook, Local, Pipeline, PipelinePlace};
use crate::yaml::Node;
use std::collections::BTreeMap;

const KEYS: &str = "local redis log_store queue path before after";
const SERVICES: &[&str] = &["apiserver", "pushserver", "mqttclient"];
const PARTS: &[&str] = &["apiserver", "pushserver", "mqttclient", "redis", "mosquitto"];
const LOCAL: &str = "apiserver pushserver mqttclient replicas cpus";

/// Processes of one service at most.
const MOST_REPLICAS: u16 = 64;

impl Reader<'_> {
    pub(super) fn read_hosts(&mut self, node: Option<&Node>) {
        let Some(table) = node.and_then(|node| self.table(node, "hosts")) else { return };
        for (key, node) in table.rest() {
            self.check_name(&key.name, key.place);
            let address = self.address(node);
            // One that is wrong has been told, and is known nevertheless.
            self.hosts.insert(key.name.clone(), address.unwrap_or_else(|| "http://invalid".to_owned()));
        }
    }

    /// `http://host:port`, without a `/` at its end.
    pub(super) fn address(&mut self, node: &Node) -> Option<String> {
        let address = self.constant(node)?;
        let lower = address.to_ascii_lowercase();
        let rest = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://"));
        let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        match host {
            Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => {
                if port_of(host).is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
                    let address = stamp::mask(&address);
                    let message = format!("{address:?} is no address of an API: the port is no number from 1 to 65535");
                    return self.refuse(node.place, message);
                }
                Some(address.trim_end_matches('/').to_owned())
            }
            _ => self.refuse(
                node.place,
                format!("{:?} is no address of an API: write http://host:port or https://host", stamp::mask(&address)),
            ),
        }
    }

    pub(super) fn pipeline(&mut self, node: &Node) -> Option<Pipeline> {
        if let crate::yaml::Value::Scalar { text, .. } = &node.value
            && text == "local"
        {
            let place = PipelinePlace::Local(Local::default());
            return Some(Pipeline { place, before: Vec::new(), after: Vec::new() });
        }
        let mut table = self.table(node, "a pipeline")?;
        let local = table.take_pair("local");
        let redis = table.take_pair("redis");
        let mut text = |reader: &mut Self, key| table.take(key).and_then(|node| reader.constant(node));
        let [log_store, queue, path] = ["log_store", "queue", "path"].map(|key| text(self, key));
        let [before, after] =
            ["before", "after"].map(|key| table.take(key).map(|node| self.hooks(node)).unwrap_or_default());
        self.finish(table, KEYS);
        let place = match (local, redis) {
            (Some((key, _)), Some(_)) => {
                return self.refuse(key.place, "a pipeline is local, or has a redis: leave one out");
            }
            (Some((_, node)), None) => PipelinePlace::Local(self.local(node)),
            (None, Some((_, node))) => {
                let redis = self.constant(node)?;
                if let Err(error) = redis.parse::<stamp::RedisUrl>() {
                    self.fault(node.place, error.to_string());
                }
                if let Some(path) = &path
                    && let Err(error) = path.parse::<stamp::Path>()
                {
                    self.fault(node.place, error.to_string());
                }
                PipelinePlace::Remote { redis, log_store, queue, path }
            }
            (None, None) => {
                return self.refuse(node.place, "a pipeline is `local`, or names the `redis` that its stamps are in");
            }
        };
        Some(Pipeline { place, before, after })
    }

    fn hooks(&mut self, node: &Node) -> Vec<Hook> {
        list(node).iter().filter_map(|node| self.hook(node)).collect()
    }

    fn local(&mut self, node: &Node) -> Local {
        let mut local = Local::default();
        let Some(mut table) = self.table(node, "a local pipeline") else { return local };
        for service in SERVICES {
            let given = table.take(service).and_then(|node| self.constant(node));
            local.arguments.extend(given.map(|given| ((*service).to_owned(), given)));
        }
        let (replicas, cpus) = (table.take("replicas"), table.take("cpus"));
        self.finish(table, LOCAL);
        let count = |text: &str| text.parse().ok().filter(|count| (1..=MOST_REPLICAS).contains(count));
        local.replicas = self.by_part(replicas, "replicas", SERVICES, "a number of processes from 1 to 64", count);
        let share = |text: &str| text.parse().ok().filter(|cpus| (0.001..=1024.0).contains(cpus));
        local.cpus = self.by_part(cpus, "cpus", PARTS, "a number of processors such as 0.5", share);
        local
    }

    /// A value for each of some parts.
    fn by_part<T>(
        &mut self,
        node: Option<&Node>,
        what: &'static str,
        parts: &'static [&str],
        form: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let mut values = BTreeMap::new();
        let Some(mut table) = node.and_then(|node| self.table(node, what)) else { return values };
        for part in parts {
            let value = table.take(part).and_then(|node| self.parsed(node, form, &parse));
            values.extend(value.map(|value| ((*part).to_owned(), value)));
        }
        self.finish(table, &parts.join(" "));
        values
    }
}

/// The port of `user@host:port`, where one is given.
fn port_of(authority: &str) -> Option<&str> {
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.rsplit_once(':').map(|(_, port)| port).filter(|_| !host.ends_with(']'))
}
