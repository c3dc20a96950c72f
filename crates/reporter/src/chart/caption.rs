//! The line under a title: which sweep this is, at which setting. Pure.

use analysis::Report;

/// Settings that a reader looks for first, in this order.
const FIRST: [&str; 5] = ["duration", "payload_bytes", "pipeline", "pushserver_args", "clock"];

const SEPARATOR: &str = " · ";

/// The sweep and as many settings as `fits` lets pass.
pub(super) fn caption(report: &Report, fits: impl Fn(&str) -> bool) -> String {
    let sampled = report.every.map_or_else(String::new, |every| format!("{SEPARATOR}1 in {every} sampled"));
    let mut caption = format!("{}{sampled}", report.sweep);
    for part in settings(report) {
        let longer = format!("{caption}{SEPARATOR}{part}");
        if !fits(&format!("{longer}{SEPARATOR}…")) {
            return format!("{caption}{SEPARATOR}…");
        }
        caption = longer;
    }
    caption
}

/// The important ones, then the others by name. Addresses stay out: they are long, and may hold a password.
fn settings(report: &Report) -> impl Iterator<Item = String> {
    let first = FIRST.iter().filter_map(|&name| report.settings.get_key_value(name));
    let others = report.settings.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()));
    // The sampling is told already, and the command line is the other settings once more.
    let told = ["every", "command"];
    let shown = first
        .chain(others)
        .filter(move |(name, value)| !told.contains(&name.as_str()) && !value.is_empty() && !value.contains("://"));
    shown.map(|(name, value)| format!("{name} {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::tests::report_of;

    #[test]
    fn important_settings_come_first_and_the_rest_is_cut() {
        let mut report = report_of(&[]);
        for (name, value) in
            [("arrivals", "open"), ("payload_bytes", "128"), ("redis", "redis://:secret@host"), ("note", "")]
        {
            report.settings.insert(name.to_owned(), value.to_owned());
        }
        let whole = "20261121-101500-k3f · 1 in 100 sampled · duration 10s · payload_bytes 128 · arrivals open";
        assert_eq!(caption(&report, |_| true), whole);
        let cut = caption(&report, |text| text.chars().count() <= 80);
        assert_eq!(cut, "20261121-101500-k3f · 1 in 100 sampled · duration 10s · payload_bytes 128 · …");
    }
}
