//! The file that says which spans are which stages.

use super::Reader;
use super::table::list;
use crate::input::Input;
use crate::model::{IdOf, RunOf, SpanMap, SpanRule, SpanTime};
use crate::names::Names;
use crate::problem::{Place, Problem, Problems};
use crate::secrets::Secrets;
use crate::yaml::{self, Node, Value};
use std::collections::BTreeMap;

const KEYS: &str = "run id clock stages";
const RULE: &str = "span service where at id";

/// The attribute that holds a message's id, by the semantic conventions.
const MESSAGE_ID: &str = "messaging.message.id";

impl SpanMap {
    /// Reads and checks a map.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(input: &Input<'_>) -> Result<Self, Problems> {
        let told = |problems| Problems::new(&input.name, input.text, problems, &Secrets::default());
        let root = yaml::parse(input.text).map_err(told)?;
        let Some(root) = root else {
            let place = Place { line: 1, column: 1, length: 1 };
            let message = "this file is empty: give `stages`, and which spans each of them is".to_owned();
            return Err(told(vec![Problem { place, message, hint: String::new() }]));
        };
        let mut reader = Reader::new(input, Names::default());
        let map = reader.span_map(&root);
        match map {
            Some(map) if reader.problems.is_empty() => Ok(map),
            _ => Err(reader.told()),
        }
    }
}

impl Reader<'_> {
    fn span_map(&mut self, root: &Node) -> Option<SpanMap> {
        let mut table = self.table(root, "a map of spans")?;
        let run = table.take("run").and_then(|node| self.run_of(node));
        let id = table.take("id").and_then(|node| self.id_of(node));
        let clock = table.take("clock").map(|node| self.clocks(node));
        let stages = table.take("stages");
        self.finish(table, KEYS);
        let Some(stages) = stages else {
            return self.refuse(root.place, "`stages` is missing: say which spans each stage is");
        };
        let (mut rules, faults) = (Vec::new(), self.problems.len());
        for (key, node) in self.table(stages, "`stages`")?.rest() {
            match key.name.parse() {
                Ok(stage) => rules.extend(self.rules_of(&stage, node)),
                Err(error) => self.fault(key.place, format!("{error}")),
            }
        }
        if rules.is_empty() && self.problems.len() == faults {
            self.fault(stages.place, "no stage is here: write `apiserver: { span: POST /orders }`");
        }
        let mut named: Vec<&stamp::Stage> = rules.iter().map(|rule: &SpanRule| &rule.stage).collect();
        named.dedup();
        if named.len() > stamp::MOST_STAGES {
            let message = format!("{} stages are here: one receiver takes at most {}", named.len(), stamp::MOST_STAGES);
            self.fault(stages.place, message);
        }
        Some(SpanMap {
            run: run.unwrap_or_else(|| RunOf::Named(stamp::RunId::adhoc())),
            id: id.unwrap_or_else(|| IdOf::Attribute(MESSAGE_ID.to_owned())),
            clock: clock.unwrap_or_else(|| SpanMap::CLOCK.map(str::to_owned).to_vec()),
            rules,
        })
    }

    /// A name, or `{ attribute: NAME }`.
    fn run_of(&mut self, node: &Node) -> Option<RunOf> {
        if let Value::Map(_) = &node.value {
            let mut table = self.table(node, "`run`")?;
            let attribute = table.take("attribute").and_then(|node| self.attribute(node));
            self.finish(table, "attribute");
            return attribute.map(RunOf::Attribute);
        }
        let name = self.constant(node)?;
        name.parse()
            .map(RunOf::Named)
            .map_err(|error: stamp::InvalidRunId| self.fault(node.place, error.to_string()))
            .ok()
    }

    /// Attributes, the most important one first.
    fn clocks(&mut self, node: &Node) -> Vec<String> {
        let clocks: Vec<String> = list(node).iter().filter_map(|node| self.attribute(node)).collect();
        if clocks.is_empty() {
            self.fault(node.place, "no attribute is here: write `clock: host.name`, or leave it out");
        }
        clocks
    }

    /// The name of an attribute.
    fn attribute(&mut self, node: &Node) -> Option<String> {
        let name = self.constant(node)?;
        if name.is_empty() {
            return self.refuse(node.place, "this is the name of an attribute, and empty");
        }
        Some(name)
    }

    /// An attribute's name, `trace_id`, or `{ hash: NAME }`.
    fn id_of(&mut self, node: &Node) -> Option<IdOf> {
        if let Value::Map(_) = &node.value {
            let mut table = self.table(node, "`id`")?;
            let hash = table.take("hash").and_then(|node| self.attribute(node));
            self.finish(table, "hash");
            return hash.map(IdOf::Hash);
        }
        Some(match self.attribute(node)?.as_str() {
            "trace_id" => IdOf::TraceId,
            name => IdOf::Attribute(name.to_owned()),
        })
    }

    /// One rule, or several of which the first that fits counts.
    fn rules_of(&mut self, stage: &stamp::Stage, node: &Node) -> Vec<SpanRule> {
        list(node).iter().filter_map(|node| self.span_rule(stage, node)).collect()
    }

    fn span_rule(&mut self, stage: &stamp::Stage, node: &Node) -> Option<SpanRule> {
        let mut table = self.table(node, "a stage's spans")?;
        let [span, service] = ["span", "service"].map(|key| table.take(key).and_then(|node| self.constant(node)));
        let attributes = table.take("where").map(|node| self.attributes(node)).unwrap_or_default();
        let at = table.take("at").and_then(|node| {
            self.parsed(node, "`start` or `end`", |text| match text {
                "start" => Some(SpanTime::Start),
                "end" => Some(SpanTime::End),
                _ => None,
            })
        });
        let id = table.take("id").and_then(|node| self.id_of(node));
        self.finish(table, RULE);
        if span.is_none() && service.is_none() && attributes.is_empty() {
            self.fault(node.place, format!("every span would be {stage}: give `span`, `service` or `where`"));
        }
        Some(SpanRule { stage: stage.clone(), span, service, attributes, at: at.unwrap_or_default(), id })
    }

    fn attributes(&mut self, node: &Node) -> BTreeMap<String, String> {
        let Some(table) = self.table(node, "`where`") else { return BTreeMap::new() };
        table.rest().filter_map(|(key, value)| Some((key.name.clone(), self.constant(value)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SpanMap, String> {
        SpanMap::read(&Input::new("map.yaml", text)).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_map_is_read() {
        let map = read(
            "run: { attribute: stampede.run }\nid: order.id\nstages:\n  apiserver: { span: POST /orders, at: end }\n  \
             worker:\n    - span: process *\n      service: billing\n      id: trace_id\n    - where: { messaging.operation.type: process }\n      \
             id: { hash: message.uuid }\n",
        )
        .unwrap();
        assert_eq!((map.run, map.id), (RunOf::Attribute("stampede.run".into()), IdOf::Attribute("order.id".into())));
        assert_eq!(map.rules.len(), 3);
        assert_eq!((map.rules[0].at, map.rules[0].id.clone()), (SpanTime::End, None));
        assert_eq!((map.rules[1].service.as_deref(), map.rules[1].id.clone()), (Some("billing"), Some(IdOf::TraceId)));
        assert_eq!(map.rules[2].id, Some(IdOf::Hash("message.uuid".into())));
        assert_eq!(map.clock, SpanMap::CLOCK);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let told = |text: &str| read(text).unwrap_err();
        insta::assert_snapshot!(told(""), @"map.yaml:1:1: this file is empty: give `stages`, and which spans each of them is");
        insta::assert_snapshot!(told("run: a b\nstage: {}\n"), @r#"
        map.yaml:1:1: `stages` is missing: say which spans each stage is
         1 | run: a b
           | ^
        map.yaml:1:6: run "a b" is invalid: use 1 to 64 characters of A-Z a-z 0-9 . _ -
         1 | run: a b
           |      ^^^
        map.yaml:2:1: `stage` is no key of a map of spans: did you mean `stages`?
         2 | stage: {}
           | ^^^^^
        "#);
        insta::assert_snapshot!(told("stages:\n  API: { span: x }\n  api: {}\n  b: { span: x, at: middle, name: y }\n"), @r#"
        map.yaml:2:3: stage "API" is invalid: use 1 to 32 characters of a-z 0-9 _ -, starting with a letter
         2 |   API: { span: x }
           |   ^^^
        map.yaml:3:8: every span would be api: give `span`, `service` or `where`
         3 |   api: {}
           |        ^
        map.yaml:4:21: "middle" is not `start` or `end`
         4 |   b: { span: x, at: middle, name: y }
           |                     ^^^^^^
        map.yaml:4:29: `name` is no key of a stage's spans: it has span, service, where, at, id
         4 |   b: { span: x, at: middle, name: y }
           |                             ^^^^
        "#);
        let stages =
            |number| (0..number).fold(String::new(), |text, stage| text + &format!("  s{stage}: {{ span: x }}\n"));
        assert!(read(&format!("stages:\n{}", stages(32))).is_ok());
        insta::assert_snapshot!(told(&format!("stages:\n{}", stages(33))), @r"
        map.yaml:2:3: 33 stages are here: one receiver takes at most 32
         2 |   s0: { span: x }
           |   ^
        ");
        insta::assert_snapshot!(told("stages: { A: { span: x } }"), @r#"
        map.yaml:1:11: stage "A" is invalid: use 1 to 32 characters of a-z 0-9 _ -, starting with a letter
         1 | stages: { A: { span: x } }
           |           ^
        "#);
        insta::assert_snapshot!(told("stages: {}"), @r"
        map.yaml:1:9: no stage is here: write `apiserver: { span: POST /orders }`
         1 | stages: {}
           |         ^
        ");
    }
}
