//! How much load there is.

use super::Reader;
use super::table::list;
use crate::model::{Amount, Arrivals, Load, Search, SearchOver, Stage};
use crate::yaml::{Key, Node};

const KEYS: &str = "users spawn rate max_users arrivals stages levels rates warmup duration requests repeat timeout \
    seed";

/// How rounds are spaced.
const ARRIVALS: &[(&str, Arrivals)] = &[("constant", Arrivals::Constant), ("poisson", Arrivals::Poisson)];

/// What measures load out: there is one of them.
const AMOUNTS: [&str; 5] = ["users", "rate", "stages", "levels", "rates"];

/// What some options belong to.
const OF_USERS: &[&str] = &["users", "levels"];
const OF_RATES: &[&str] = &["rate", "rates"];

/// An option, where it is given, and the amounts that it belongs to.
type Fit<'a> = (Option<(&'a Key, &'a Node)>, &'static [&'static str]);

impl Reader<'_> {
    pub(super) fn load(&mut self, node: &Node, search: Option<&Search>) -> Load {
        let Some(mut table) = self.table(node, "a load") else { return Load::default() };
        let amounts: Vec<(&Key, &Node)> = AMOUNTS.iter().filter_map(|key| table.take_pair(key)).collect();
        let [spawn, max_users, arrivals] = ["spawn", "max_users", "arrivals"].map(|key| table.take_pair(key));
        let mut load = Load {
            amount: Amount::default(),
            spawn: spawn.and_then(|(_, node)| self.rate(node)),
            max_users: max_users.and_then(|(_, node)| self.positive(node)),
            arrivals: arrivals.and_then(|(_, node)| self.word(node, ARRIVALS)).unwrap_or_default(),
            warmup: table.take("warmup").and_then(|node| self.time(node)),
            duration: table.take("duration").and_then(|node| self.lasting(node)),
            requests: table.take("requests").and_then(|node| self.positive(node)),
            repeat: table.take("repeat").and_then(|node| self.positive(node)).unwrap_or(1),
            timeout: table.take("timeout").and_then(|node| self.lasting(node)),
            seed: table.take("seed").and_then(|node| self.whole(node)),
        };
        self.finish(table, KEYS);
        let over = match search.map(|search| search.over) {
            Some(SearchOver::Rate) => Some("rate"),
            Some(SearchOver::Users) => Some("users"),
            None => None,
        };
        if let (Some(_), Some((key, _))) = (over, amounts.first()) {
            self.fault(key.place, format!("`search` finds how much load there is: leave `{}` out", key.name));
            return load;
        }
        if let Some(over) = over {
            self.check_fit(over, &[(spawn, OF_USERS), (max_users, OF_RATES), (arrivals, OF_RATES)]);
            return load;
        }
        let Some(&(key, amount)) = amounts.first() else {
            self.fault(
                node.place,
                format!("this does not say how much load there is: give one of {}", AMOUNTS.join(", ")),
            );
            return load;
        };
        if let Some((other, _)) = amounts.get(1) {
            self.fault(
                other.place,
                format!("load is measured out by `{}` or by `{}`, not by both: leave one out", key.name, other.name),
            );
        }
        self.check_fit(&key.name, &[(spawn, OF_USERS), (max_users, OF_RATES), (arrivals, OF_RATES)]);
        let amount = match key.name.as_str() {
            "users" => self.positive(amount).map(|users| Amount::Users(vec![users])),
            "rate" => self.rate(amount).map(|rate| Amount::Rates(vec![rate])),
            "stages" => {
                if load.duration.is_some() {
                    self.fault(amount.place, "stages last as long as they say: leave `duration` out");
                }
                Some(Amount::Stages(self.stages(amount)))
            }
            "levels" | "rates" if list(amount).is_empty() => {
                self.refuse(amount.place, format!("here are no {}: write one at least", key.name))
            }
            "levels" => Some(Amount::Users(self.levels(amount))),
            _ => Some(Amount::Rates(list(amount).iter().filter_map(|node| self.rate(node)).collect())),
        };
        load.amount = amount.unwrap_or_default();
        load
    }

    /// Refuses what does nothing beside this amount.
    fn check_fit(&mut self, amount: &str, options: &[Fit<'_>]) {
        for (option, fits) in options {
            if let Some((option, _)) = option
                && !fits.contains(&amount)
            {
                self.fault(
                    option.place,
                    format!("`{}` does nothing beside `{amount}`: it belongs to {}", option.name, fits.join(" and ")),
                );
            }
        }
    }

    /// `[1, 2, 4]`, or a range `1..20`.
    fn levels(&mut self, node: &Node) -> Vec<u32> {
        let mut levels = Vec::new();
        for node in list(node) {
            let Some(text) = self.constant(node) else { continue };
            let (first, last) = text.split_once("..").unwrap_or((&text, &text));
            match (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
                (Ok(first @ 1..), Ok(last)) if first <= last && last - first < 10_000 => levels.extend(first..=last),
                _ => self.fault(
                    node.place,
                    format!("{text:?} is no level: write numbers of users, as in [1, 5, 20] or 1..20"),
                ),
            }
        }
        levels
    }

    fn stages(&mut self, node: &Node) -> Vec<Stage> {
        let mut stages = Vec::new();
        for node in self.list_of(node, "stages") {
            let Some(mut table) = self.table(node, "a stage") else { continue };
            let (to, over) =
                (table.take("to").map(|node| self.whole(node)), table.take("over").map(|node| self.lasting(node)));
            self.finish(table, "to over");
            match (to, over) {
                (Some(to), Some(over)) => stages.extend(to.zip(over).map(|(to, over)| Stage { to, over })),
                _ => {
                    self.fault(node.place, "a stage says to how many users, and over how long: { to: 100, over: 30s }");
                }
            }
        }
        if stages.is_empty() && list(node).is_empty() {
            self.fault(node.place, "here are no stages: write { to: 100, over: 30s }");
        }
        stages
    }
}
