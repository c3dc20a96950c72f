//! What must hold, and what only shows in the plan as a whole.

use super::table::list;
use super::{Reader, listed};
use crate::model::{Amount, Plan, Rows, Share, Take, Threshold, UserKind};
use crate::problem::meant;
use crate::yaml::Node;

/// Steps of a load: as many as an id can tell apart.
const MOST_STEPS: usize = 2048;

/// Figures that only traced messages have.
const OF_MESSAGES: &str = "arrival user lost late in_flight duplicates reordered negative stamps_dropped backlog unstable \
    delivered capacity shed cpu";
const OF_STEPS: &[&str] = &["mean", "p50", "p90", "p95", "p99", "p999", "max", "errors"];

impl Reader<'_> {
    pub(super) fn thresholds(&mut self, node: &Node) -> Vec<Threshold> {
        list(node).iter().filter_map(|node| self.threshold(node)).collect()
    }

    /// `errors<1%`, `errors<1%,abort`, or a map with `threshold` and `abort`.
    fn threshold(&mut self, node: &Node) -> Option<Threshold> {
        let crate::yaml::Value::Map(_) = &node.value else {
            return Some(Threshold { text: self.constant(node)?, place: node.place });
        };
        let mut table = self.table(node, "a threshold")?;
        let text = table.take("threshold");
        let abort = table.take("abort");
        self.finish(table, "threshold abort");
        let Some(text) = text else {
            return self
                .refuse(node.place, "what must hold is missing: { threshold: \"errors<1%\", abort: after 10s }");
        };
        let abort = abort.and_then(|node| {
            self.parsed(node, "true, false, or a time such as after 10s", |text| match text {
                "true" => Some(",abort".to_owned()),
                "false" => Some(String::new()),
                text => {
                    let time = text.strip_prefix("after").unwrap_or(text).trim();
                    stamp::parse_duration(time).ok().map(|_| format!(",abort after {time}"))
                }
            })
        });
        Some(Threshold { text: format!("{}{}", self.constant(text)?, abort.unwrap_or_default()), place: text.place })
    }

    pub(super) fn check_whole(&mut self, plan: &Plan, has_target: bool) {
        let steps: Vec<_> = plan.steps().collect();
        if let Some(step) = steps.get(MOST_STEPS) {
            self.fault(step.place, format!("this is the {}th step: an id tells {MOST_STEPS} apart", MOST_STEPS + 1));
        }
        let relative = steps.iter().find(
            |step| matches!(step.url.parts.first(), Some(crate::model::Part::Literal(url)) if url.starts_with('/')),
        );
        if !has_target
            && plan.pipeline.is_none()
            && let Some(step) = relative
        {
            self.fault(
                step.place,
                "where this path is asked for is missing: give the plan a `target`, or the step a ${host.NAME}",
            );
        }
        self.check_rows(plan);
        let hold = plan.search.iter().flat_map(|search| &search.hold);
        for threshold in plan.thresholds.iter().chain(hold) {
            self.check_threshold(threshold, plan);
        }
    }

    /// A table whose rows users take each for themselves has one for each of them.
    fn check_rows(&mut self, plan: &Plan) {
        // Where rounds are due by a rate and nothing is said, there are no more users than rows.
        let users = match &plan.load.amount {
            Amount::Rates(_) => plan.load.max_users.unwrap_or(1),
            _ => plan.load.most_users(),
        };
        for (number, data) in plan.data.iter().enumerate() {
            let (Rows::Known { rows, .. }, Take::Unique) = (&data.rows, data.take) else { continue };
            let takers: u64 = plan
                .users
                .iter()
                .filter(|kind| kind.data.contains(&number))
                .map(|kind| of_kind(kind, plan, users))
                .sum();
            if rows.len() as u64 >= takers {
                continue;
            }
            let (place, source) = self.source_of(number);
            let set = if plan.params.contains_key("users") {
                format!("--set users={}", rows.len())
            } else {
                "fewer users".to_owned()
            };
            let remedy = format!("give more rows, {set}, or `take: circular`");
            self.fault(
                place,
                format!(
                    "{source} has {}, but {takers} users each take one: {remedy}",
                    stamp::counted(rows.len(), "row")
                ),
            );
        }
    }

    fn check_threshold(&mut self, threshold: &Threshold, plan: &Plan) {
        let Threshold { text, place } = threshold;
        let figure = figure_of(text);
        let (first, rest) = figure.split_once('.').map_or((figure, None), |(first, rest)| (first, Some(rest)));
        if matches!(first, "steps" | "rounds") {
            let Some((name, of)) = rest.and_then(|rest| rest.rsplit_once('.')) else {
                return self
                    .fault(*place, format!("{figure:?} names no figure: write steps.NAME.p99 or rounds.TASK.p99"));
            };
            let names: Vec<&str> = match first {
                "steps" => plan.steps().map(|step| step.name.as_str()).collect(),
                _ => plan.users.iter().flat_map(|kind| &kind.tasks).map(|task| task.name.as_str()).collect(),
            };
            let what = if first == "steps" { "step" } else { "task" };
            // The arrival latency of a step has figures of its own: steps.add.arrival.p99.
            let name = name.strip_suffix(".arrival").unwrap_or(name);
            if !names.contains(&name) {
                let remedy = meant(name, names.iter().copied())
                    .unwrap_or_else(|| format!("there are {}", listed(names.into_iter())));
                return self.fault(*place, format!("there is no {what} `{name}`: {remedy}"));
            }
            if !OF_STEPS.contains(&of) {
                let message = format!("`{of}` is no figure of a {what}: write one of {}", OF_STEPS.join(", "));
                return self.fault(*place, message);
            }
        } else if !self.input.traced
            && !plan.is_traced()
            && (OF_MESSAGES.split(' ').any(|figure| figure == first)
                || rest.is_some() && !["http", "response"].contains(&first))
        {
            let message = format!(
                "{figure} is a figure of traced messages, and this plan loads an API alone: give it a `pipeline`, name its log store with --redis, or take http.p99 or steps.NAME.p99"
            );
            self.fault(*place, message);
        }
        if let Some(why) = (self.input.threshold)(text) {
            self.fault(*place, why);
        } else if !text.contains(['<', '>', '=']) {
            self.fault(*place, format!("{text:?} compares nothing: write a figure, one of < <= > >= == !=, and a value, as in arrival.p99<50ms"));
        }
    }
}

/// What stands before the operator. Names of steps may hold any character: there, the last operator counts.
fn figure_of(text: &str) -> &str {
    let is_operator = |c: char| "<>=!".contains(c);
    let text = text.trim();
    if !text.starts_with("steps.") && !text.starts_with("rounds.") {
        return text.split(['<', '>', '=', '!', '@']).next().unwrap_or_default().trim();
    }
    let place = text.rsplit_once('@').filter(|(_, place)| place.trim_start().starts_with(['c', 'r']));
    let condition = place.map_or(text, |(condition, _)| condition);
    let end = condition.rfind(is_operator).unwrap_or(condition.len());
    condition[..end].trim_end_matches(is_operator).trim()
}

/// How many of all users are of this kind, at the most.
fn of_kind(kind: &UserKind, plan: &Plan, users: u32) -> u64 {
    let weight = |kind: &UserKind| match kind.share {
        Share::Weight(weight) => weight,
        Share::Count(_) => 0.0,
    };
    match kind.share {
        Share::Count(count) => count.into(),
        Share::Weight(own) => {
            let all: f64 = plan.users.iter().map(weight).sum();
            // Of a u32, it is below 2^53.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let users = (f64::from(users) * own / all).ceil() as u64;
            users
        }
    }
}
