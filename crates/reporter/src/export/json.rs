//! `report.json`, `compare.json` and `vary.json`: what they tell, field by field. docs/report.schema.json is the shape of a report.

use serde::Serialize;

pub(super) fn render(told: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(told)?;
    json.push(b'\n');
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::report_of;
    use analysis::{
        Capacity, Cutoff, Interval, Knee, LittleLaw, Load, QueueDepth, Report, Slice, Tail, TailHop, ThresholdVerdict,
        Usage, Usl, Weakest,
    };
    use serde_json::Value;

    /// Gives what a fixture need not have to a report: every list has an entry and every field that may be absent is there.
    fn fill(report: &mut Report) {
        let stage = report.path[1].clone();
        let [first, ..] = &mut report.levels[..] else { panic!("no level") };
        first.load.generator_limited = Some("its thread was busy".to_owned());
        first.load.interrupted_us = Some(3_000_000);
        first.load.rate = Some(0.5);
        first.load.clock_steps = vec![stamp::ClockStep { at: "5.000000".to_owned(), size: -7, err: 3 }];
        first.load.span_us = Some((-5, 9));
        first.load.cutoff = Some(Cutoff { at_us: 5, moving: true, queue: 3, arrived: 9 });
        let (component, instance) = ("redis".to_owned(), String::new());
        first.load.usage =
            vec![Usage { component, instance, cpu_us: 5, wall_us: 9, cores: 1.0, memory_bytes: Some(7) }];
        first.load.queue = vec![QueueDepth { at_us: 5, messages: 7 }];
        first.load.http.as_mut().unwrap().errors.insert("timeout".to_owned(), 3);
        first.arrival.ci95.p99 = Some(Interval { low_us: -3, high_us: None, effective_count: 9 });
        (first.hops[0].service_us, first.hops[0].wait_us) = (Some(1.5), Some(2.5));
        first.books.lost_by_hop = vec![(stage.clone(), -3)];
        first.traces.missing = vec![(stage.clone(), 3)];
        first.stability.unstable = Some("the queue grew".to_owned());
        first.stability.growing = Some(stage.clone());
        first.little = vec![LittleLaw {
            scope: "http".to_owned(),
            in_flight: 1.0,
            rate_per_sec: 9.0,
            latency_us: 7.0,
            ratio: 1.5,
            off: true,
        }];
        let hops = vec![TailHop { stage: stage.clone(), share: 0.5, share_of_all: 0.1 }];
        first.tail = Some(Tail { slowest: 0.01, messages: 9, from_us: -1, hops });
        first.curve = vec![analysis::CurvePoint { quantile: 0.5, us: -3 }];
        first.timeline.slices = vec![Slice { p50_us: Some(5), bins: vec![3, 0, 1], ..Slice::default() }];
        let findings = &mut report.findings;
        findings.verdict = vec!["It does.".to_owned()];
        findings.capacity =
            Some(Capacity { position: 1.0, delivered_per_sec: 8000.5, p99_us: 7, doubtful: true, bounded: false });
        findings.weakest = Some(Weakest {
            position: None,
            hop: stage.clone(),
            from: report.path[0].clone(),
            overloaded: true,
            compared: true,
            share: 0.5,
            saturated: Some("redis".to_owned()),
            utilization: Some(0.99),
            rival: None,
        });
        findings.knees = vec![Knee { of: "throughput".to_owned(), position: 2.0, value: 9.0, share: 0.9 }];
        report.thresholds = vec![ThresholdVerdict {
            threshold: "lost==0".to_owned(),
            held: false,
            measured: Some(3.0),
            is_time: false,
            at: Some("c=1".to_owned()),
            not_measured: Some("at c=2 nobody looked".to_owned()),
        }];
    }

    fn validator() -> jsonschema::Validator {
        let schema: Value = serde_json::from_str(include_str!("../../../../docs/report.schema.json")).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    }

    fn check(report: &Report) {
        let json: Value = serde_json::from_slice(&render(report).unwrap()).unwrap();
        let validator = validator();
        let faults: Vec<_> =
            validator.iter_errors(&json).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }

    #[test]
    fn the_json_is_what_its_schema_says() {
        let mut report = report_of(&[1, 2, 3, 4, 5, 6, 7, 8]);
        report.conclude(Vec::new());
        check(&report);
        fill(&mut report);
        check(&report);
        report.findings.usl = Usl::Refused("too few".to_owned());
        report.levels[0].load = Load::foreign("monday".parse().unwrap());
        check(&report);
        report.levels.clear();
        check(&report);
    }

    #[test]
    fn what_the_schema_does_not_know_is_a_fault() {
        let validator = validator();
        let mut json = serde_json::to_value(report_of(&[1])).unwrap();
        assert!(validator.is_valid(&json));
        json["levels"][0]["traces"]["more"] = 5.into();
        assert!(!validator.is_valid(&json));
    }

    #[test]
    fn it_is_read_back_as_it_was_but_for_the_histograms() {
        let mut report = report_of(&[1, 2]);
        fill(&mut report);
        let found: Report = serde_json::from_slice(&render(&report).unwrap()).unwrap();
        for level in &mut report.levels {
            level.histograms = analysis::Histograms::default();
        }
        assert_eq!(found, report);
    }
}
