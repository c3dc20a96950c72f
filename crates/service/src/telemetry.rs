//! Logs: to stderr, so that stdout carries results alone.

use crate::LogFormat;
use std::fmt;
use std::io::IsTerminal;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging. `RUST_LOG` sets how much (`debug`, or by target: `info,redis=debug`); without it, from `info` up.
/// JSON lines carry the service's name.
pub fn init(format: LogFormat, service: &'static str) {
    let info = Targets::new().with_default(Level::INFO);
    let (filter, fault) = match std::env::var("RUST_LOG").as_deref().map(str::parse) {
        Ok(Ok(filter)) => (filter, None),
        Ok(Err(error)) => (info, Some(error)),
        Err(_) => (info, None),
    };
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // A second call, as in tests, changes nothing.
    let _ = match format {
        // A log that cannot be written must not end the process, as a panic about it would.
        LogFormat::Text => tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(std::io::stderr)
            .with_ansi(colours)
            .log_internal_errors(false)
            .finish()
            .with(filter)
            .try_init(),
        LogFormat::Json => json(service, filter, std::io::stderr).try_init(),
    };
    if let Some(error) = fault {
        tracing::warn!("RUST_LOG is ignored ({error}): give a level, or levels by target, as in info,redis=debug");
    }
}

/// Logs as one JSON object a line.
fn json<W>(service: &'static str, filter: Targets, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_writer(writer)
        .with_ansi(false)
        .log_internal_errors(false)
        .fmt_fields(JsonFields::new())
        .event_format(Named { service, format: Format::default().json() })
        .finish()
        .with(filter)
}

/// Puts the service's name into each JSON object.
#[derive(Debug)]
struct Named {
    service: &'static str,
    format: Format<Json>,
}

impl<S, N> FormatEvent<S, N> for Named
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let rest = line.strip_prefix('{').ok_or(fmt::Error)?;
        write!(writer, "{{\"service\":{},{rest}", serde_json::Value::from(self.service))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn json_logs_are_one_object_a_line_with_the_name_of_the_service() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = json("apiserver", Targets::new().with_default(Level::INFO), move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("connection", number = 3).entered();
            tracing::warn!(attempts = 7, "two\nlines and \"quotes\"");
            tracing::debug!("not shown");
            tracing::info!("redis is back");
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines.iter().all(|line| line["service"] == "apiserver" && line["timestamp"].is_string()), "{text}");
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(lines[0]["fields"]["message"], "two\nlines and \"quotes\"");
        assert_eq!(lines[0]["fields"]["attempts"], 7);
        assert_eq!(lines[0]["span"]["number"], 3);
        assert_eq!(lines[1]["fields"]["message"], "redis is back");
    }
}
