//! Which service stamps which stage.

use crate::attribute::resource;
use opentelemetry_proto::tonic::resource::v1::Resource;
use stamp::{Beat, Stage};
use std::collections::BTreeMap;

/// The services of a pipeline, by the stages that they stamp.
#[derive(Debug, Clone, Default)]
pub struct Services(BTreeMap<Stage, Service>);

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Service {
    name: String,
    version: String,
    /// Where it runs; empty where it does so on several hosts.
    host: String,
}

impl Services {
    /// As they describe themselves.
    pub fn of(beats: &[Beat]) -> Self {
        let mut services = BTreeMap::<Stage, Service>::new();
        // Who takes the spans of others is not who passes their messages.
        let beats = beats.iter().filter(|beat| beat.service != crate::receive::SERVICE);
        for (stage, beat) in beats.flat_map(|beat| beat.stages.iter().map(move |stage| (stage, beat))) {
            let new = || Service { name: beat.service.clone(), version: beat.version.clone(), host: beat.host.clone() };
            let known = services.entry(stage.clone()).or_insert_with(new);
            if known.host != beat.host {
                known.host.clear();
            }
        }
        Self(services)
    }

    /// Who stamps a stage: where nobody says so, those of the reference pipeline, or else somebody of the stage's own name.
    pub(crate) fn who(&self, stage: &Stage) -> Service {
        self.0.get(stage).cloned().unwrap_or_else(|| {
            let name = match stage.as_str() {
                "send" => "driver",
                "enqueue" | "enqueued" => "apiserver",
                "publish" | "acknowledged" => "pushserver",
                other => other,
            };
            Service { name: name.to_owned(), ..Service::default() }
        })
    }
}

impl Service {
    /// Who tells of the whole message.
    pub(crate) fn stampede() -> Self {
        Self { name: "stampede".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), host: String::new() }
    }

    pub(crate) fn resource(&self) -> Resource {
        resource(&self.name, &self.version, &self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_say_what_they_stamp() {
        let beat = |service: &str, host: &str, stages: &[Stage]| Beat {
            service: service.to_owned(),
            instance: host.to_owned(),
            version: "1".to_owned(),
            host: host.to_owned(),
            pid: 1,
            every: 100,
            stages: stages.to_vec(),
            clock: None,
            cpu_us: None,
            memory_bytes: None,
            cores: None,
            loads: Vec::new(),
            age_ms: 0,
        };
        let api = |host| beat("orders-api", host, &[Stage::APISERVER, Stage::ENQUEUE]);
        let services = Services::of(&[api("a"), api("b"), beat("worker", "a", &[Stage::PUSHSERVER])]);
        let who = |stage: &Stage| services.who(stage);
        assert_eq!((who(&Stage::ENQUEUE).name.as_str(), who(&Stage::ENQUEUE).host.as_str()), ("orders-api", ""));
        assert_eq!(who(&Stage::PUSHSERVER).host, "a");
        assert_eq!(who(&Stage::PUBLISH).name, "pushserver");
        assert_eq!(who(&"enricher".parse().unwrap()).name, "enricher");
    }
}
