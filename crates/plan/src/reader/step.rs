//! Steps: a request, what its answer must be, and what is kept of it.

use super::Reader;
use super::table::list;
use crate::model::{Expect, Keep, KeepFrom, Retry, Step};
use crate::names::{Here, METHODS, step_name};
use crate::text::is_name;
use crate::yaml::Node;

const KEYS: &str = "GET POST PUT PATCH DELETE HEAD name json form text file headers expect keep think retry always \
    repeat when";
const EXPECT: &str = "status header json text within";

/// A step is sent no more often than this in a round.
const MOST_REPEATS: u32 = 100_000;

impl Reader<'_> {
    pub(super) fn steps(&mut self, node: &Node, here: Here<'_>) -> Vec<Step> {
        self.list_of(node, "steps").iter().filter_map(|node| self.step(node, here)).collect()
    }

    pub(super) fn step(&mut self, node: &Node, here: Here<'_>) -> Option<Step> {
        let here = Here { place: node.place, ..here };
        let mut table = self.table(node, "a step")?;
        let methods: Vec<_> = table.rest().collect();
        let method = self.method(&methods, node);
        for method in METHODS {
            table.take(method);
            // One in small letters has been told.
            table.take(&method.to_ascii_lowercase());
        }
        let bodies: Vec<_> = ["json", "form", "text", "file"].iter().filter_map(|key| table.take_pair(key)).collect();
        let url = method.and_then(|(_, node)| self.url(node, here));
        let body = self.body(&bodies, method.map_or("POST", |(method, _)| method), here);
        let named = table.take("name").and_then(|node| self.constant(node));
        let step = Step {
            name: named.unwrap_or_else(|| step_name(node)),
            place: node.place,
            method: method.map_or_else(String::new, |(method, _)| method.to_owned()),
            url: url.clone().unwrap_or_default(),
            headers: table.take("headers").map(|node| self.headers(node, here)).unwrap_or_default(),
            body,
            expect: table.take("expect").map(|node| self.expect(node)).unwrap_or_default(),
            keep: table.take("keep").map(|node| self.keep(node)).unwrap_or_default(),
            think: table.take("think").and_then(|node| self.span(node)),
            retry: table.take("retry").and_then(|node| self.retry(node)),
            always: table.take("always").and_then(|node| self.flag(node)).unwrap_or_default(),
            repeat: table.take("repeat").and_then(|node| self.repeat(node)).unwrap_or(1),
            when: table.take("when").and_then(|node| self.when(node, here)),
        };
        self.finish(table, KEYS);
        url.map(|_| step)
    }

    fn repeat(&mut self, node: &Node) -> Option<u32> {
        let repeat = self.positive(node)?;
        if repeat > MOST_REPEATS {
            self.fault(node.place, format!("a step is repeated {MOST_REPEATS} times at most: let rounds repeat it"));
        }
        Some(repeat)
    }

    /// `kept order`.
    fn when(&mut self, node: &Node, here: Here<'_>) -> Option<usize> {
        let text = self.text_of(node)?;
        let Some(name) = text.strip_prefix("kept ").map(str::trim) else {
            return self.refuse(node.place, "write `when: kept NAME`: other conditions are not known");
        };
        match self.kept(name, here) {
            Ok((slot, _)) => Some(slot),
            Err((message, hint)) => {
                let place = self.place_of(node, name);
                self.fault_with(place, message, hint);
                None
            }
        }
    }

    pub(super) fn retry(&mut self, node: &Node) -> Option<Retry> {
        let mut table = self.table(node, "retry")?;
        let status = table.take("status").map(|node| self.statuses(node));
        let times = table.take("times").and_then(|node| self.positive(node)).unwrap_or(1);
        self.finish(table, "status times");
        if status.is_none() {
            self.fault(node.place, "retry needs the statuses that are asked for again: { status: 401, times: 1 }");
        }
        Some(Retry { status: status?, times })
    }

    fn expect(&mut self, node: &Node) -> Vec<Expect> {
        let Some(mut table) = self.table(node, "expect") else { return Vec::new() };
        let mut expect = Vec::new();
        if let Some(node) = table.take("status") {
            expect.push(Expect::Status(self.statuses(node)));
        }
        for node in table.take("header").map(list).unwrap_or_default() {
            if let Some(text) = self.constant(node) {
                let (name, value) = comparison(&text);
                expect.push(Expect::Header(name, value));
            }
        }
        for node in table.take("json").map(list).unwrap_or_default() {
            if let Some(text) = self.constant(node) {
                let (path, value) = comparison(&text);
                self.json_path(&path, node);
                expect.push(Expect::Json(path, value));
            }
        }
        for node in table.take("text").map(list).unwrap_or_default() {
            if let Some(text) = self.constant(node) {
                expect.extend(self.expression(&text, 0, node).map(Expect::Text));
            }
        }
        expect.extend(table.take("within").and_then(|node| self.lasting(node)).map(Expect::Within));
        self.finish(table, EXPECT);
        expect
    }

    pub(super) fn keep(&mut self, node: &Node) -> Vec<Keep> {
        let Some(table) = self.table(node, "keep") else { return Vec::new() };
        let mut all = Vec::new();
        for (key, node) in table.rest() {
            let (name, own) = (key.name.as_str(), ["id", "run", "now", "payload", "user", "env", "host", "load"]);
            if !is_name(name) {
                self.fault(key.place, format!("{name:?} is no name: letters, digits, _ and -, a letter first"));
            } else if own.contains(&name)
                || self.params.contains_key(name)
                || self.data.iter().any(|data| data.name == name)
            {
                self.fault(key.place, format!("`{name}` means something already: keep it under another name"));
            }
            let Some(text) = self.constant(node) else { continue };
            let (optional, from) = match text.strip_prefix("optional ") {
                Some(from) => (true, from.trim()),
                None => (false, text.trim()),
            };
            let Some(from) = self.keep_from(from, node) else { continue };
            all.extend(self.names.slot_at(key.place).map(|kept| Keep { kept, from, optional }));
        }
        all
    }

    fn keep_from(&mut self, text: &str, node: &Node) -> Option<KeepFrom> {
        let (kind, what) = text.split_once(' ').map_or((text, ""), |(kind, what)| (kind, what.trim()));
        match kind {
            "status" if what.is_empty() => Some(KeepFrom::Status),
            "header" if !what.is_empty() => Some(KeepFrom::Header(what.to_owned())),
            "cookie" if !what.is_empty() => Some(KeepFrom::Cookie(what.to_owned())),
            "json" if !what.is_empty() => {
                self.json_path(what, node);
                Some(KeepFrom::Json(what.to_owned()))
            }
            "text" if !what.is_empty() => self.expression(what, 1, node).map(KeepFrom::Text),
            _ => {
                let remedy = "write one of `header NAME`, `json $.a[0].b`, `text /(…)/`, `cookie NAME` and `status`, or `optional` before it";
                self.refuse(node.place, format!("{text:?} says nothing that could be kept: {remedy}"))
            }
        }
    }

    /// `$`, `.name` and `[0]`, one after another.
    fn json_path(&mut self, path: &str, node: &Node) {
        let Some(mut rest) = path.strip_prefix('$') else {
            let place = self.place_of(node, path);
            return self.fault(place, format!("{path:?} is no path in JSON: it begins with $, as in $.order.id"));
        };
        while !rest.is_empty() {
            let step = if let Some(member) = rest.strip_prefix('.') {
                member.find(['.', '[']).unwrap_or(member.len()) + 1
            } else {
                rest.find(']').map_or(0, |end| end + 1)
            };
            let (one, more) = rest.split_at(step);
            let index = one
                .strip_prefix('[')
                .and_then(|index| index.strip_suffix(']'))
                .is_some_and(|index| index.parse::<u32>().is_ok());
            let member =
                one.strip_prefix('.').is_some_and(|name| !name.is_empty() && !name.contains(['*', '?', '@', '(', ' ']));
            if !index && !member {
                let place = self.place_of(node, path);
                return self.fault(place, format!("{path:?} is no path that is read: members and indices only, as in $.order.items[0].id; filters and wildcards are not supported"));
            }
            rest = more;
        }
    }

    /// `/…/`, with at least so many groups.
    fn expression(&mut self, text: &str, groups: usize, node: &Node) -> Option<String> {
        let inner = text.strip_prefix('/').and_then(|inner| inner.strip_suffix('/')).filter(|inner| !inner.is_empty());
        let Some(inner) = inner else {
            return self.refuse(
                node.place,
                format!("{text:?} is no expression: it stands between slashes, as in /order ([0-9]+)/"),
            );
        };
        match regex_lite::Regex::new(inner) {
            Ok(regex) if regex.captures_len() <= groups => self.refuse(
                node.place,
                format!("{text:?} keeps nothing: what is to be kept stands in parentheses, as in /order ([0-9]+)/"),
            ),
            Ok(_) => Some(inner.to_owned()),
            Err(error) => self.refuse(node.place, format!("{text:?} is no regular expression: {error}")),
        }
    }
}

/// `WHAT == VALUE`, or what alone.
fn comparison(text: &str) -> (String, Option<String>) {
    match text.split_once("==") {
        Some((what, value)) => (what.trim().to_owned(), Some(value.trim().trim_matches('"').to_owned())),
        None => (text.trim().to_owned(), None),
    }
}
