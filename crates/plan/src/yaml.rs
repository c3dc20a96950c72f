//! YAML as a tree that knows its places. The only module that knows the parser.
//!
//! Every scalar is a text: what it means is decided by the key that expects it. Anchors and aliases work; what would be read in two ways
//! (keys twice, tags, merge keys, several documents) is a fault.

use crate::problem::{Place, Problem};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use std::collections::HashMap;

/// A node deeper than this is refused.
const DEEPEST: usize = 64;

/// A tree of more nodes, aliases followed, is refused.
const MOST: usize = 200_000;

/// A part of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Its text, and whether it stands without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// Reads a file; nothing where it is empty.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder =
        Builder { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0, problems: Vec::new() };
    let root = builder.document();
    match root {
        Ok(root) if builder.problems.is_empty() => Ok(root),
        Ok(_) => Err(builder.problems),
        Err(problem) => {
            builder.problems.push(problem);
            Err(builder.problems)
        }
    }
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    problems: Vec<Problem>,
}

type Next<'a> = (Event<'a>, Span);

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Next<'a>, Problem> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let mark = error.marker();
                let place = Place { line: mark.line().max(1), column: mark.col() + 1, length: 1 };
                Err(fault(
                    place,
                    format!(
                        "this is no YAML: {}; a text that holds {{, }}, [, ], a comma, a # or `: ` stands in quotes",
                        error.info()
                    ),
                ))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Problem> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::StreamStart | Event::DocumentEnd | Event::Nothing, _) => {}
                (Event::DocumentStart(_), span) => {
                    if root.is_some() {
                        return Err(fault(place(span), "a second document begins here: a plan is one".to_owned()));
                    }
                    let next = self.next()?;
                    root = Some(self.node(next, 0)?);
                }
                (_, span) => return Err(fault(place(span), "this belongs to no document".to_owned())),
            }
        }
    }

    fn node(&mut self, (event, span): Next<'a>, depth: usize) -> Result<Node, Problem> {
        let place = place(span);
        self.nodes += 1;
        if depth > DEEPEST || self.nodes > MOST {
            return Err(fault(place, "this is nested too deeply, or too much: no plan needs that".to_owned()));
        }
        let (value, anchor, tag) = match event {
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(fault(place, "this alias stands within its own anchor".to_owned()));
                };
                // What an alias stands for is as deep as its anchor is, below the alias.
                let (nodes, height) = (count(node), height(node));
                if depth + height > DEEPEST || self.nodes + nodes > MOST {
                    return Err(fault(place, "this is nested too deeply, or too much: no plan needs that".to_owned()));
                }
                self.nodes += nodes;
                return Ok(node.clone());
            }
            Event::Scalar(text, style, anchor, tag) => {
                (Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }, anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        next => list.push(self.node(next, depth + 1)?),
                    }
                }
                (Value::List(list), anchor, tag)
            }
            Event::MappingStart(anchor, tag) => (Value::Map(self.map(depth)?), anchor, tag),
            _ => return Err(fault(place, "a value is missing here".to_owned())),
        };
        if tag.is_some() {
            self.problems
                .push(fault(place, "tags are not read: leave it out, as the key says what a value is".to_owned()));
        }
        let node = Node { place, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, Problem> {
        let mut map: Vec<(Key, Node)> = Vec::new();
        loop {
            let next = self.next()?;
            if next.0 == Event::MappingEnd {
                return Ok(map);
            }
            let key = self.node(next, depth + 1)?;
            let Value::Scalar { text: name, .. } = key.value else {
                return Err(fault(key.place, "a key is a plain text: quote it if it begins with { or [".to_owned()));
            };
            if name == "<<" {
                self.problems.push(fault(
                    key.place,
                    "merge keys are not read: write the keys out, or use an alias for a whole value".to_owned(),
                ));
            }
            if let Some((first, _)) = map.iter().find(|(known, _)| known.name == name) {
                let message = format!("`{name}` is here twice: the first is in line {}", first.place.line);
                self.problems.push(fault(key.place, message));
            }
            let next = self.next()?;
            let value = self.node(next, depth + 1)?;
            map.push((Key { name, place: key.place }, value));
        }
    }
}

/// How many levels there are below a node.
fn height(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => 0,
        Value::List(list) => list.iter().map(height).max().map_or(0, |below| 1 + below),
        Value::Map(map) => map.iter().map(|(_, value)| height(value)).max().map_or(0, |below| 1 + below),
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::List(list) => list.iter().map(count).sum(),
        Value::Map(map) => map.iter().map(|(_, value)| 1 + count(value)).sum(),
    }
}

fn place(span: Span) -> Place {
    let (start, end) = (span.start, span.end);
    let length = if start.line() == end.line() { end.col().saturating_sub(start.col()) } else { 1 };
    Place { line: start.line().max(1), column: start.col() + 1, length: length.max(1) }
}

fn fault(place: Place, message: String) -> Problem {
    Problem { place, message, hint: String::new() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fmt::Write;

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().remove(0).message
    }

    #[test]
    fn bombs_are_refused() {
        let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(parse(&deep).is_err());
        // Each anchor holds the one before, 40 levels further down.
        let mut chained = "a0: &a0 x\n".to_owned();
        for number in 1..50 {
            let (open, close) = ("[".repeat(40), "]".repeat(40));
            writeln!(chained, "a{number}: &a{number} {open}*a{}{close}", number - 1).unwrap();
        }
        assert!(refusal(&chained).starts_with("this is nested too deeply"), "{}", refusal(&chained));
        // Each anchor holds ten of the one before.
        let mut many = "a0: &a0 x\n".to_owned();
        for number in 1..20 {
            let ten = vec![format!("*a{}", number - 1); 10].join(", ");
            writeln!(many, "a{number}: &a{number} [{ten}]").unwrap();
        }
        assert!(refusal(&many).starts_with("this is nested too deeply"));
        assert!(parse("a: &a [1, 2]\nb: [*a, *a]\n").is_ok());
    }
}
