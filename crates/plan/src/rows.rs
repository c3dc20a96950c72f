//! Tables of values, from CSV and from JSON. Pure.

/// A value: a text, or JSON of another type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datum {
    /// As it stands in texts.
    pub text: String,
    /// Its text is JSON: a number, true, false, null, a list or an object.
    typed: bool,
}

/// Names, and rows with a value for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Datum>>,
}

impl Datum {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self { text: text.to_owned(), typed: false }
    }

    /// A JSON value, which keeps its type.
    pub fn json(value: &serde_json::Value) -> Self {
        match value.as_str() {
            Some(text) => Self::text(text),
            None => Self { text: value.to_string(), typed: true },
        }
    }

    /// Whether its text is JSON of another type than a string.
    pub fn is_json(&self) -> bool {
        self.typed
    }

    /// As it stands in JSON.
    pub fn as_json(&self) -> String {
        if self.typed { self.text.clone() } else { serde_json::Value::from(self.text.as_str()).to_string() }
    }
}

impl Table {
    /// The values of a row under these names.
    ///
    /// # Errors
    /// What is not there.
    pub fn row(&self, number: usize, names: &[String]) -> Result<Vec<Datum>, String> {
        let row = self.rows.get(number).ok_or("there are no more rows")?;
        let value = |name: &String| {
            let at = self.columns.iter().position(|column| column == name);
            at.and_then(|at| row.get(at)).cloned().ok_or_else(|| format!("there is no column `{name}`"))
        };
        names.iter().map(value).collect()
    }
}

/// The first line names the columns. Quotes, commas within them and line breaks are as RFC 4180 has them.
///
/// # Errors
/// What is wrong with it.
pub fn csv(text: &str) -> Result<Table, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let columns: Vec<String> = reader.headers().map_err(|error| told(&error))?.iter().map(str::to_owned).collect();
    if columns.iter().all(String::is_empty) {
        return Err("it is empty: the first line names the columns, and each after it is a row".to_owned());
    }
    if let Some(twice) = columns.iter().enumerate().find_map(|(at, name)| columns[..at].contains(name).then_some(name))
    {
        return Err(format!("two columns are called `{twice}`"));
    }
    let rows = reader.records().map(|row| row.map(|row| row.iter().map(Datum::text).collect()));
    let rows: Vec<Vec<Datum>> = rows.collect::<Result<_, _>>().map_err(|error| told(&error))?;
    if rows.is_empty() {
        Err("it has no rows behind the names of its columns".to_owned())
    } else {
        Ok(Table { columns, rows })
    }
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
///
/// # Errors
/// What is wrong with it.
pub fn json(text: &str) -> Result<Table, String> {
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
            serde_json::Value::Object(object) => {
                columns.iter().map(|column| object.get(column).map(Datum::json)).collect()
            }
            value if columns == ["value"] => Some(vec![Datum::json(value)]),
            _ => None,
        };
        rows.push(
            row.ok_or_else(|| format!("row {} has not the members of the first, {}", number + 1, columns.join(", ")))?,
        );
    }
    Ok(Table { columns, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let table = csv("uid, token\r\n1,\"a,\"\"b\"\"\"\r\n2,c\r\n").unwrap();
        assert_eq!(table.columns, ["uid", "token"]);
        assert_eq!(table.rows, [["1", "a,\"b\""].map(Datum::text), ["2", "c"].map(Datum::text)]);
        insta::assert_snapshot!(csv("").unwrap_err(), @"it is empty: the first line names the columns, and each after it is a row");
        insta::assert_snapshot!(csv("uid\n").unwrap_err(), @"it has no rows behind the names of its columns");
        insta::assert_snapshot!(csv("a,b\n1\n").unwrap_err(), @"line 2 has 1 values, and the first line names 2 columns");
        insta::assert_snapshot!(csv("a,a\n1,2\n").unwrap_err(), @"two columns are called `a`");
        let table = json(r#"[{"uid": 7, "x": "7"}]"#).unwrap();
        assert_eq!(table.columns, ["uid", "x"]);
        // A number stays one.
        assert_eq!(table.rows[0].iter().map(Datum::as_json).collect::<Vec<_>>(), ["7", "\"7\""]);
        assert_eq!(table.row(0, &["x".to_owned()]), Ok(vec![Datum::text("7")]));
        assert_eq!(table.row(0, &["y".to_owned()]), Err("there is no column `y`".to_owned()));
        assert_eq!(json("[1, \"b\"]").unwrap().columns, ["value"]);
        insta::assert_snapshot!(json("[]").unwrap_err(), @"it has no rows");
        insta::assert_snapshot!(json(r#"[{"a": 1}, {"b": 2}]"#).unwrap_err(), @"row 2 has not the members of the first, a");
        assert!(json("{}").unwrap_err().contains("a list of objects is expected"));
    }
}
