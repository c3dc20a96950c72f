//! What an answer must be, and what is kept of it. Pure.

use load::Reply;
use plan::rows::Datum;
use plan::{Expect, Keep, KeepFrom};
use serde_json::Value;
use std::time::Duration;

/// Why an answer is not what it must be; nothing where it is. The first fault names it.
pub(super) fn fault(expect: &[Expect], reply: &Reply, took: Duration) -> Option<String> {
    let has_status = expect.iter().any(|expect| matches!(expect, Expect::Status(_)));
    if !has_status && !reply.is_fine() {
        return Some(format!("status {}", reply.status));
    }
    expect.iter().find_map(|expect| match expect {
        Expect::Status(ranges) => {
            let fits = ranges.iter().any(|&(first, last)| (first..=last).contains(&reply.status));
            (!fits).then(|| format!("status {}", reply.status))
        }
        Expect::Header(name, value) => match (header(reply, name), value) {
            (None, _) => Some(format!("no header {name} in the answer")),
            (Some(is), Some(value)) if is != value => Some(format!("header {name} is {is:?}, not {value:?}")),
            _ => None,
        },
        Expect::Json(path, value) => match (at(reply, path), value) {
            (None, _) => Some(format!("no {path} in the answer")),
            (Some(is), Some(value)) if is.text != *value => Some(format!("{path} is {}, not {value}", is.text)),
            _ => None,
        },
        Expect::Text(expression) => {
            let matches = regex_lite::Regex::new(expression).is_ok_and(|regex| regex.is_match(&reply.body));
            (!matches).then(|| format!("the answer does not match /{expression}/"))
        }
        Expect::Within(limit) => {
            (took > *limit).then(|| format!("took longer than {}", humantime::format_duration(*limit)))
        }
    })
}

/// The value that is to be kept.
///
/// # Errors
/// What is missing, where it may not be.
pub(super) fn kept(keep: &Keep, reply: &Reply) -> Result<Option<Datum>, String> {
    let (found, missing) = match &keep.from {
        KeepFrom::Status => (Some(Datum::json(&reply.status.into())), String::new()),
        KeepFrom::Header(name) => (header(reply, name).map(Datum::text), format!("no header {name} in the answer")),
        KeepFrom::Json(path) => (at(reply, path), format!("no {path} in the answer")),
        KeepFrom::Cookie(name) => {
            let cookie = cookies(reply).find(|(known, _)| known == name);
            (cookie.map(|(_, value)| Datum::text(value)), format!("no cookie {name} in the answer"))
        }
        KeepFrom::Text(expression) => {
            let regex = regex_lite::Regex::new(expression).ok();
            let group = regex.and_then(|regex| Some(Datum::text(regex.captures(&reply.body)?.get(1)?.as_str())));
            (group, format!("the answer does not match /{expression}/"))
        }
    };
    if found.is_none() && !keep.optional { Err(missing) } else { Ok(found) }
}

/// The cookies that an answer sets.
pub(super) fn cookies(reply: &Reply) -> impl Iterator<Item = (&str, &str)> {
    let fields = reply.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    fields.filter_map(|(_, value)| value.split(';').next()?.trim().split_once('='))
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    let found = reply.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// The value at `$.a[0].b`.
fn at(reply: &Reply, path: &str) -> Option<Datum> {
    let whole: Value = serde_json::from_str(&reply.body).ok()?;
    let mut value = &whole;
    for step in path.strip_prefix('$')?.split_inclusive(['.', ']']).flat_map(|part| part.split('[')) {
        let step = step.trim_end_matches('.');
        value = match step.strip_suffix(']') {
            Some(index) => value.get(index.parse::<usize>().ok()?)?,
            None if step.is_empty() => continue,
            None => value.get(step)?,
        };
    }
    Some(Datum::json(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        let headers = [("X-Next", "abc"), ("Set-Cookie", "session=s1; Path=/; HttpOnly")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Reply { status, headers, body: body.to_owned() }
    }

    fn keep(from: KeepFrom) -> Keep {
        Keep { kept: 0, from, optional: false }
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        let reply = reply(201, r#"{"order":{"id":17,"items":[{"n":"a b"},[1,2]]}}"#);
        let found = |from| kept(&keep(from), &reply).map(|found| found.map(|found| (found.as_json(), found.text)));
        let is = |text: &str, json: &str| Ok(Some((json.to_owned(), text.to_owned())));
        assert_eq!(found(KeepFrom::Json("$.order.id".to_owned())), is("17", "17"));
        assert_eq!(found(KeepFrom::Json("$.order.items[0].n".to_owned())), is("a b", "\"a b\""));
        assert_eq!(found(KeepFrom::Json("$.order.items[1][0]".to_owned())), is("1", "1"));
        assert_eq!(found(KeepFrom::Header("x-next".to_owned())), is("abc", "\"abc\""));
        assert_eq!(found(KeepFrom::Cookie("session".to_owned())), is("s1", "\"s1\""));
        assert_eq!(found(KeepFrom::Text("id\":([0-9]+)".to_owned())), is("17", "\"17\""));
        assert_eq!(found(KeepFrom::Status), is("201", "201"));
        assert_eq!(found(KeepFrom::Json("$.order.none".to_owned())), Err("no $.order.none in the answer".to_owned()));
        let optional = Keep { optional: true, ..keep(KeepFrom::Header("X-Other".to_owned())) };
        assert_eq!(kept(&optional, &reply), Ok(None));
    }

    #[test]
    fn the_first_fault_names_what_is_wrong() {
        let ok = reply(200, r#"{"a":1}"#);
        let told = |expect: &[Expect], reply: &Reply| fault(expect, reply, Duration::from_secs(3));
        let json = |value: Option<&str>| Expect::Json("$.a".to_owned(), value.map(str::to_owned));
        assert_eq!(told(&[], &ok), None);
        assert_eq!(told(&[], &reply(409, "")), Some("status 409".to_owned()));
        assert_eq!(told(&[Expect::Status(vec![(400, 409)])], &reply(409, "")), None);
        assert_eq!(told(&[json(None), json(Some("1"))], &ok), None);
        assert_eq!(told(&[json(Some("2"))], &ok), Some("$.a is 1, not 2".to_owned()));
        assert_eq!(told(&[json(None)], &reply(200, "no json")), Some("no $.a in the answer".to_owned()));
        assert_eq!(
            told(&[Expect::Header("X-Next".to_owned(), Some("b".to_owned()))], &ok),
            Some("header X-Next is \"abc\", not \"b\"".to_owned())
        );
        assert_eq!(told(&[Expect::Text("^b".to_owned())], &ok), Some("the answer does not match /^b/".to_owned()));
        assert_eq!(told(&[Expect::Within(Duration::from_secs(2))], &ok), Some("took longer than 2s".to_owned()));
    }
}
