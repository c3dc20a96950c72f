//! JUnit XML: the verdicts on thresholds, as CI servers show them.

use crate::xml;
use analysis::{Report, ThresholdVerdict};
use std::fmt::Write;

/// One test case for each threshold.
pub(crate) fn junit(report: &Report) -> String {
    let sweep = escaped(&report.sweep);
    let (tests, failures) = (report.thresholds.len(), report.thresholds.iter().filter(|verdict| !verdict.held).count());
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    // Writing to a String cannot fail.
    let _ = writeln!(xml, "<testsuites tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">");
    let _ = writeln!(
        xml,
        "  <testsuite name=\"stampede {sweep}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">"
    );
    for verdict in &report.thresholds {
        test_case(&mut xml, verdict);
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

fn test_case(xml: &mut String, verdict: &ThresholdVerdict) {
    let (name, told) = (escaped(&verdict.threshold), escaped(&verdict.told()));
    let _ = write!(xml, "    <testcase classname=\"stampede.thresholds\" name=\"{name}\">");
    let _ = if verdict.held {
        writeln!(xml, "<system-out>{told}</system-out></testcase>")
    } else {
        writeln!(xml, "<failure type=\"threshold\" message=\"{told}\">{name}: {told}</failure></testcase>")
    };
}

/// In one line.
fn escaped(text: &str) -> String {
    xml::escaped(&text.replace(char::is_control, " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::report_of;

    #[test]
    fn a_test_case_for_each_threshold() {
        let mut report = report_of(&[1, 2]);
        let verdict = |threshold: &str, held: bool, measured: Option<f64>| ThresholdVerdict {
            threshold: threshold.to_owned(),
            held,
            measured,
            is_time: threshold.starts_with("arrival"),
            at: measured.map(|_| "c=2".to_owned()),
            not_measured: measured.is_none().then(|| "the \"log\" & more".to_owned()),
        };
        report.thresholds = vec![
            verdict("arrival.p99<1ms", false, Some(2500.0)),
            verdict("lost==0", true, Some(0.0)),
            verdict("cpu<9us", false, None),
        ];
        insta::assert_snapshot!(junit(&report), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites tests="3" failures="2" errors="0">
          <testsuite name="stampede 20261121-101500-k3f" tests="3" failures="2" errors="0" skipped="0">
            <testcase classname="stampede.thresholds" name="arrival.p99&lt;1ms"><failure type="threshold" message="2.500 ms at c=2">arrival.p99&lt;1ms: 2.500 ms at c=2</failure></testcase>
            <testcase classname="stampede.thresholds" name="lost==0"><system-out>0 at c=2</system-out></testcase>
            <testcase classname="stampede.thresholds" name="cpu&lt;9us"><failure type="threshold" message="not measured: the &quot;log&quot; &amp; more">cpu&lt;9us: not measured: the &quot;log&quot; &amp; more</failure></testcase>
          </testsuite>
        </testsuites>
        "#);
    }
}
