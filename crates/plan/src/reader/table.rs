//! Maps with known keys.

use super::Reader;
use crate::problem::meant;
use crate::yaml::{Key, Node, Value};

/// A map that is being read: what has not been taken in the end is unknown.
pub(super) struct Table<'n> {
    /// `a task`, for messages.
    what: &'static str,
    pairs: &'n [(Key, Node)],
    taken: Vec<&'n str>,
}

impl<'n> Table<'n> {
    pub(super) fn take(&mut self, name: &str) -> Option<&'n Node> {
        self.take_pair(name).map(|(_, value)| value)
    }

    pub(super) fn take_pair(&mut self, name: &str) -> Option<(&'n Key, &'n Node)> {
        let (key, value) = self.pairs.iter().find(|(key, _)| key.name == name)?;
        self.taken.push(&key.name);
        Some((key, value))
    }

    /// Everything, where keys are names of the plan's own.
    pub(super) fn rest(&self) -> impl Iterator<Item = (&'n Key, &'n Node)> + use<'n> {
        self.pairs.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl Reader<'_> {
    /// A map; nothing, and a fault, where it is none.
    pub(super) fn table<'n>(&mut self, node: &'n Node, what: &'static str) -> Option<Table<'n>> {
        match &node.value {
            Value::Map(pairs) => Some(Table { what, pairs, taken: Vec::new() }),
            // `params:` with nothing behind it.
            Value::Scalar { text, plain: true } if text.is_empty() || text == "~" || text == "null" => {
                Some(Table { what, pairs: &[], taken: Vec::new() })
            }
            _ => self.refuse(node.place, format!("{what} has keys here: write `key: value`")),
        }
    }

    /// The entries of what must be a list.
    pub(super) fn list_of<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::List(list) => list,
            Value::Scalar { text, plain: true } if text.is_empty() => &[],
            _ => {
                self.fault(node.place, format!("this is a list of {what}: begin each with `- `"));
                &[]
            }
        }
    }

    /// Refuses what was not taken. The known keys stand in one text, with spaces between.
    #[allow(clippy::needless_pass_by_value, reason = "nothing is taken of it after this")]
    pub(super) fn finish(&mut self, table: Table<'_>, known: &str) {
        for (key, _) in table.pairs.iter().filter(|(key, _)| !table.taken.contains(&key.name.as_str())) {
            let remedy =
                meant(&key.name, known.split(' ')).unwrap_or_else(|| format!("it has {}", known.replace(' ', ", ")));
            self.fault(key.place, format!("`{}` is no key of {}: {remedy}", key.name, table.what));
        }
    }
}

/// The entries of a list; one that stands alone is a list of itself.
pub(super) fn list(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(list) => list,
        _ => std::slice::from_ref(node),
    }
}
