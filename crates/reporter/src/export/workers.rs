//! `workers.tsv`: what each of several generators made, a row for each level and worker. docs/report.md describes the columns.

use super::decimal;
use super::tsv::{line, milliseconds};
use analysis::Report;

const COLUMNS: [&str; 18] = [
    "run",
    "worker",
    "instance",
    "host",
    "share",
    "requests",
    "accepted",
    "errors",
    "missed",
    "send_delay_p50_ms",
    "send_delay_p99_ms",
    "start_delay_ms",
    "cpu_share",
    "clock_error_ms",
    "limited_by",
    "lost_s",
    "lost_why",
    "rps",
];

/// `workers.tsv`.
pub(super) fn workers(report: &Report) -> Vec<u8> {
    let mut tsv = String::new();
    line(&mut tsv, &COLUMNS);
    for level in &report.levels {
        let seconds = level.load.http.as_ref().map(|http| http.duration_us as f64 / 1e6).filter(|lasted| *lasted > 0.0);
        for worker in &level.load.workers {
            let whole = |us: Option<u64>| milliseconds(us.and_then(|us| i64::try_from(us).ok()));
            let row = [
                level.load.run.to_string(),
                worker.number.to_string(),
                worker.instance.clone(),
                worker.host.clone(),
                decimal(Some(worker.share), 4),
                worker.requests.to_string(),
                worker.accepted.to_string(),
                worker.errors.to_string(),
                worker.missed.to_string(),
                whole(worker.send_delay_p50_us),
                whole(worker.send_delay_p99_us),
                whole(worker.start_delay_us),
                decimal(worker.cpu_share, 3),
                whole(worker.clock_error_us.map(u64::from)),
                worker.limited_by.clone().unwrap_or_default(),
                decimal(worker.lost_us.map(|us| us as f64 / 1e6), 1),
                worker.lost_why.clone().unwrap_or_default(),
                decimal(seconds.map(|lasted| worker.accepted as f64 / lasted), 1),
            ];
            line(&mut tsv, &row);
        }
    }
    tsv.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::{report_of, with_workers};

    #[test]
    fn a_row_for_each_level_and_worker() {
        let report = with_workers(report_of(&[8]));
        insta::assert_snapshot!(String::from_utf8(workers(&report)).unwrap());
    }
}
