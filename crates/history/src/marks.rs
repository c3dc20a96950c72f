//! What tells a row apart from the others of its plan.

use crate::Row;
use std::collections::{BTreeMap, BTreeSet};

/// Why a row's figures cannot be compared with those of the newest, or not without a thought.
pub(crate) fn marks(row: &Row, newest: &Row) -> Vec<&'static str> {
    let host = (row.host.id != newest.host.id).then_some("other host");
    let version = (row.versions != newest.versions).then_some("other version");
    host.into_iter().chain(version).collect()
}

/// The newest row of each plan.
pub(crate) fn newest<'a>(rows: &[&'a Row]) -> BTreeMap<&'a str, &'a Row> {
    rows.iter().map(|row| (row.plan.name.as_str(), *row)).collect()
}

/// Parameters of each row whose values differ within its plan.
pub(crate) fn differing(rows: &[&Row]) -> Vec<String> {
    let mut values: BTreeMap<(&str, &str), BTreeSet<Option<&str>>> = BTreeMap::new();
    let names: BTreeSet<(&str, &str)> =
        rows.iter().flat_map(|row| all(row).map(|(name, _)| (row.plan.name.as_str(), name))).collect();
    for row in rows {
        for &(plan, name) in names.iter().filter(|(plan, _)| *plan == row.plan.name) {
            let value = all(row).find(|(other, _)| *other == name).map(|(_, value)| value);
            values.entry((plan, name)).or_default().insert(value);
        }
    }
    let differs =
        |row: &Row, name: &str| values.get(&(row.plan.name.as_str(), name)).is_some_and(|values| values.len() > 1);
    rows.iter()
        .map(|row| {
            let mut told: Vec<String> = all(row)
                .filter(|(name, _)| differs(row, name))
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            told.dedup();
            told.join(" ")
        })
        .collect()
}

/// Parameters, and those that a combination adds.
fn all(row: &Row) -> impl Iterator<Item = (&str, &str)> {
    let more = row.combination.iter().flatten().filter(|(name, _)| !row.params.contains_key(*name));
    row.params.iter().chain(more).map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The last row before this one, at `at`, whose figures can be set beside its own.
pub(crate) fn before<'a>(rows: &[&'a Row], at: usize) -> Option<&'a Row> {
    let row = rows[at];
    rows[..at].iter().rev().copied().find(|other| other.series() == row.series() && other.host.id == row.host.id)
}

/// How a figure has changed since the row before: `+3.1 %`.
pub(crate) fn change(name: &str, row: &Row, before: Option<&Row>) -> String {
    let (Some(now), Some(then)) = (row.figures.get(name), before.and_then(|row| row.figures.get(name))) else {
        return String::new();
    };
    if !now.is_comparable(then) || then.value <= 0.0 {
        return String::new();
    }
    in_percent(now.value / then.value)
}

/// A factor as a change: `+3.1 %`.
pub(crate) fn in_percent(factor: f64) -> String {
    format!("{:+.1} %", (factor - 1.0) * 100.0).replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn what_differs_is_told() {
        let mut rows = [row("a", 1, 100.0, 1.0), row("a", 2, 103.0, 1.0), row("b", 3, 1.0, 1.0)];
        for (row, n) in rows.iter_mut().zip(["1", "2", "3"]) {
            row.params = [("n".to_owned(), n.to_owned()), ("same".to_owned(), "x".to_owned())].into();
        }
        rows[0].host.id = "other".to_owned();
        rows[0].versions.insert("redis".to_owned(), "6".to_owned());
        let rows: Vec<&Row> = rows.iter().collect();
        assert_eq!(differing(&rows), ["n=1", "n=2", ""]);
        let newest = newest(&rows);
        assert_eq!(marks(rows[0], newest["a"]), ["other host", "other version"]);
        assert!(marks(rows[1], newest["a"]).is_empty() && before(&rows, 1).is_none());
        assert_eq!(change("capacity", rows[1], Some(rows[0])), "+3.0 %");
        assert_eq!(change("capacity", rows[0], Some(rows[1])), "−2.9 %");
        assert_eq!(change("none", rows[0], Some(rows[1])), "");
    }
}
