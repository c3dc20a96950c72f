//! `driver clock`: can I trust microseconds here?

use super::value::parse_duration;
use crate::output;
use clap::Args;
use hdrhistogram::Histogram;
use reporter::LogStoreArgs;
use serde_json::{Value, json};
use stamp::clock::{self, ClockState, RedisClock};
use stamp::{LogStore, RedisUrl, Wait, counted};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often the clocks are read.
const PERIOD: Duration = Duration::from_millis(2);

#[derive(Debug, Clone, Args)]
#[command(mut_arg("redis", |arg| arg.help("The Redis server whose TIME is the clock")))]
pub(crate) struct ClockArgs {
    #[command(flatten)]
    log_store: LogStoreArgs,

    /// How long to measure
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    duration: Duration,

    /// Redis runs on this host: compare with its wall clock, which then is the truth
    #[arg(long)]
    against_host_clock: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What a measurement gathers. All histograms are in µs.
struct Gathered {
    round_trip: Histogram<u64>,
    error_bound: Histogram<u64>,
    /// The true errors of the disciplined clock and of the plain reading.
    errors: Option<[Histogram<u64>; 2]>,
    last: Option<ClockState>,
}

pub(crate) async fn run(args: ClockArgs) -> anyhow::Result<ExitCode> {
    let redis = args.log_store.url();
    stamp::ensure_usage(args.duration >= PERIOD, || "--duration is too short to read a clock: give at least 2ms")?;
    LogStore::connect(&redis).await?;
    let gathered = gather(&args, &redis).await?;
    let last = gathered.last.ok_or_else(|| anyhow::anyhow!("redis at {redis} did not tell its time"))?;
    output::result(&if args.json { as_json(&gathered, &last).to_string() } else { as_text(&gathered, &last) });
    Ok(ExitCode::SUCCESS)
}

async fn gather(args: &ClockArgs, redis: &RedisUrl) -> anyhow::Result<Gathered> {
    let disciplined = RedisClock::start(redis);
    let mut plain = redis.connect(Wait::BRIEFLY).await?;
    let errors = args.against_host_clock.then(|| [histogram(), histogram()]);
    let mut gathered = Gathered { round_trip: histogram(), error_bound: histogram(), errors, last: None };
    let end = clock::now() + args.duration;
    let mut period = interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while clock::now() < end {
        period.tick().await;
        // A true error is only as good as the moment that both clocks are read at: a reading that was interrupted is
        // taken again.
        let (moment, host_us) = host_clock();
        let Some(state) = disciplined.state() else { continue };
        let told = state.at(moment);
        record(&mut gathered.error_bound, i64::from(told.error_us));
        record(&mut gathered.round_trip, state.round_trip_ns / 1000);
        if let Some([disciplined_errors, plain_errors]) = &mut gathered.errors {
            record(disciplined_errors, told.us - host_us);
            // The plain method: what TIME says when it is asked at the event is taken for the event's time.
            let (seconds, micros): (i64, i64) =
                redis::cmd("TIME").query_async(&mut plain).await.map_err(|error| redis.failed(error))?;
            record(plain_errors, seconds * 1_000_000 + micros - host_us);
        }
        gathered.last = Some(state);
    }
    Ok(gathered)
}

/// This host's wall clock, and the moment at which it was read.
fn host_clock() -> (std::time::Instant, i64) {
    loop {
        let before = clock::now();
        let host = clock::unix_now();
        let after = clock::now();
        if after.duration_since(before) < Duration::from_micros(2) {
            return (before, i64::try_from(host.as_micros()).unwrap_or(i64::MAX));
        }
    }
}

/// Up to a day, with three significant digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 86_400_000_000, 3).unwrap_or_else(|_| unreachable!("the bounds are constants"))
}

/// Records how large a value is; one beyond a day counts as a day.
fn record(histogram: &mut Histogram<u64>, us: i64) {
    histogram.saturating_record(us.unsigned_abs());
}

fn offset_us(state: &ClockState) -> i64 {
    let (moment, host_us) = host_clock();
    host_us - state.at(moment).us
}

fn as_json(gathered: &Gathered, last: &ClockState) -> Value {
    let percentiles = |histogram: &Histogram<u64>| {
        let at = |quantile: f64| histogram.value_at_quantile(quantile);
        json!({"p50": at(0.5), "p99": at(0.99), "max": histogram.max()})
    };
    let mut json = json!({
        "offset_us": offset_us(last),
        "drift_ppm": last.line.drift * 1e6,
        "steps": last.steps,
        "rtt_us": percentiles(&gathered.round_trip),
        "error_bound_us": percentiles(&gathered.error_bound),
    });
    if let Some([disciplined, plain]) = &gathered.errors {
        json["disciplined_abs_error_us"] = percentiles(disciplined);
        json["plain_abs_error_us"] = percentiles(plain);
    }
    json
}

fn as_text(gathered: &Gathered, last: &ClockState) -> String {
    let (offset, drift) = (offset_us(last), last.line.drift * 1e6);
    let side = if offset < 0 { "behind" } else { "ahead of" };
    let pace = if drift < 0.0 { "slower" } else { "faster" };
    let mut lines = vec![
        format!("this host's clock is {} µs {side} redis; no latency depends on it", offset.unsigned_abs()),
        format!(
            "redis runs {:.2} ppm (± {:.2}) {pace}; it was set {}",
            drift.abs(),
            last.line.drift_error * 1e6,
            counted(last.steps, "time")
        ),
        format!("{:<32} {:>8} {:>8} {:>8}", "µs", "p50", "p99", "max"),
    ];
    let mut line = |name: &str, histogram: &Histogram<u64>| {
        let at = |quantile: f64| histogram.value_at_quantile(quantile);
        lines.push(format!("{name:<32} {:>8} {:>8} {:>8}", at(0.5), at(0.99), histogram.max()));
    };
    line("round trip", &gathered.round_trip);
    line("error bound of a stamp", &gathered.error_bound);
    if let Some([disciplined, plain]) = &gathered.errors {
        line("true error, disciplined clock", disciplined);
        line("true error, plain TIME", plain);
    }
    lines.join("\n")
}
