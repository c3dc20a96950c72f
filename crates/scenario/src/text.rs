//! From texts with places for values to parts of requests, each value escaped as its place needs it.

use load::{Escape, Source, Value};
use plan::{Function, Json, Part, Text};

/// Bytes that `${payload}` stands for.
const PAYLOAD_BYTES: usize = 64;

/// What is known before the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// What set-up has kept, by number; values of users and rounds are absent.
    pub(crate) constants: &'a [Value],
    /// `${load.users}`
    pub(crate) users: u32,
    /// `http://host:port` of the request, for proofs.
    pub(crate) origin: &'a str,
}

impl Known<'_> {
    /// Adds a text to parts: literals are written by `literal`, values escaped by `escape`, and those that are raw by `raw`.
    /// Fails when what set-up has kept does not fit.
    pub(crate) fn text(
        &self,
        text: &Text,
        into: &mut Vec<load::Part>,
        escape: Escape,
        raw: Escape,
    ) -> Result<(), String> {
        // Within JSON strings literals need the escape, too; in headers and plain texts they are as they are.
        let literal = match escape {
            Escape::JsonString => escape,
            Escape::Percent => Escape::Address,
            _ => Escape::Plain,
        };
        for part in &text.parts {
            match part {
                Part::Literal(text) => bytes(&Value::text(text.as_str()), literal, into)?,
                Part::Value { value, or, raw: is_raw } => {
                    self.value(value, or.as_deref(), if *is_raw { raw } else { escape }, into)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a JSON document.
    /// Fails when what set-up has kept does not fit.
    pub(crate) fn json(&self, json: &Json, into: &mut Vec<load::Part>) -> Result<(), String> {
        match json {
            Json::Constant(constant) => fixed(constant, into),
            Json::Value(text) => match &text.parts[..] {
                [Part::Value { value, or, raw }] => {
                    let escape = if *raw { Escape::Plain } else { Escape::JsonValue };
                    self.value(value, or.as_deref(), escape, into)?;
                }
                _ => self.string(text, into)?,
            },
            Json::Text(text) => self.string(text, into)?,
            Json::List(list) => {
                fixed("[", into);
                for (at, json) in list.iter().enumerate() {
                    fixed(if at == 0 { "" } else { "," }, into);
                    self.json(json, into)?;
                }
                fixed("]", into);
            }
            Json::Map(map) => {
                fixed("{", into);
                for (at, (name, json)) in map.iter().enumerate() {
                    fixed(if at == 0 { "" } else { "," }, into);
                    bytes(&Value::text(name.as_str()), Escape::JsonValue, into)?;
                    fixed(":", into);
                    self.json(json, into)?;
                }
                fixed("}", into);
            }
        }
        Ok(())
    }

    /// Adds the fields of a form.
    /// Fails when what set-up has kept does not fit.
    pub(crate) fn form(&self, fields: &[(String, Text)], into: &mut Vec<load::Part>) -> Result<(), String> {
        for (at, (name, text)) in fields.iter().enumerate() {
            fixed(if at == 0 { "" } else { "&" }, into);
            bytes(&Value::text(name.as_str()), Escape::Percent, into)?;
            fixed("=", into);
            for part in &text.parts {
                match part {
                    Part::Literal(text) => bytes(&Value::text(text.as_str()), Escape::Percent, into)?,
                    Part::Value { value, or, raw } => {
                        let escape = if *raw { Escape::Plain } else { Escape::Percent };
                        self.value(value, or.as_deref(), escape, into)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn string(&self, text: &Text, into: &mut Vec<load::Part>) -> Result<(), String> {
        fixed("\"", into);
        self.text(text, into, Escape::JsonString, Escape::Plain)?;
        fixed("\"", into);
        Ok(())
    }

    fn value(
        &self,
        value: &plan::Value,
        or: Option<&str>,
        escape: Escape,
        into: &mut Vec<load::Part>,
    ) -> Result<(), String> {
        let source = match value {
            plan::Value::Kept(slot) if self.constants[*slot].get().is_some() => {
                return bytes(&self.constants[*slot], escape, into);
            }
            plan::Value::Payload => return bytes(&Value::text("x".repeat(PAYLOAD_BYTES)), escape, into),
            plan::Value::Users => return bytes(&Value::json(self.users.to_string()), escape, into),
            plan::Value::Kept(slot) => Source::Slot(*slot),
            plan::Value::Column(table, column) => Source::Column(*table, *column),
            plan::Value::Id => Source::Id,
            plan::Value::Run => Source::Run,
            plan::Value::Now => Source::NowMs,
            plan::Value::User => Source::User,
            plan::Value::Call(Function::Uuid) => Source::Uuid,
            plan::Value::Call(Function::Int(least, most)) => Source::Int(*least, *most),
            plan::Value::Call(Function::Pick(choices)) => Source::Pick(choices.clone()),
            plan::Value::Call(Function::Hex(digits)) => Source::Hex(*digits),
            plan::Value::Call(Function::Dpop(nonce)) => Source::Proof { nonce: *nonce, origin: self.origin.to_owned() },
        };
        into.push(load::Part::Value { source, escape, or: or.map(str::to_owned) });
        Ok(())
    }
}

/// Adds bytes that are the same each time.
pub(crate) fn fixed(text: &str, into: &mut Vec<load::Part>) {
    into.push(load::Part::Bytes(text.as_bytes().to_vec()));
}

fn bytes(value: &Value, escape: Escape, into: &mut Vec<load::Part>) -> Result<(), String> {
    let mut written = Vec::new();
    escape.write(value, &mut written)?;
    into.push(load::Part::Bytes(written));
    Ok(())
}
