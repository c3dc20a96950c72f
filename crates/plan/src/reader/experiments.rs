//! A search, and every combination of parameters.

use super::table::list;
use super::{Reader, listed};
use crate::model::{Search, SearchOver, Vary};
use crate::problem::meant;
use crate::yaml::{Key, Node};

const KEYS: &str = "over hold from to within trial most_trials";

/// What is raised.
const OVER: &[(&str, SearchOver)] = &[("rate", SearchOver::Rate), ("users", SearchOver::Users)];

/// A value of a parameter is shown in names of folders and tables.
const MOST_VALUES: usize = 1000;

impl Reader<'_> {
    pub(super) fn search(&mut self, node: &Node) -> Option<Search> {
        let mut table = self.table(node, "a search")?;
        let over = table.take("over").and_then(|node| self.word(node, OVER)).unwrap_or_default();
        let hold = table.take("hold").map(|node| self.thresholds(node)).unwrap_or_default();
        let mut load = |reader: &mut Self, key| {
            table.take(key).and_then(|node| match over {
                SearchOver::Rate => reader.rate(node),
                SearchOver::Users => reader.positive::<u32>(node).map(f64::from),
            })
        };
        let [from, to] = ["from", "to"].map(|key| load(self, key));
        let within = table.take("within").and_then(|node| self.share(node));
        let trial = table.take("trial").and_then(|node| self.lasting(node));
        let most_trials = table.take("most_trials").and_then(|node| self.positive(node));
        self.finish(table, KEYS);
        if hold.is_empty() {
            self.fault(
                node.place,
                "a search needs to know what must hold: hold: [ \"arrival.p99<50ms\", \"lost==0\" ]",
            );
        }
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            self.fault(node.place, format!("this search goes from {from} up to {to}: give a `to` above `from`"));
        }
        Some(Search { over, hold, from, to, within, trial, most_trials })
    }

    pub(super) fn vary(&mut self, vary: Option<&Node>, repeat: Option<(&Key, &Node)>) -> Option<Vary> {
        let Some(node) = vary else {
            if let Some((key, _)) = repeat {
                self.fault(
                    key.place,
                    "`repeat` here repeats the combinations of `vary`, and there are none: put it into `load`",
                );
            }
            return None;
        };
        let table = self.table(node, "vary")?;
        let mut params = Vec::new();
        for (key, values) in table.rest() {
            if !self.params.contains_key(&key.name) {
                let remedy = meant(&key.name, self.params.keys().map(String::as_str))
                    .unwrap_or_else(|| format!("`params` has {}", listed(self.params.keys().map(String::as_str))));
                self.fault(key.place, format!("`{}` is no parameter of the plan: {remedy}", key.name));
            }
            let values: Vec<String> = list(values).iter().filter_map(|value| self.constant(value)).collect();
            let mut seen = values.clone();
            seen.sort();
            seen.dedup();
            if values.is_empty() || values.len() > MOST_VALUES {
                self.fault(key.place, format!("`{}` takes 1 to {MOST_VALUES} values: write [1, 2, 4]", key.name));
            } else if seen.len() < values.len() {
                self.fault(
                    key.place,
                    format!("`{}` has a value twice: `repeat` runs each combination again", key.name),
                );
            }
            params.push((key.name.clone(), values));
        }
        if table.is_empty() {
            self.fault(
                node.place,
                "here is nothing that varies: write parameters with their values, such as workers: [1, 2, 4]",
            );
        }
        let repeat = repeat.and_then(|(_, node)| self.positive(node)).unwrap_or(1);
        Some(Vary { params, repeat })
    }

    /// `3%`, or `0.03`.
    fn share(&mut self, node: &Node) -> Option<f64> {
        let of_one = |share: &f64| (0.001..=1.0).contains(share);
        self.parsed(node, "a part such as 3% (0.1% to 100%)", |text| match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0).filter(of_one),
            None => text.parse().ok().filter(of_one),
        })
    }
}
