//! Reading reports back.

use analysis::{CompareError, Report, Stamps, make_report};
use serde::Deserialize;
use stamp::{RedisUrl, RunId};
use std::io::ErrorKind;
use std::path::Path;

/// The part of a report that stays the same in all its versions.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

/// Finds what a name on the command line means: the report in a folder, or one made from a file of raw stamps or from the log store.
///
/// # Errors
/// When there is none of that name, or it cannot be read.
pub async fn find_report(name: &str, store: &RedisUrl) -> Result<Report, CompareError> {
    let path = Path::new(name);
    // What cannot be a sweep's name is not looked for in the log store.
    if path.is_dir() || !path.is_file() && name.parse::<RunId>().is_err() {
        return read(path);
    }
    let (mut stamps, sweep) = match Stamps::open(name, store).await {
        Err(source) if !path.is_file() => return Err(CompareError::Elsewhere { name: name.to_owned(), source }),
        opened => opened?,
    };
    Ok(make_report(&mut stamps, &sweep, &|| ()).await?)
}

/// Reads the report in this folder.
fn read(folder: &Path) -> Result<Report, CompareError> {
    let path = folder.join("report.json");
    let text = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => CompareError::NoReport(folder.to_owned()),
        _ => CompareError::Unreadable { path: path.clone(), source },
    })?;
    let foreign = |source| CompareError::Foreign { path: path.clone(), source };
    // Looked at first: what else is wrong with a report of another version is no news.
    let Versioned { schema_version: found } = serde_json::from_str(&text).map_err(foreign)?;
    if found != Report::SCHEMA_VERSION {
        return Err(CompareError::Version { path, found, known: Report::SCHEMA_VERSION });
    }
    parse_report(&text).map_err(foreign)
}

/// Reads `report.json` of this version. Who calls this does without a parser of its own, which is long in building.
///
/// # Errors
/// When it is no report.
pub fn parse_report(text: &str) -> serde_json::Result<Report> {
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_report_is_named() {
        let out = tempfile::tempdir().unwrap();
        let told = |content: Option<&str>| {
            if let Some(content) = content {
                std::fs::write(out.path().join("report.json"), content).unwrap();
            }
            read(out.path()).unwrap_err().to_string().replace(out.path().to_str().unwrap(), "FOLDER")
        };
        insta::assert_snapshot!(told(None), @"FOLDER is no report: it has no report.json; name a folder that driver sweep wrote, such as reports/latest");
        insta::assert_snapshot!(told(Some("a picture")), @"FOLDER/report.json is not a report that Stampede wrote: expected value at line 1 column 1");
        insta::assert_snapshot!(told(Some(r#"{"schema_version":2}"#)), @"FOLDER/report.json is not a report that Stampede wrote: missing field `sweep` at line 1 column 20");
        insta::assert_snapshot!(told(Some(r#"{"schema_version":1}"#)), @"FOLDER/report.json has version 1 of the report's shape, and this program reads version 2: make the report again with driver report, or use the program that wrote it");
    }
}
