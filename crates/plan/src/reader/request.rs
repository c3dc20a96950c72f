//! What a request carries: its address, its headers, its body.

use super::Reader;
use crate::model::{Body, Json, Part, Text};
use crate::names::{Here, METHODS};
use crate::problem::like;
use crate::yaml::{self, Key, Node};

/// Headers that the generator writes itself.
const OWN_HEADERS: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

impl Reader<'_> {
    /// The address of a step: a path of the target, or a whole address.
    pub(super) fn url(&mut self, node: &Node, here: Here<'_>) -> Option<Text> {
        let url = self.request_text(node, here)?;
        let begins = match url.parts.first() {
            Some(Part::Literal(begin)) => begin.as_str(),
            _ => "",
        };
        let whole = begins.starts_with("http://") || begins.starts_with("https://");
        if !whole && !begins.starts_with('/') {
            return self.refuse(node.place, "an address begins with /, http:// or https://, or with ${host.NAME}");
        }
        let holds = |what: fn(char) -> bool| {
            url.parts.iter().any(|part| matches!(part, Part::Literal(text) if text.contains(what)))
        };
        let told = if holds(|c| c.is_whitespace() || c.is_control()) {
            "an address holds no space: write it as %20"
        } else if holds(|c| c == '#') {
            "what follows # in an address is never sent: leave it out, or write the character as %23"
        } else {
            return Some(url);
        };
        self.refuse(node.place, told)
    }

    pub(super) fn headers(&mut self, node: &Node, here: Here<'_>) -> Vec<(String, Text)> {
        let Some(table) = self.table(node, "headers") else { return Vec::new() };
        let mut headers = Vec::new();
        for (Key { name, place }, value) in table.rest() {
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(token) {
                self.fault(*place, format!("{name:?} is no name of a header"));
                continue;
            }
            if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
                self.fault(*place, format!("{name} follows from the request itself: leave it out"));
                continue;
            }
            let Some(text) = self.request_text(value, here) else { continue };
            let broken = |part: &Part| matches!(part, Part::Literal(text) if text.contains(char::is_control));
            if text.parts.iter().any(broken) {
                self.fault(value.place, "a header is one line, without control characters");
                continue;
            }
            headers.push((name.clone(), text));
        }
        headers
    }

    /// The body that these keys describe, of which there is one at most.
    pub(super) fn body(&mut self, bodies: &[(&Key, &Node)], method: &str, here: Here<'_>) -> Option<Body> {
        let &(key, node) = bodies.first()?;
        if let Some((other, _)) = bodies.get(1) {
            return self.refuse(
                other.place,
                format!("this request has two bodies, `{}` and `{}`: leave one out", key.name, other.name),
            );
        }
        if matches!(method, "GET" | "HEAD") {
            return self.refuse(key.place, format!("{method} has no body: use POST, PUT or PATCH"));
        }
        match key.name.as_str() {
            "json" => self.json(node, here).map(Body::Json),
            "form" => {
                let table = self.table(node, "a form")?;
                let fields =
                    table.rest().filter_map(|(key, value)| Some((key.name.clone(), self.request_text(value, here)?)));
                Some(Body::Form(fields.collect()))
            }
            "text" => self.request_text(node, here).map(Body::Text),
            _ => {
                let name = self.constant(node)?;
                let path = self.input.folder.join(&name);
                self.files.push((node.place, name.clone()));
                match std::fs::metadata(&path)
                    .and_then(|file| if file.is_file() { std::fs::File::open(&path).map(Some) } else { Ok(None) })
                {
                    Ok(Some(_)) => {}
                    // A device or a pipe might never end.
                    Ok(None) => self.fault(node.place, format!("{name} is no file")),
                    Err(error) => self.fault(node.place, format!("{name} cannot be read: {error}")),
                }
                Some(Body::File(path))
            }
        }
    }

    fn json(&mut self, node: &Node, here: Here<'_>) -> Option<Json> {
        match &node.value {
            yaml::Value::Scalar { text, plain: true } if is_constant(text) => {
                Some(Json::Constant(if matches!(text.as_str(), "" | "~") { "null".to_owned() } else { text.clone() }))
            }
            yaml::Value::Scalar { .. } => {
                let text = self.request_text(node, here)?;
                // A value that is nothing but a placeholder keeps its type.
                let alone = matches!(text.parts[..], [Part::Value { .. }]);
                Some(if alone { Json::Value(text) } else { Json::Text(text) })
            }
            yaml::Value::List(list) => {
                let list: Vec<Option<Json>> = list.iter().map(|node| self.json(node, here)).collect();
                list.into_iter().collect::<Option<_>>().map(Json::List)
            }
            yaml::Value::Map(map) => {
                let pairs: Vec<Option<_>> =
                    map.iter().map(|(key, node)| Some((key.name.clone(), self.json(node, here)?))).collect();
                pairs.into_iter().collect::<Option<_>>().map(Json::Map)
            }
        }
    }

    /// The one method of a step, and its address.
    pub(super) fn method<'n>(
        &mut self,
        pairs: &[(&'n Key, &'n Node)],
        step: &Node,
    ) -> Option<(&'static str, &'n Node)> {
        let found: Vec<_> = pairs
            .iter()
            .filter_map(|(key, node)| Some((METHODS.into_iter().find(|method| *method == key.name)?, *key, *node)))
            .collect();
        match found[..] {
            [(method, _, node)] => Some((method, node)),
            [] => {
                let lower = pairs.iter().find(|(key, _)| METHODS.contains(&key.name.to_ascii_uppercase().as_str()));
                // A key that is like a method is told as an unknown one.
                let near = pairs.iter().any(|(key, _)| like(&key.name, METHODS).is_some());
                if let Some((key, _)) = lower {
                    self.fault(
                        key.place,
                        format!("methods are written in capitals: {}", key.name.to_ascii_uppercase()),
                    );
                } else if !near {
                    self.fault(
                        step.place,
                        format!("this step sends nothing: give it one of {}, as in `GET: /path`", METHODS.join(", ")),
                    );
                }
                None
            }
            [_, (other, key, _), ..] => {
                self.refuse(key.place, format!("this step has two methods: make {other} a step of its own"))
            }
        }
    }
}

/// Whether a text without quotes is JSON's own: null, true, false or a number.
fn is_constant(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "true" | "false") || serde_json::from_str::<serde_json::Number>(text).is_ok()
}
