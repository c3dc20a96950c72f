//! wrk as the load generator, as in the founding experiment: runs it with scripts/post.lua and reads what it prints.

use crate::{Target, WrkError};
use rustix::process::{Pid, Signal, kill_process};
use stamp::RunId;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// The script that makes wrk send envelopes.
const SCRIPT: &str = include_str!("../../../scripts/post.lua");

/// A wrk on PATH.
#[derive(Debug)]
pub struct Wrk {
    script: NamedTempFile,
}

/// What wrk has measured.
#[derive(Debug, Clone, PartialEq)]
pub struct WrkResult {
    /// Requests answered.
    pub requests: u64,
    /// How long it took.
    pub duration: Duration,
    /// Mean, median, 99th percentile and maximum of the time from the actual send to the answer, µs.
    pub latency_us: [f64; 4],
    /// Requests that failed, by kind.
    pub errors: BTreeMap<String, u64>,
}

impl Wrk {
    /// Finds wrk.
    ///
    /// # Errors
    /// When it is not on PATH.
    pub async fn find() -> Result<Self, WrkError> {
        let found = Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
        if found.is_err() {
            return Err(WrkError::Missing);
        }
        let mut script = tempfile::Builder::new().suffix(".lua").tempfile().map_err(WrkError::Script)?;
        script.write_all(SCRIPT.as_bytes()).map_err(WrkError::Script)?;
        Ok(Self { script })
    }

    /// Runs one load, until `ended` at most: wrk then tells what it has. Dropping the future ends wrk.
    ///
    /// # Errors
    /// When wrk fails or prints something else than expected.
    pub async fn run(
        &self,
        target: &Target,
        run: &RunId,
        connections: u32,
        duration: Duration,
        payload_bytes: usize,
        ended: &CancellationToken,
    ) -> Result<WrkResult, WrkError> {
        // wrk counts whole seconds, and has at least one connection on each thread.
        let seconds = duration.as_secs().max(1);
        let url = if target.path().is_some() { target.to_string() } else { format!("{target}/") };
        let wrk = Command::new("wrk")
            .args(["--latency", "-t", if connections > 1 { "2" } else { "1" }])
            .args(["-c", &connections.to_string(), "-d", &format!("{seconds}s"), "-s"])
            .arg(self.script.path())
            .arg(url)
            .env("STAMPEDE_RUN", run.as_str())
            .env("STAMPEDE_PAYLOAD_BYTES", payload_bytes.to_string())
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the driver, which passes it on.
            .process_group(0)
            .spawn()
            .map_err(WrkError::Run)?;
        let pid = wrk.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let output = wrk.wait_with_output();
        tokio::pin!(output);
        let output = tokio::select! {
            output = &mut output => output,
            () = ended.cancelled() => {
                // Where it has ended in this moment, there is nobody to be told.
                let _ = pid.map(|pid| kill_process(pid, Signal::INT));
                output.await
            }
        };
        let output = output.map_err(WrkError::Run)?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let output_text = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
            return Err(WrkError::Failed { status: output.status, output: output_text });
        }
        parse(&text).ok_or_else(|| WrkError::Unexpected(text.into_owned()))
    }
}

fn parse(text: &str) -> Option<WrkResult> {
    let line = |start: &str| text.lines().map(str::trim_start).find(|line| line.starts_with(start));
    let fields = |start: &str| line(start).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let summary = text.lines().find(|line| line.contains(" requests in "))?;
    let (requests, rest) = summary.trim().split_once(" requests in ")?;
    let latency = fields("Latency ")?;
    let mut errors = BTreeMap::new();
    if let Some(refused) = line("Non-2xx or 3xx responses: ") {
        errors.insert("status not 2xx".to_owned(), refused.rsplit(' ').next()?.parse().ok()?);
    }
    if let Some(faults) = line("Socket errors: ") {
        for fault in faults.trim_start_matches("Socket errors: ").split(", ") {
            let (kind, count) = fault.split_once(' ')?;
            let count: u64 = count.parse().ok()?;
            if count > 0 {
                errors.insert(kind.to_owned(), count);
            }
        }
    }
    Some(WrkResult {
        requests: requests.parse().ok()?,
        duration: Duration::from_secs_f64(time_us(rest.split(',').next()?)? / 1e6),
        latency_us: [
            time_us(latency.get(1)?)?,
            time_us(fields("50%")?.get(1)?)?,
            time_us(fields("99%")?.get(1)?)?,
            time_us(latency.get(3)?)?,
        ],
        errors,
    })
}

/// A time with its unit as wrk prints it, in µs.
fn time_us(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 60e6), ("h", 3600e6)];
    let (unit, us) = units.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints() {
        let text = "Running 2s test @ http://127.0.0.1:8080/
  2 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   312.51us  190.39us   5.09ms   91.52%
    Req/Sec    12.99k     1.08k   15.30k    68.29%
  Latency Distribution
     50%  279.00us
     75%  352.00us
     90%  462.00us
     99%    1.02ms
  53006 requests in 2.10s, 5.06MB read
  Socket errors: connect 0, read 3, write 0, timeout 1
  Non-2xx or 3xx responses: 6
Requests/sec:  25241.07
Transfer/sec:      2.41MB
stampede run=x requests=53006";
        let result = parse(text).unwrap();
        assert_eq!((result.requests, result.duration), (53006, Duration::from_millis(2100)));
        let expected = [312.51, 279.0, 1020.0, 5090.0];
        assert!(
            result.latency_us.iter().zip(expected).all(|(us, expected)| (us - expected).abs() < 1e-6),
            "{result:?}"
        );
        let expected =
            [("read", 3), ("status not 2xx", 6), ("timeout", 1)].map(|(kind, count)| (kind.to_owned(), count));
        assert_eq!(result.errors, BTreeMap::from(expected));
        assert_eq!(parse("something else"), None);
    }
}
