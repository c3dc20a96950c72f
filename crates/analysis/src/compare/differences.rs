//! The settings in which sweeps differ, and where they were measured. Pure.

use crate::Report;
use serde::Serialize;
use stamp::mask;
use std::collections::{BTreeMap, BTreeSet};

/// One setting that is not the same everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The setting's name.
    pub setting: String,
    /// One for each series, in their order; absent where a series does not know the setting.
    pub values: Vec<Option<String>>,
}

/// What differs between these groups of reports, by the setting's name. Where the reports of one group differ among themselves,
/// its value names all of theirs.
pub(crate) fn between(groups: &[(&str, Vec<&Report>)]) -> Vec<Difference> {
    let settings: Vec<Vec<BTreeMap<String, String>>> =
        groups.iter().map(|(_, reports)| reports.iter().map(|report| settings(report)).collect()).collect();
    let names: BTreeSet<&String> = settings.iter().flatten().flat_map(BTreeMap::keys).collect();
    let differs = |name: &str| settings.iter().flatten().map(|one| one.get(name)).collect::<BTreeSet<_>>().len() > 1;
    let value = |name: &str, group: &Vec<BTreeMap<String, String>>| {
        let values: BTreeSet<&str> = group.iter().filter_map(|one| one.get(name)).map(String::as_str).collect();
        (!values.is_empty()).then(|| values.into_iter().collect::<Vec<_>>().join("; "))
    };
    let difference = |name: &String| Difference {
        setting: name.clone(),
        values: settings.iter().map(|group| value(name, group)).collect(),
    };
    names.into_iter().filter(|name| differs(name)).map(difference).collect()
}

/// The settings of one report, as they may be shown, with what it tells about them elsewhere.
fn settings(report: &Report) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> =
        report.settings.iter().map(|(name, value)| (name.clone(), mask(value).into_owned())).collect();
    // It says in one line what the others say one by one.
    settings.remove("command");
    // A local stack takes whatever port is free.
    if settings.get("pipeline").is_some_and(|pipeline| pipeline == "local stack") {
        settings.remove("target");
    }
    // A service's own entry carries the name of its process, which is another one each time.
    let of_services = |name: &String| name.starts_with("service_");
    settings.extend(
        report
            .environment
            .iter()
            .filter(|(name, _)| !of_services(name))
            .map(|(name, value)| (name.clone(), mask(value).into_owned())),
    );
    settings.extend(report.every.map(|every| ("every".to_owned(), every.to_string())));
    let path: Vec<String> = report.path.iter().map(ToString::to_string).collect();
    settings.insert("path".to_owned(), path.join(","));
    settings
}

#[cfg(test)]
mod tests {
    use crate::Comparison;
    use crate::fixture::labelled;

    #[test]
    fn settings_that_are_not_the_same_everywhere() {
        let mut reports = labelled(&["a", "b", "b"], &[1]);
        let values = [
            ["--batch 1", "http://127.0.0.1:4001", "7"],
            ["", "http://127.0.0.1:4002", "7"],
            ["", "http://127.0.0.1:4003", "8"],
        ];
        for ((_, report), [arguments, target, seed]) in reports.iter_mut().zip(values) {
            let settings =
                [("pushserver_args", arguments), ("target", target), ("seed", seed), ("pipeline", "local stack")];
            report.settings.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        reports[0].1.settings.remove("duration");
        reports[0].1.every = Some(10);
        for ((_, report), kernel) in reports.iter_mut().zip(["Linux 6.1", "Linux 6.9", "Linux 6.9"]) {
            report.environment.insert("kernel".to_owned(), kernel.to_owned());
            report.environment.insert(format!("service_apiserver_{}", report.sweep), "0.1.0".to_owned());
        }
        let differences = Comparison::new(&reports).unwrap().differences;
        let found: Vec<_> = differences.iter().map(|one| (one.setting.as_str(), one.values.clone())).collect();
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(
            found,
            [
                ("duration", vec![None, text("10s")]),
                ("every", vec![text("10"), text("100")]),
                ("kernel", vec![text("Linux 6.1"), text("Linux 6.9")]),
                ("pushserver_args", vec![text("--batch 1"), text("")]),
                ("seed", vec![text("7"), text("7; 8")]),
            ]
        );
    }
}
