//! What a report says of a sweep before anything is measured: its id and its settings.

use super::command_line::command_line;
use super::sweep::SweepArgs;
use crate::pipeline::Pipeline;
use stamp::{RunId, SampleEvery, clock};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// `20261121-101500-k3f`: the time in UTC and three characters that tell sweeps of one second apart.
pub(super) fn sweep_id() -> RunId {
    let now = clock::unix_now();
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(now.as_secs())).to_string();
    let time: String = time.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    let mut rest = now.subsec_nanos() ^ std::process::id().rotate_left(16);
    let suffix: String = std::iter::repeat_with(|| {
        let digit = char::from_digit(rest % 36, 36).unwrap_or('0');
        rest /= 36;
        digit
    })
    .take(3)
    .collect();
    let id = format!("{}-{suffix}", time.replace('T', "-"));
    id.parse().unwrap_or_else(|_| RunId::adhoc())
}

/// Every setting that matters, for the report.
pub(super) fn describe(args: &SweepArgs, every: SampleEvery, pipeline: &Pipeline) -> BTreeMap<String, String> {
    let time = |duration: Duration| humantime::format_duration(duration).to_string();
    let rates = !args.rates.is_empty() || args.rate_from.is_some();
    let mut settings = BTreeMap::from([
        ("command".to_owned(), command_line(std::env::args_os())),
        ("duration".to_owned(), time(args.shape.duration)),
        ("warmup".to_owned(), time(args.warmup)),
        ("every".to_owned(), every.to_string()),
        ("payload_bytes".to_owned(), args.shape.payload_bytes.to_string()),
        ("timeout".to_owned(), time(args.shape.timeout)),
        ("drain_timeout".to_owned(), time(args.drain_timeout)),
        ("drain_limit".to_owned(), time(args.drain_limit)),
        ("p99_limit".to_owned(), time(args.p99_limit)),
        ("pipeline".to_owned(), if pipeline.is_local() { "local stack" } else { "remote" }.to_owned()),
        ("target".to_owned(), pipeline.target.to_string()),
        ("clock".to_owned(), format!("{:?}", args.clock).to_lowercase()),
        (
            "generator".to_owned(),
            if rates { format!("open loop, {:?} arrivals", args.shape.arrivals) } else { "closed loop".to_owned() },
        ),
        ("seed".to_owned(), args.shape.seed.to_string()),
        ("ramp".to_owned(), time(args.shape.ramp)),
        ("generator_tcp_nodelay".to_owned(), "true".to_owned()),
    ]);
    if pipeline.is_local() {
        let local = &args.local;
        for (service, more) in [
            ("apiserver", &local.apiserver_args),
            ("pushserver", &local.pushserver_args),
            ("mqttclient", &local.mqttclient_args),
        ] {
            settings.insert(format!("{service}_args"), more.clone());
        }
    }
    for value in settings.values_mut() {
        *value = stamp::mask(value).into_owned();
    }
    settings
}
