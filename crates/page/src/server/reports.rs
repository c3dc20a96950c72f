//! Past reports: which there are, their files, and two side by side.

use super::{Fault, REPORT_POLICY, attached, json_of, of};
use analysis::{Comparison, Report};
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use reporter::{find_report, parse_report};
use serde_json::{Value, json};
use stamp::RedisUrl;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Reports that are listed, the newest.
const LISTED: usize = 100;

/// The folder of reports.
#[derive(Debug)]
pub(super) struct Reports {
    out: PathBuf,
    /// What is told of each, for as long as its file is the same.
    known: Mutex<HashMap<PathBuf, (SystemTime, Value)>>,
}

impl Reports {
    pub(super) fn new(out: PathBuf) -> Self {
        Self { out, known: Mutex::default() }
    }

    /// All reports, the newest first.
    pub(super) fn list(&self) -> Value {
        let mut found: Vec<(SystemTime, String, PathBuf)> = fs::read_dir(&self.out)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| {
                let file = entry.path().join("report.json");
                let changed = fs::metadata(&file).and_then(|data| data.modified()).ok()?;
                Some((changed, entry.file_name().to_string_lossy().into_owned(), file))
            })
            .collect();
        found.sort_by(|one, other| other.cmp(one));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|file, _| found.iter().any(|(_, _, other)| other == file));
        let listed = found.iter().take(LISTED).filter_map(|(changed, name, file)| {
            if let Some((at, told)) = known.get(file)
                && at == changed
            {
                return Some(told.clone());
            }
            let told = told(name, &parse_report(&fs::read_to_string(file).ok()?).ok()?);
            known.insert(file.clone(), (*changed, told.clone()));
            Some(told)
        });
        json!({ "reports": listed.collect::<Vec<_>>(), "more": found.len().saturating_sub(LISTED) })
    }

    /// A file of a report: `<sweep>/report.html`.
    pub(super) fn file(&self, path: &str) -> Result<Response, Fault> {
        let absent = || Fault(StatusCode::NOT_FOUND, format!("there is no report file {path}"));
        let is_name = |part: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            !part.is_empty() && !part.starts_with('.') && part.chars().all(is_plain)
        };
        let parts: Vec<&str> = path.split('/').collect();
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(|part| is_name(part)) {
            return Err(absent());
        }
        // No link leads out of the folder.
        let out = self.out.canonicalize().map_err(|_| absent())?;
        let file = out.join(path).canonicalize().map_err(|_| absent())?;
        if !file.starts_with(&out) || !file.is_file() {
            return Err(absent());
        }
        let bytes = fs::read(&file).map_err(|_| absent())?;
        let name = parts[parts.len() - 1];
        let media_type = match Path::new(name).extension().and_then(|end| end.to_str()) {
            Some("html") => "text/html; charset=utf-8",
            Some("json") => "application/json",
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            Some("tsv") => "text/tab-separated-values; charset=utf-8",
            _ => "text/plain; charset=utf-8",
        };
        if media_type.starts_with("text/html") || media_type.starts_with("image") {
            return Ok(sandboxed(of(StatusCode::OK, media_type, bytes.into())));
        }
        Ok(attached(name, media_type, bytes.into()))
    }

    /// Two reports side by side, as `driver compare` sets them.
    pub(super) async fn compare(&self, query: &str) -> Result<Response, Fault> {
        let comparison = self.comparison(query).await?;
        let table = reporter::comparison_table(&comparison);
        Ok(json_of(
            StatusCode::OK,
            &json!({ "sentences": comparison.sentences, "table": table, "comparison": comparison }),
        ))
    }

    pub(super) async fn picture(&self, query: &str) -> Result<Response, Fault> {
        let comparison = self.comparison(query).await?;
        let picture = reporter::comparison_picture(&comparison, "Arrival latency and throughput, compared");
        let failed = |error| Fault(StatusCode::INTERNAL_SERVER_ERROR, format!("the picture cannot be drawn: {error}"));
        Ok(sandboxed(of(StatusCode::OK, "image/svg+xml", picture.map_err(failed)?.into())))
    }

    async fn comparison(&self, query: &str) -> Result<Comparison, Fault> {
        let of_query = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next()
        };
        let (Some(one), Some(other)) = (of_query("a"), of_query("b")) else {
            return Err(Fault(StatusCode::BAD_REQUEST, "name two reports: ?a=SWEEP&b=SWEEP".to_owned()));
        };
        let mut named = Vec::new();
        for name in [one, other] {
            let report = self.report(&name).await?;
            named.push((report.sweep.clone(), report));
        }
        Comparison::new(&named).map_err(|error| Fault(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
    }

    async fn report(&self, name: &str) -> Result<Report, Fault> {
        self.file(&format!("{name}/report.json"))?;
        let folder = self.out.join(name).display().to_string();
        // It is a folder: no log store is asked.
        let nowhere: RedisUrl = "redis://127.0.0.1:1".parse().map_err(|_| unreadable(name, "no log store"))?;
        find_report(&folder, &nowhere).await.map_err(|error| unreadable(name, &error.to_string()))
    }
}

fn unreadable(name: &str, why: &str) -> Fault {
    Fault(StatusCode::UNPROCESSABLE_ENTITY, format!("the report {name} cannot be read: {why}"))
}

fn told(name: &str, report: &Report) -> Value {
    let missed = report.thresholds.iter().filter(|verdict| !verdict.held).count();
    json!({
        "name": name,
        "sweep": report.sweep,
        "started_unix_s": report.started_unix_s,
        "levels": report.levels.len(),
        "plan": report.settings.get("plan"),
        "verdict": report.findings.verdict.first(),
        "thresholds": report.thresholds.len(),
        "missed": missed,
    })
}

fn sandboxed(mut response: Response) -> Response {
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(REPORT_POLICY));
    response
}
