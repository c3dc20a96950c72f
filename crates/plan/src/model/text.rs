//! Texts with places for values, and what requests carry.

use std::path::PathBuf;

/// What a request carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A JSON document.
    Json(Json),
    /// Fields of a form.
    Form(Vec<(String, Text)>),
    /// A text as it is.
    Text(Text),
    /// The bytes of a file.
    File(PathBuf),
}

/// A JSON document with places for values.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// What is the same each time: null, a number, true or false.
    Constant(String),
    /// A string.
    Text(Text),
    /// A value of its own type: it stands for nothing but a placeholder.
    Value(Text),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Map(Vec<(String, Json)>),
}

/// A text with places for values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// One after another.
    pub parts: Vec<Part>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// It is the same each time.
    Literal(String),
    /// It differs.
    Value {
        /// What it is.
        value: Value,
        /// What stands for it where it is missing.
        or: Option<String>,
        /// It is written as it is, whatever its surroundings need.
        raw: bool,
    },
}

/// What differs from request to request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A kept value, by its number.
    Kept(usize),
    /// A value of the user's row of a table: numbers of the table and of the column.
    Column(usize, usize),
    /// The id of a message.
    Id,
    /// The run.
    Run,
    /// ms since 1970-01-01 UTC.
    Now,
    /// The payload of an envelope.
    Payload,
    /// The number of the user, from 0.
    User,
    /// How many users there are.
    Users,
    /// It is made anew.
    Call(Function),
}

/// What makes a value anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Function {
    /// A random UUID.
    Uuid,
    /// A whole number between these, both included.
    Int(i64, i64),
    /// One of these.
    Pick(Vec<String>),
    /// So many hexadecimal digits.
    Hex(u32),
    /// A proof of RFC 9449 for the request, with the nonce that is kept under this number.
    Dpop(Option<usize>),
}

impl Text {
    /// The text of a literal.
    pub fn literal(text: &str) -> Self {
        Self { parts: vec![Part::Literal(text.to_owned())] }
    }

    /// What differs in it.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { value, .. } => Some(value),
            Part::Literal(_) => None,
        })
    }
}

impl Body {
    /// All its texts.
    pub(crate) fn texts(&self) -> Vec<&Text> {
        let mut texts = Vec::new();
        match self {
            Self::Json(json) => json.texts(&mut texts),
            Self::Form(fields) => texts.extend(fields.iter().map(|(_, text)| text)),
            Self::Text(text) => texts.push(text),
            Self::File(_) => {}
        }
        texts
    }
}

impl Json {
    /// Adds all its texts.
    fn texts<'j>(&'j self, texts: &mut Vec<&'j Text>) {
        match self {
            Self::Constant(_) => {}
            Self::Text(text) | Self::Value(text) => texts.push(text),
            Self::List(list) => list.iter().for_each(|json| json.texts(texts)),
            Self::Map(map) => map.iter().for_each(|(_, json)| json.texts(texts)),
        }
    }
}
