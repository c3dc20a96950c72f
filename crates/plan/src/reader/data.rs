//! Tables of values: CSV, JSON, what set-up keeps, what a command prints.

use super::Reader;
use crate::model::{Data, Hook, Rows, Take};
use crate::names::{Here, Section};
use crate::problem::Place;
use crate::yaml::Node;
use std::time::Duration;

const KEYS: &[&str] = &["csv", "json", "from", "command", "within", "take"];
const TAKE: [(&str, Take); 4] =
    [("unique", Take::Unique), ("once", Take::Once), ("circular", Take::Circular), ("random", Take::Random)];

/// A larger file of data is refused: it would have to fit into memory.
const LARGEST: u64 = 1 << 30;

type Table = (Vec<String>, Vec<Vec<String>>);

impl Reader<'_> {
    pub(super) fn read_data(&mut self, node: Option<&Node>) {
        let Some(table) = node.and_then(|node| self.table(node, "data")) else { return };
        for (key, node) in table.rest() {
            self.check_name(&key.name, key.place);
            if ["env", "host", "load"].contains(&key.name.as_str()) {
                self.fault(key.place, format!("`{}` means something already: call the data otherwise", key.name));
            }
            let Some(mut table) = self.table(node, "data") else { continue };
            let take = table.take("take").and_then(|node| self.word(node, &TAKE)).unwrap_or_default();
            let within = table.take("within").and_then(|node| self.lasting(node));
            let sources: Vec<_> =
                ["csv", "json", "from", "command"].iter().filter_map(|key| table.take_pair(key)).collect();
            self.finish(table, KEYS);
            let (source, place) = match sources[..] {
                [(source, node)] => (self.rows(&source.name, node, within), node.place),
                [] => {
                    self.fault(
                        key.place,
                        format!("`{}` comes from nowhere: give it one of csv, json, from and command", key.name),
                    );
                    (None, key.place)
                }
                [_, (second, _), ..] => {
                    self.fault(second.place, "data comes from one place: leave the others out".to_owned());
                    (None, second.place)
                }
            };
            // Where it cannot be read, whatever is asked of it is taken to be there: its own fault has been told.
            let rows = source.unwrap_or_else(|| Rows::Command {
                hook: Hook { command: String::new(), within: Duration::ZERO },
                columns: Vec::new(),
            });
            self.data.push(Data { name: key.name.clone(), rows, take });
            self.data_places.push(place);
        }
    }

    fn rows(&mut self, source: &str, node: &Node, within: Option<Duration>) -> Option<Rows> {
        match source {
            "from" => {
                let (name, here) = (
                    self.constant(node)?,
                    Here { section: Section::Teardown, kind: None, task: None, place: node.place },
                );
                match self.kept(name.trim(), here) {
                    Ok((kept, _)) => Some(Rows::Kept { kept, columns: Vec::new() }),
                    Err((message, hint)) => {
                        self.fault_with(node.place, format!("{message}: data comes from what set-up keeps"), hint);
                        None
                    }
                }
            }
            "command" => {
                let command = self.command(node)?;
                let within = within.unwrap_or(Duration::from_secs(60));
                Some(Rows::Command { hook: Hook { command, within }, columns: Vec::new() })
            }
            _ => {
                let name = self.constant(node)?;
                let path = self.input.folder.join(&name);
                let read = match std::fs::metadata(&path) {
                    // A device or a pipe might never end.
                    Ok(file) if !file.is_file() => Err("it is no file".to_owned()),
                    Ok(file) if file.len() > LARGEST => Err("it is larger than 1 GiB".to_owned()),
                    Ok(_) => std::fs::read_to_string(&path).map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                let table = read.map_err(|error| format!("{name} cannot be read: {error}")).and_then(|text| {
                    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                    let table = if source == "csv" { csv(text) } else { json(text) };
                    table.map_err(|error| format!("{name}: {error}"))
                });
                match table {
                    Ok((columns, rows)) => Some(Rows::Known { columns, rows }),
                    Err(error) => {
                        self.fault(node.place, error);
                        None
                    }
                }
            }
        }
    }

    /// Where rows for each user come from, and what it is called.
    pub(super) fn source_of(&self, number: usize) -> (Place, String) {
        let place = self.data_places.get(number).copied().unwrap_or_default();
        let line = self.input.text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
        let written: String = line.chars().skip(place.column.saturating_sub(1)).take(place.length).collect();
        (place, written.trim_matches(['"', '\'']).to_owned())
    }
}

/// The first line names the columns. Quotes, commas within them and line breaks are as RFC 4180 has them.
fn csv(text: &str) -> Result<Table, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let columns: Vec<String> = reader.headers().map_err(|error| told(&error))?.iter().map(str::to_owned).collect();
    if columns.iter().all(String::is_empty) {
        return Err("it is empty: the first line names the columns, and each after it is a row".to_owned());
    }
    if let Some(twice) = columns.iter().enumerate().find_map(|(at, name)| columns[..at].contains(name).then_some(name))
    {
        return Err(format!("two columns are called `{twice}`"));
    }
    let rows = reader.records().map(|row| row.map(|row| row.iter().map(str::to_owned).collect()));
    let rows: Vec<Vec<String>> = rows.collect::<Result<_, _>>().map_err(|error| told(&error))?;
    if rows.is_empty() { Err("it has no rows behind the names of its columns".to_owned()) } else { Ok((columns, rows)) }
}

fn told(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line} has {len} values, and the first line names {expected_len} columns")
        }
        _ => error.to_string(),
    }
}

/// A list of objects whose members are the columns, or of plain values: the column `value`.
fn json(text: &str) -> Result<Table, String> {
    let wrong = "a list of objects is expected, as in [{\"uid\": 1}, {\"uid\": 2}], or of plain values";
    let list: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|error| format!("{error}: {wrong}"))?;
    let columns: Vec<String> = match list.first() {
        None => return Err("it has no rows".to_owned()),
        Some(serde_json::Value::Object(first)) => first.keys().cloned().collect(),
        Some(_) => vec!["value".to_owned()],
    };
    let mut rows = Vec::with_capacity(list.len());
    for (number, value) in list.iter().enumerate() {
        let row = match value {
            serde_json::Value::Object(object) => columns.iter().map(|column| object.get(column).map(plain)).collect(),
            value if columns == ["value"] => Some(vec![plain(value)]),
            _ => None,
        };
        rows.push(
            row.ok_or_else(|| format!("row {} has not the members of the first, {}", number + 1, columns.join(", ")))?,
        );
    }
    Ok((columns, rows))
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let (columns, rows) = csv("uid, token\r\n1,\"a,\"\"b\"\"\"\r\n2,c\r\n").unwrap();
        assert_eq!(
            (columns.join("|"), rows),
            (
                "uid|token".to_owned(),
                vec![vec!["1".to_owned(), "a,\"b\"".to_owned()], vec!["2".to_owned(), "c".to_owned()]]
            )
        );
        insta::assert_snapshot!(csv("").unwrap_err(), @"it is empty: the first line names the columns, and each after it is a row");
        insta::assert_snapshot!(csv("uid\n").unwrap_err(), @"it has no rows behind the names of its columns");
        insta::assert_snapshot!(csv("a,b\n1\n").unwrap_err(), @"line 2 has 1 values, and the first line names 2 columns");
        insta::assert_snapshot!(csv("a,a\n1,2\n").unwrap_err(), @"two columns are called `a`");
        assert_eq!(
            json(r#"[{"uid": 7, "x": "y"}]"#).unwrap(),
            (vec!["uid".to_owned(), "x".to_owned()], vec![vec!["7".to_owned(), "y".to_owned()]])
        );
        assert_eq!(json("[1, \"b\"]").unwrap().1, [["1"], ["b"]]);
        insta::assert_snapshot!(json("[]").unwrap_err(), @"it has no rows");
        insta::assert_snapshot!(json(r#"[{"a": 1}, {"b": 2}]"#).unwrap_err(), @"row 2 has not the members of the first, a");
        assert!(json("{}").unwrap_err().contains("a list of objects is expected"));
    }
}
