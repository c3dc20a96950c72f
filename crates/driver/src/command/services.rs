//! `driver services`: who is there.

use crate::output;
use analysis::aligned;
use clap::Args;
use reporter::LogStoreArgs;
use stamp::Beat;
use std::process::ExitCode;

#[derive(Debug, Clone, Args)]
#[command(mut_arg("redis", |arg| arg.help("The Redis server that takes the stamps")))]
pub(crate) struct ServicesArgs {
    #[command(flatten)]
    log_store: LogStoreArgs,

    /// Print one line of JSON for each process
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: ServicesArgs) -> anyhow::Result<ExitCode> {
    let beats = args.log_store.connect().await?.services().await?;
    if args.json {
        for beat in &beats {
            output::result(&serde_json::to_string(beat)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if beats.is_empty() {
        output::note(&format!("no service has registered at {}", args.log_store.redis));
        return Ok(ExitCode::SUCCESS);
    }
    output::result(&table(&beats));
    Ok(ExitCode::SUCCESS)
}

fn table(beats: &[Beat]) -> String {
    let names = ["SERVICE", "VERSION", "HOST", "PID", "N", "CLOCK ERROR", "CPU", "MEMORY", "LAST BEAT", "STAGES"];
    let rows: Vec<Vec<String>> =
        std::iter::once(names.map(str::to_owned).into()).chain(beats.iter().map(row)).collect();
    aligned(&rows, |_| true)
}

fn row(beat: &Beat) -> Vec<String> {
    let known = |text: Option<String>| text.unwrap_or_else(|| "n/a".to_owned());
    let stages: Vec<_> = beat.stages.iter().map(ToString::to_string).collect();
    vec![
        beat.service.clone(),
        beat.version.clone(),
        beat.host.clone(),
        beat.pid.to_string(),
        beat.every.to_string(),
        beat.clock.map_or_else(|| "plain".to_owned(), |clock| format!("{} µs", clock.error_us)),
        known(beat.cpu_us.map(|us| format!("{:.2} s", us as f64 / 1e6))),
        known(beat.memory_bytes.map(|bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)))),
        format!("{:.1} s ago", beat.age_ms as f64 / 1e3),
        stages.join(","),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let beat = Beat {
            service: "apiserver".to_owned(),
            instance: "1-a".to_owned(),
            version: "0.1.0".to_owned(),
            host: "web-1".to_owned(),
            pid: 4711,
            every: 100,
            stages: vec![stamp::Stage::APISERVER, stamp::Stage::ENQUEUE],
            clock: Some(stamp::BeatClock { error_us: 17, host_offset_us: -3, drift_ppm: 0.4, steps: 0 }),
            cpu_us: Some(1_230_000),
            memory_bytes: Some(7 << 20),
            age_ms: 240,
            ..Beat::default()
        };
        let foreign =
            Beat { service: "enricher".to_owned(), clock: None, cpu_us: None, memory_bytes: None, ..beat.clone() };
        insta::assert_snapshot!(table(&[beat, foreign]), @r"
        SERVICE    VERSION  HOST   PID   N    CLOCK ERROR  CPU     MEMORY   LAST BEAT  STAGES
        apiserver  0.1.0    web-1  4711  100  17 µs        1.23 s  7.0 MiB  0.2 s ago  apiserver,enqueue
        enricher   0.1.0    web-1  4711  100  plain        n/a     n/a      0.2 s ago  apiserver,enqueue
        ");
    }
}
