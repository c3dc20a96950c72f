//! Tables of values: CSV, JSON, what set-up keeps, what a command prints.

use super::Reader;
use crate::model::{Data, Hook, Rows, Take};
use crate::names::{Here, Section};
use crate::problem::Place;
use crate::rows::{self, Table};
use crate::yaml::Node;
use std::time::Duration;

const KEYS: &str = "csv json from command within take";
const TAKE: [(&str, Take); 4] =
    [("unique", Take::Unique), ("once", Take::Once), ("circular", Take::Circular), ("random", Take::Random)];

/// A larger file of data is refused: it would have to fit into memory.
const LARGEST: u64 = 1 << 30;

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
                    self.fault(second.place, "data comes from one place: leave the others out");
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
                self.files.push((node.place, name.clone()));
                let read = match std::fs::metadata(&path) {
                    // A device or a pipe might never end.
                    Ok(file) if !file.is_file() => Err("it is no file".to_owned()),
                    Ok(file) if file.len() > LARGEST => Err("it is larger than 1 GiB".to_owned()),
                    Ok(_) => std::fs::read_to_string(&path).map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                let table = read.map_err(|error| format!("{name} cannot be read: {error}")).and_then(|text| {
                    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                    let table = if source == "csv" { rows::csv(text) } else { rows::json(text) };
                    table.map_err(|error| format!("{name}: {error}"))
                });
                match table {
                    Ok(Table { columns, rows }) => Some(Rows::Known { columns, rows }),
                    Err(error) => self.refuse(node.place, error),
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
