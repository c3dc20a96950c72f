//! The metrics that every service has, read when somebody asks for them.

use super::page::Page;
use crate::Readiness;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use stamp::{Figures, Observer, process};
use std::fmt;

/// Reads the metrics that every service has.
#[derive(Debug)]
pub(super) struct Vitals {
    labels: [(&'static str, String); 2],
    readiness: Readiness,
    tracer: Observer,
}

impl Vitals {
    pub(super) fn new(service: &str, version: &str, readiness: Readiness, tracer: Observer) -> Self {
        Self { labels: [("service", service.to_owned()), ("version", version.to_owned())], readiness, tracer }
    }

    fn service(&self, to: &mut Page<'_>) -> fmt::Result {
        let build = ("stampede_build", "The service and its version", None);
        to.0.encode_descriptor(build.0, build.1, build.2, MetricType::Info)?.encode_info(&self.labels)?;
        let parts = self.readiness.parts();
        let ready = parts.iter().all(|(_, there)| *there);
        to.gauge("stampede_ready", "Whether the service can do its work", None, u64::from(ready))?;
        to.gauges(
            "stampede_part_ready",
            "Whether a part that the service needs is there",
            parts.iter().map(|(name, there)| ([("part", *name)], u64::from(*there))),
        )
    }

    fn process(to: &mut Page<'_>) -> fmt::Result {
        if let Some(time) = process::cpu_time() {
            let (name, help) = ("process_cpu", "CPU time of all threads");
            to.counter(name, help, Some(&Unit::Seconds), &time.as_secs_f64())?;
        }
        if let Some(bytes) = process::memory_bytes() {
            to.gauge("process_resident_memory", "Resident memory", Some(&Unit::Bytes), bytes)?;
        }
        if let Some(since) = process::started() {
            let help = "When the process started, since 1970-01-01 UTC";
            to.gauge("process_start_time", help, Some(&Unit::Seconds), since.as_secs_f64())?;
        }
        if let Some(number) = process::open_files() {
            to.gauge("process_open_fds", "Open file descriptors", None, number as u64)?;
        }
        Ok(())
    }

    fn tracer(to: &mut Page<'_>, figures: &Figures) -> fmt::Result {
        let stages = || figures.slots.iter().filter(|slot| slot.is_stage);
        to.counters(
            "stampede_messages",
            "Messages that passed a stage, sampled or not",
            stages().map(|slot| ([("stage", slot.name.as_str())], slot.count)),
        )?;
        to.counters(
            "stampede_events",
            "What the service counts beside its stages",
            figures
                .slots
                .iter()
                .filter(|slot| !slot.is_stage)
                .map(|slot| ([("event", slot.name.as_str())], slot.count)),
        )?;
        to.counters(
            "stampede_stamps_dropped",
            "Stamps that never reached the log store",
            stages().map(|slot| ([("stage", slot.name.as_str())], slot.stamps_dropped)),
        )?;
        let waiting = figures.stamps_waiting as u64;
        to.gauge("stampede_stamps_waiting", "Stamps that wait for the log store", None, waiting)?;
        let written = &figures.stamps_written;
        to.counter("stampede_stamps_written", "Stamps that the log store has taken", None, written)?;
        let connected = u64::from(figures.log_store_connected);
        to.gauge("stampede_log_store_connected", "Whether the log store took the newest write", None, connected)?;
        if let Some(error) = figures.clock_error {
            let help = "The bound of the error with which this process knows Redis time";
            to.gauge("stampede_clock_error_bound", help, Some(&Unit::Seconds), error.as_secs_f64())?;
        }
        if let Some(steps) = figures.clock_steps {
            to.counter("stampede_clock_steps", "How often the Redis clock has been set", None, &u64::from(steps))?;
        }
        Ok(())
    }
}

impl Collector for Vitals {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.service(&mut page)?;
        Self::process(&mut page)?;
        Self::tracer(&mut page, &self.tracer.figures())
    }
}
