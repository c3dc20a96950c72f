//! The text of a plan as a report keeps it: what was set from outside stands in it, and files are named wherever it lies.

use crate::model::{Amount, Arrivals, Load, Plan, Search, SearchOver};
use crate::secrets::without_logins;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

impl Plan {
    /// The text that repeats it: `text` is what it was read from, beside which its files were looked for in `folder`; `thresholds` are all that
    /// must hold. Values that may be secret are not written.
    pub fn kept(&self, text: &str, folder: &Path, thresholds: &[String]) -> String {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut files = self.files.clone();
        // The last of a line first, so that places before it stay.
        files.sort();
        files.dedup();
        for (place, name) in files.iter().rev().filter(|(_, name)| Path::new(name).is_relative()) {
            let Some(line) = lines.get_mut(place.line.saturating_sub(1)) else { continue };
            let from = line.char_indices().nth(place.column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
            if let Some(at) = line[from..].find(name.as_str()) {
                let at = from + at;
                line.replace_range(at..at + name.len(), &folder.join(name).display().to_string());
            }
        }
        let mut kept = lines.join("\n") + "\n";
        if !self.params.is_empty() {
            replace(&mut kept, "params", &self.params_block());
        }
        match &self.search {
            Some(search) => {
                replace(&mut kept, "search", &search.block());
                replace(&mut kept, "load", &self.load.block_of_search());
            }
            None => replace(&mut kept, "load", &self.load.block()),
        }
        // A run is of one combination.
        if self.vary.is_none() {
            remove(&mut kept, "vary");
            remove(&mut kept, "repeat");
        }
        if !thresholds.is_empty() {
            replace(
                &mut kept,
                "thresholds",
                &format!("thresholds: {}\n", list(thresholds.iter().map(|text| quoted(text)))),
            );
        }
        without_logins(&kept)
    }

    fn params_block(&self) -> String {
        let mut block = "params:\n".to_owned();
        for (name, value) in &self.params {
            let hidden = stamp::is_secret_name(name) || self.secrets.mask(value) != *value;
            let value = if hidden { stamp::MASKED } else { value };
            // Writing to a String cannot fail.
            let _ = writeln!(block, "  {name}: {}{}", quoted(value), if hidden { "  # set it with --set" } else { "" });
        }
        block
    }
}

impl Load {
    /// As it stands in a plan file.
    pub fn block(&self) -> String {
        let mut keys = match &self.amount {
            Amount::Users(users) => match users[..] {
                [users] => vec![("users", users.to_string())],
                _ => vec![("levels", list(users.iter()))],
            },
            Amount::Rates(rates) => match rates[..] {
                [rate] => vec![("rate", format!("{rate}/s"))],
                _ => vec![("rates", list(rates.iter().map(|rate| format!("{rate}/s"))))],
            },
            Amount::Stages(stages) => {
                let stages = stages.iter().map(|stage| format!("{{ to: {}, over: {} }}", stage.to, time(stage.over)));
                vec![("stages", list(stages))]
            }
        };
        keys.extend(self.keys());
        block("load", &keys)
    }

    /// The same, where a search finds how much.
    pub fn block_of_search(&self) -> String {
        match &self.keys()[..] {
            [] => String::new(),
            keys => block("load", keys),
        }
    }

    /// All that is set beside the amount.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let by_rate = matches!(self.amount, Amount::Rates(_));
        let more = [
            ("spawn", self.spawn.filter(|_| matches!(self.amount, Amount::Users(_))).map(|spawn| format!("{spawn}/s"))),
            ("max_users", self.max_users.filter(|_| by_rate).map(|users| users.to_string())),
            ("arrivals", (by_rate && self.arrivals == Arrivals::Poisson).then(|| "poisson".to_owned())),
            ("warmup", self.warmup.map(time)),
            ("duration", self.duration.filter(|_| !matches!(self.amount, Amount::Stages(_))).map(time)),
            ("requests", self.requests.map(|requests| requests.to_string())),
            ("repeat", (self.repeat > 1).then(|| self.repeat.to_string())),
            ("timeout", self.timeout.map(time)),
            ("seed", self.seed.map(|seed| seed.to_string())),
        ];
        more.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

impl Search {
    /// As it stands in a plan file.
    pub fn block(&self) -> String {
        let is_rate = self.over == SearchOver::Rate;
        let load = |load: f64| if is_rate { format!("{load}/s") } else { load.to_string() };
        let keys = [
            ("over", (!is_rate).then(|| "users".to_owned())),
            ("hold", Some(list(self.hold.iter().map(|one| quoted(&one.text))))),
            ("from", self.from.map(load)),
            ("to", self.to.map(load)),
            ("within", self.within.map(|within| format!("{}%", within * 100.0))),
            ("trial", self.trial.map(time)),
            ("most_trials", self.most_trials.map(|trials| trials.to_string())),
        ];
        let keys: Vec<(&str, String)> = keys.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        block("search", &keys)
    }
}

/// A map under a key.
fn block(name: &str, keys: &[(&str, String)]) -> String {
    keys.iter().fold(format!("{name}:\n"), |block, (key, value)| block + &format!("  {key}: {value}\n"))
}

fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// Takes away the block under this key.
fn remove(text: &mut String, key: &str) {
    // A block that is put at the end, where there is none, is empty.
    replace(text, key, "");
}

/// Puts a block in the place of the one under this key, or at the end.
fn replace(text: &mut String, key: &str, block: &str) {
    let is_key = |line: &str| line.starts_with(|c: char| c.is_alphanumeric() || c == '"' || c == '\'');
    let starts = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':'));
    let mut kept = String::new();
    let (mut inside, mut replaced) = (false, false);
    for line in text.split_inclusive('\n') {
        if starts(line) {
            (inside, replaced) = (true, true);
            kept.push_str(block);
        } else if inside && is_key(line) {
            inside = false;
        }
        if !inside {
            kept.push_str(line);
        }
    }
    if !replaced {
        kept.push_str(block);
    }
    *text = kept;
}

fn list<T: ToString>(values: impl Iterator<Item = T>) -> String {
    format!("[{}]", values.map(|value| value.to_string()).collect::<Vec<_>>().join(", "))
}

/// A text in the quotes of JSON, which YAML reads, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Input;

    #[test]
    fn what_is_kept_means_the_same_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.csv"), "uid\n1\n2\n").unwrap();
        let text = "# a plan
stampede: 1
target: http://me:hush@127.0.0.1:9/@me  # or http://${n}@127.0.0.1:9
params: { n: 7, token: t }
data:
  account: { csv: a.csv, take: unique }  # accounts
users:
  u:
    data: account
    tasks: { t: { steps: [ { GET: \"/${account.uid}/${n}\" } ] } }
load:
  users: 1
  duration: 1m 30s
# the end
thresholds: [ \"errors==0\" ]
";
        let input = Input {
            folder: folder.path().to_owned(),
            set: vec![("n".to_owned(), "a:b".to_owned())],
            amount: Some(Amount::Users(vec![1, 2])),
            ..Input::new("p.yaml", text)
        };
        let plan = Plan::read(&input).unwrap();
        let kept = plan.kept(text, folder.path(), &["errors==0".to_owned(), "http.p99<1s".to_owned()]);
        let shown = kept.replace(&folder.path().display().to_string(), "FOLDER");
        insta::assert_snapshot!(shown, @r#"
        # a plan
        stampede: 1
        target: http://***@127.0.0.1:9/@me  # or http://${n}@127.0.0.1:9
        params:
          n: "a:b"
          token: "***"  # set it with --set
        data:
          account: { csv: FOLDER/a.csv, take: unique }  # accounts
        users:
          u:
            data: account
            tasks: { t: { steps: [ { GET: "/${account.uid}/${n}" } ] } }
        load:
          levels: [1, 2]
          duration: 1m 30s
        thresholds: ["errors==0", "http.p99<1s"]
        "#);
        let again = Plan::read(&Input { folder: "/nowhere".into(), ..Input::new("kept.yaml", &kept) }).unwrap();
        assert_eq!((again.load, again.data), (plan.load, plan.data));
    }
}
