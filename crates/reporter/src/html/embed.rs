//! The report's data inside the page, for those who get the page alone.

use analysis::{Report, Timeline};
use stamp::mask;

/// A page with more data than this is slow to open, bytes.
const MOST: usize = 600_000;

/// The report as JSON.
#[derive(Debug)]
pub(super) struct Data {
    /// As it stands in a script element: nothing in it ends that.
    pub(super) json: String,
    /// What is not in it; may be empty.
    pub(super) without: &'static str,
}

/// The report as compact JSON without logins; absent where it is too large even without the parts that pictures alone need.
pub(super) fn data(report: &Report) -> Result<Option<Data>, serde_json::Error> {
    let mut report = report.clone();
    for value in report.settings.values_mut().chain(report.environment.values_mut()) {
        *value = mask(value).into_owned();
    }
    let whole = json(&report)?;
    if whole.len() <= MOST {
        return Ok(Some(Data { json: whole, without: "" }));
    }
    for level in &mut report.levels {
        level.timeline = Timeline::default();
    }
    let rest = json(&report)?;
    Ok((rest.len() <= MOST).then_some(Data { json: rest, without: "without the timelines" }))
}

fn json(report: &Report) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(report)?.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::Slice;
    use analysis::fixture::report_of;

    #[test]
    fn nothing_ends_the_element_and_no_login_is_told() {
        let mut report = report_of(&[1]);
        report.settings.insert("x".to_owned(), "</script><!-- redis://me:secret@host/".to_owned());
        let data = data(&report).unwrap().unwrap();
        assert!(!data.json.contains('<') && !data.json.contains("secret"), "{}", data.json);
        let back: Report = serde_json::from_str(&data.json).unwrap();
        assert_eq!(back.settings["x"], "</script><!-- redis://***@host/");
    }

    #[test]
    fn a_large_report_goes_without_its_timelines_and_a_huge_one_without_data() {
        let mut report = report_of(&[1]);
        report.levels[0].timeline.slices = vec![Slice { bins: vec![1_000_000; 60], ..Slice::default() }; 2_000];
        assert_eq!(data(&report).unwrap().unwrap().without, "without the timelines");
        report.settings.insert("x".to_owned(), "y".repeat(MOST));
        assert!(data(&report).unwrap().is_none());
    }
}
