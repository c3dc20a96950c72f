//! Texts of requests: what each of their placeholders stands for.

use super::{Reader, listed};
use crate::model::{Function, Part, Rows, Text, Value};
use crate::names::{Here, Unseen};
use crate::problem::{Place, meant};
use crate::text::{Expression, Piece, Placeholder, pieces};
use crate::yaml::{self, Node};

/// Names with a meaning of their own.
const OWN: [(&str, Value); 5] =
    [("id", Value::Id), ("run", Value::Run), ("now", Value::Now), ("payload", Value::Payload), ("user", Value::User)];

const FUNCTIONS: [&str; 6] = ["uuid", "int", "pick", "hex", "dpop", "raw"];

/// What may be told of a placeholder, and at its place.
type Told = (String, String);

impl Reader<'_> {
    /// A text of a request.
    pub(super) fn request_text(&mut self, node: &Node, here: Here<'_>) -> Option<Text> {
        let written = self.text_of(node)?;
        let pieces = self.pieces(written, node)?;
        let mut text = Text::default();
        let mut whole = true;
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => push(&mut text, literal),
                Piece::Placeholder(placeholder) => match self.part(&placeholder, node, here) {
                    Ok(Some(Part::Literal(literal))) => push(&mut text, &literal),
                    Ok(Some(part)) => text.parts.push(part),
                    Ok(None) => whole = false,
                    Err((message, hint)) => {
                        let place = self.place_of(node, placeholder.written);
                        self.fault_with(place, message, hint);
                        whole = false;
                    }
                },
            }
        }
        whole.then_some(text)
    }

    /// What a placeholder stands for; nothing where its fault has been told.
    fn part(&mut self, placeholder: &Placeholder<'_>, node: &Node, here: Here<'_>) -> Result<Option<Part>, Told> {
        let or = placeholder.or.map(str::to_owned);
        let part = |value| Part::Value { value, or: or.clone(), raw: false };
        match &placeholder.expression {
            Expression::Name("env", Some(variable)) => {
                Ok(self.variable(variable, placeholder.or, node).map(Part::Literal))
            }
            Expression::Name("load", Some("users")) => Ok(Some(part(Value::Users))),
            Expression::Name("host", Some(name)) => match self.hosts.get(*name) {
                Some(url) => Ok(Some(Part::Literal(url.clone()))),
                None => Err(self.unknown_host(name)),
            },
            Expression::Name(table, Some(column)) => {
                self.column(table, column).map(|(table, column)| Some(part(Value::Column(table, column))))
            }
            Expression::Name(name, None) => {
                if let Some(value) = self.params.get(*name) {
                    return Ok(Some(Part::Literal(value.clone())));
                }
                if let Some((_, value)) = OWN.iter().find(|(own, _)| own == name) {
                    return Ok(Some(part(value.clone())));
                }
                let kept = self.kept(name, here)?;
                if kept.1 && or.is_none() {
                    let message = format!("`{name}` is optional and may be missing: write ${{{name} or \"none\"}}");
                    return Err((message, String::new()));
                }
                Ok(Some(part(Value::Kept(kept.0))))
            }
            Expression::Call("raw", arguments) => {
                let [name] = arguments[..] else { return Err(plain("raw takes one name: ${raw(x)}")) };
                let (expression, written) = (name_of(name), placeholder.written);
                let inner = self.part(&Placeholder { written, expression, or: placeholder.or }, node, here)?;
                Ok(inner.map(|inner| match inner {
                    Part::Value { value, or, .. } => Part::Value { value, or, raw: true },
                    literal @ Part::Literal(_) => literal,
                }))
            }
            Expression::Call(name, arguments) => {
                self.function(name, arguments, here).map(|function| Some(part(Value::Call(function))))
            }
        }
    }

    fn function(&mut self, name: &str, arguments: &[&str], here: Here<'_>) -> Result<Function, Told> {
        match name {
            "uuid" if arguments.is_empty() => Ok(Function::Uuid),
            "uuid" => Err(plain("uuid takes nothing: ${uuid()}")),
            "int" => {
                let bound = |text: &str| text.parse::<i64>().ok();
                match arguments.iter().map(|text| bound(text)).collect::<Option<Vec<_>>>().as_deref() {
                    Some(&[least, most]) if least <= most => Ok(Function::Int(least, most)),
                    Some([_, _]) => Err(plain("this range ends before it begins: swap its ends")),
                    _ => Err(plain("int takes two whole numbers, the least and the most: ${int(1, 9)}")),
                }
            }
            "pick" if arguments.is_empty() || arguments.contains(&"") => {
                Err(plain("pick takes the values to pick from: ${pick(tea, coffee)}"))
            }
            "pick" => Ok(Function::Pick(arguments.iter().map(|text| text.trim_matches('"').to_owned()).collect())),
            "hex" => match arguments {
                [digits] => match digits.parse() {
                    Ok(digits @ 1..=1024) => Ok(Function::Hex(digits)),
                    _ => Err(plain("hex takes a number of digits from 1 to 1024: ${hex(16)}")),
                },
                _ => Err(plain("hex takes a number of digits: ${hex(16)}")),
            },
            "dpop" => match arguments {
                [] => Ok(Function::Dpop(None)),
                [nonce] => Ok(Function::Dpop(Some(self.kept(nonce, here)?.0))),
                _ => Err(plain("dpop takes the name under which the nonce is kept: ${dpop(nonce)}")),
            },
            other => {
                let near = meant(other, FUNCTIONS);
                let message = format!("`{other}` is no function: there are {}", listed(FUNCTIONS.into_iter()));
                Err((message, near.unwrap_or_default()))
            }
        }
    }

    /// The pieces of a text; nothing where its fault has been told.
    pub(super) fn pieces<'t>(&mut self, written: &'t str, node: &Node) -> Option<Vec<Piece<'t>>> {
        pieces(written)
            .inspect_err(|malformed| {
                let place = self.place_of(node, malformed.written);
                self.fault(place, malformed.why.clone());
            })
            .ok()
    }

    /// The number of a kept value, and whether it may be missing.
    pub(super) fn kept(&self, name: &str, here: Here<'_>) -> Result<(usize, bool), Told> {
        self.names.find(name, here).map(|keeper| (keeper.slot, keeper.optional)).map_err(|unseen| match unseen {
            Unseen::Elsewhere(message) => (message, String::new()),
            Unseen::Nowhere(hint) => {
                let hint = hint.unwrap_or_else(|| self.other_than_kept(name));
                (format!("nothing keeps `{name}`"), hint)
            }
        })
    }

    /// What may have been meant by a name that nothing keeps.
    fn other_than_kept(&self, name: &str) -> String {
        let tables = || self.data.iter().map(|data| data.name.as_str());
        if tables().any(|table| table == name) {
            return format!("this is a table: name a column of it, as in ${{{name}.id}}");
        }
        let known = self.params.keys().map(String::as_str).chain(OWN.iter().map(|(own, _)| *own)).chain(tables());
        meant(name, known).unwrap_or_default()
    }

    /// The numbers of a table and of its column.
    fn column(&mut self, name: &str, column: &str) -> Result<(usize, usize), Told> {
        let Some(number) = self.data.iter().position(|data| data.name == name) else {
            let near = meant(name, self.data.iter().map(|data| data.name.as_str()).chain(["env", "host", "load"]));
            let message =
                format!("`{name}` is no table: `data` has {}", listed(self.data.iter().map(|data| data.name.as_str())));
            return Err((message, near.unwrap_or_default()));
        };
        let (columns, open) = match &mut self.data[number].rows {
            Rows::Known { columns, .. } => (columns, false),
            Rows::Kept { columns, .. } | Rows::Command { columns, .. } => (columns, true),
        };
        if let Some(at) = columns.iter().position(|known| known == column) {
            return Ok((number, at));
        }
        if open {
            // Which columns there are shows only in the load.
            columns.push(column.to_owned());
            return Ok((number, columns.len() - 1));
        }
        let near = meant(column, columns.iter().map(String::as_str));
        Err((
            format!("`{name}` has no column `{column}`: it has {}", listed(columns.iter().map(String::as_str))),
            near.unwrap_or_default(),
        ))
    }

    pub(super) fn unknown_host(&self, name: &str) -> Told {
        let near = meant(name, self.hosts.keys().map(String::as_str));
        (
            format!("`{name}` is no host: `hosts` has {}", listed(self.hosts.keys().map(String::as_str))),
            near.unwrap_or_default(),
        )
    }

    /// Where a part of a scalar stands: in its line, where it is written there as it is.
    pub(super) fn place_of(&self, node: &Node, written: &str) -> Place {
        let lines = self.input.text.lines().skip(node.place.line - 1);
        let first = written.lines().next().unwrap_or_default();
        // A text over several lines stands in lines below its beginning.
        for (offset, line) in lines.take(if first.is_empty() { 0 } else { 200 }).enumerate() {
            let skipped = if offset == 0 { node.place.column - 1 } else { 0 };
            let begin: usize = line.chars().take(skipped).map(char::len_utf8).sum();
            if let Some(at) = line.get(begin..).and_then(|rest| rest.find(first)) {
                let column = line[..begin + at].chars().count() + 1;
                return Place { line: node.place.line + offset, column, length: first.chars().count() };
            }
            if matches!(&node.value, yaml::Value::Scalar { plain: true, .. }) && offset > 0 && line.trim().is_empty() {
                break;
            }
        }
        node.place
    }
}

fn name_of(name: &str) -> Expression<'_> {
    match name.split_once('.') {
        Some((of, member)) => Expression::Name(of, Some(member)),
        None => Expression::Name(name, None),
    }
}

fn plain(message: &str) -> Told {
    (message.to_owned(), String::new())
}

fn push(text: &mut Text, literal: &str) {
    match text.parts.last_mut() {
        Some(Part::Literal(last)) => last.push_str(literal),
        _ if literal.is_empty() => {}
        _ => text.parts.push(Part::Literal(literal.to_owned())),
    }
}
