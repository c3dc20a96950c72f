//! `workers.tsv`: what each of several generators made, a row for each level and worker. docs/report.md describes the columns.

use super::decimal;
use super::tsv::{PartColumns, milliseconds, table};
use analysis::{Report, WorkerLoad};

const COLUMNS: &PartColumns<WorkerLoad> = &[
    ("run", |level, _| level.load.run.to_string()),
    ("worker", |_, worker| worker.number.to_string()),
    ("instance", |_, worker| worker.instance.clone()),
    ("host", |_, worker| worker.host.clone()),
    ("share", |_, worker| decimal(Some(worker.share), 4)),
    ("requests", |_, worker| worker.requests.to_string()),
    ("accepted", |_, worker| worker.accepted.to_string()),
    ("errors", |_, worker| worker.errors.to_string()),
    ("missed", |_, worker| worker.missed.to_string()),
    ("send_delay_p50_ms", |_, worker| whole(worker.send_delay_p50_us)),
    ("send_delay_p99_ms", |_, worker| whole(worker.send_delay_p99_us)),
    ("start_delay_ms", |_, worker| whole(worker.start_delay_us)),
    ("cpu_share", |_, worker| decimal(worker.cpu_share, 3)),
    ("clock_error_ms", |_, worker| whole(worker.clock_error_us.map(u64::from))),
    ("limited_by", |_, worker| worker.limited_by.clone().unwrap_or_default()),
    ("lost_s", |_, worker| decimal(worker.lost_us.map(|us| us as f64 / 1e6), 1)),
    ("lost_why", |_, worker| worker.lost_why.clone().unwrap_or_default()),
    ("rps", |level, worker| decimal(level.per_sec(worker.accepted), 1)),
];

/// `workers.tsv`.
pub(super) fn workers(report: &Report) -> Vec<u8> {
    table(report, COLUMNS, |level| &level.load.workers)
}

fn whole(us: Option<u64>) -> String {
    milliseconds(us.and_then(|us| i64::try_from(us).ok()))
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
