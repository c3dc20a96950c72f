//! Kinds of users, and what is done before and after all of them.

use super::Reader;
use super::table::list;
use crate::model::{Hook, OnFailure, Share, Step, StepOrHook, Task, Text, UserKind, Value};
use crate::names::{Here, Section, get};
use crate::problem::{Place, meant};
use crate::text::is_name;
use crate::yaml::Node;
use std::collections::BTreeSet;
use std::time::Duration;

const KIND: &str = "weight count data think pace headers keep retry cookies on_start tasks on_stop on_failure";
const TASK: &str = "weight steps";

/// How long a command may take unless its plan says otherwise.
const HOOK_WITHIN: Duration = Duration::from_secs(60);

impl Reader<'_> {
    pub(super) fn setup(&mut self, node: &Node) -> Vec<StepOrHook> {
        self.once(node, Section::Setup)
    }

    pub(super) fn teardown(&mut self, node: &Node) -> Vec<StepOrHook> {
        self.once(node, Section::Teardown)
    }

    fn once(&mut self, node: &Node, section: Section) -> Vec<StepOrHook> {
        let here = Here { section, kind: None, task: None, place: node.place };
        let nodes = self.list_of(node, "steps and commands");
        let read = |node| match get(node, "command") {
            Some(_) => self.hook(node).map(StepOrHook::Hook),
            None => self.step(node, here).map(StepOrHook::Step),
        };
        nodes.iter().filter_map(read).collect()
    }

    /// `command: …`, or the command alone.
    pub(super) fn hook(&mut self, node: &Node) -> Option<Hook> {
        if matches!(node.value, crate::yaml::Value::Scalar { .. }) {
            return self.command(node).map(|command| Hook { command, within: HOOK_WITHIN });
        }
        let mut table = self.table(node, "a command")?;
        table.take("name");
        let command = table.take("command").and_then(|node| self.command(node));
        let within = table.take("within").and_then(|node| self.lasting(node)).unwrap_or(HOOK_WITHIN);
        self.finish(table, "command within name");
        Some(Hook { command: command?, within })
    }

    pub(super) fn command(&mut self, node: &Node) -> Option<String> {
        let command = self.constant(node)?;
        if command.trim().is_empty() {
            return self.refuse(node.place, "this command is empty: write one for the shell");
        }
        Some(command)
    }

    pub(super) fn users(&mut self, node: &Node) -> Vec<UserKind> {
        let Some(table) = self.table(node, "users") else { return Vec::new() };
        if table.is_empty() {
            self.fault(node.place, "here are no users: name a kind of them, or leave `users` out");
        }
        let kinds: Vec<UserKind> =
            table.rest().filter_map(|(key, node)| self.kind(&key.name, key.place, node)).collect();
        let weighed = kinds.iter().any(|kind| matches!(kind.share, Share::Weight(_)));
        let counted = kinds.iter().any(|kind| matches!(kind.share, Share::Count(_)));
        if weighed && counted {
            self.fault(
                node.place,
                "some kinds of users have a count, and others a weight: give all of them one or the other",
            );
        }
        kinds
    }

    fn kind(&mut self, name: &str, place: Place, node: &Node) -> Option<UserKind> {
        self.check_name(name, place);
        let mut table = self.table(node, "a kind of user")?;
        let here = |section| Here { section, kind: Some(name), task: None, place: node.place };
        let (weight, count) = (table.take("weight"), table.take_pair("count"));
        if let (Some(_), Some((key, _))) = (weight, count) {
            self.fault(key.place, "users have a weight or a count, not both: leave one out");
        }
        let share = match count {
            Some((_, node)) => self.positive(node).map(Share::Count),
            None => weight.and_then(|node| self.weight(node)).map(Share::Weight),
        };
        let mut data = Vec::new();
        for node in table.take("data").map(list).unwrap_or_default() {
            let Some(table) = self.constant(node) else { continue };
            if let Some(number) = self.data.iter().position(|data| data.name == table) {
                data.push(number);
                continue;
            }
            let remedy = meant(&table, self.data.iter().map(|data| data.name.as_str()))
                .unwrap_or_else(|| "describe it under `data`".to_owned());
            self.fault(node.place, format!("there is no data `{table}`: {remedy}"));
        }
        let tasks = table.take_pair("tasks");
        let mut kind = UserKind {
            name: name.to_owned(),
            share: share.unwrap_or(Share::Weight(1.0)),
            data,
            think: table.take("think").and_then(|node| self.span(node)),
            pace: table.take("pace").and_then(|node| self.lasting(node)),
            keep: table.take("keep").map(|node| self.keep(node)).unwrap_or_default(),
            // What is kept of every answer is there for every request, so that headers may use it.
            headers: table.take("headers").map(|node| self.headers(node, here(Section::OnStop))).unwrap_or_default(),
            retry: table.take("retry").and_then(|node| self.retry(node)),
            cookies: table.take("cookies").and_then(|node| self.flag(node)).unwrap_or_default(),
            on_start: table.take("on_start").map(|node| self.steps(node, here(Section::OnStart))).unwrap_or_default(),
            tasks: tasks.map(|(_, node)| self.tasks(node, name)).unwrap_or_default(),
            on_stop: table.take("on_stop").map(|node| self.steps(node, here(Section::OnStop))).unwrap_or_default(),
            on_failure: table.take("on_failure").and_then(|node| self.on_failure(node)).unwrap_or_default(),
        };
        take_what_is_used(&mut kind);
        self.finish(table, KIND);
        if tasks.is_none() {
            self.fault(place, format!("users `{name}` have no tasks: say what they do, under `tasks`"));
        }
        Some(kind)
    }

    fn on_failure(&mut self, node: &Node) -> Option<OnFailure> {
        let words = [
            ("round", OnFailure::Round),
            ("next", OnFailure::Next),
            ("user", OnFailure::User),
            ("load", OnFailure::Load),
        ];
        self.word(node, &words)
    }

    fn tasks(&mut self, node: &Node, kind: &str) -> Vec<Task> {
        let Some(table) = self.table(node, "tasks") else { return Vec::new() };
        if table.is_empty() {
            self.fault(node.place, "here are no tasks: name one, with its steps");
        }
        let mut tasks = Vec::new();
        for (key, node) in table.rest() {
            self.check_name(&key.name, key.place);
            let Some(mut table) = self.table(node, "a task") else { continue };
            let here = Here { section: Section::Task, kind: Some(kind), task: Some(&key.name), place: node.place };
            let weight = table.take("weight").and_then(|node| self.weight(node)).unwrap_or(1.0);
            let steps = table.take("steps").map(|node| (node, self.steps(node, here)));
            self.finish(table, TASK);
            match &steps {
                None => self.fault(key.place, format!("task `{}` has no steps", key.name)),
                Some((node, _)) if list(node).is_empty() => {
                    self.fault(node.place, format!("task `{}` has no steps", key.name));
                }
                Some(_) => {}
            }
            tasks.push(Task {
                name: key.name.clone(),
                weight,
                steps: steps.map(|(_, steps)| steps).unwrap_or_default(),
            });
        }
        tasks
    }

    pub(super) fn check_name(&mut self, name: &str, place: Place) {
        if !is_name(name) {
            self.fault(place, format!("{name:?} is no name: letters, digits, _ and -, a letter first"));
        }
    }
}

/// Whoever uses a column of a table takes rows of it, whether that is said or not.
fn take_what_is_used(kind: &mut UserKind) {
    let headers = kind.headers.iter().map(|(_, text)| text);
    let texts = kind.steps().flat_map(Step::texts).chain(headers);
    let tables: BTreeSet<usize> = texts
        .flat_map(Text::values)
        .filter_map(|value| if let Value::Column(table, _) = value { Some(*table) } else { None })
        .collect();
    let missing = tables.into_iter().filter(|table| !kind.data.contains(table)).collect::<Vec<_>>();
    kind.data.extend(missing);
}
