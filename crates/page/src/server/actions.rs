//! What can be done from the page: enter, start, edit, pause, stop. None of it names a target, a file or a command.

use super::{Fault, Server, json_of};
use crate::board::Inner;
use crate::options::{Asked, Start};
use crate::phase::Phase;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use experiment::Change;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use stamp::MsgId;
use tokio::sync::oneshot;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object: {\"token\": \"…\"}")]
struct Enter {
    token: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"users\": 50}")]
struct Edit {
    users: Option<u32>,
    rate: Option<f64>,
    spawn: Option<f64>,
}

impl Server {
    /// Swaps the token for a cookie that scripts cannot read.
    pub(super) fn enter(&self, body: &[u8]) -> Result<Response, Fault> {
        let Enter { token } = read(body)?;
        if !self.door.token.is(&token) {
            return Err(Fault(StatusCode::UNAUTHORIZED, "this is not the token that was printed".to_owned()));
        }
        let mut response = json_of(StatusCode::OK, &json!({ "ok": true }));
        let cookie =
            format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.door.cookie_name, self.door.cookie.as_str());
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        Ok(response)
    }

    pub(super) async fn start(&self, body: &[u8]) -> Result<Response, Fault> {
        let asked: Asked = read(body)?;
        self.check(asked.users, asked.rate, asked.spawn)?;
        if asked.duration_s.is_some_and(|seconds| seconds != 0.0 && !(0.1..=7.0 * 86_400.0).contains(&seconds)) {
            return Err(unfit("duration_s", "from 0.1 to 604800, or 0 for a load that lasts until it is ended"));
        }
        let busy = || Fault(StatusCode::CONFLICT, "something begins already: wait for it".to_owned());
        let answered = self.board.look(|inner| -> Result<_, Fault> {
            may(inner, "start")?;
            if inner.phase == Phase::Paused {
                if asked != Asked::default() {
                    let why = "it is paused: start goes on with what was paused, and edit changes it".to_owned();
                    return Err(Fault(StatusCode::UNPROCESSABLE_ENTITY, why));
                }
                inner.control.iter().for_each(experiment::Control::go_on);
                return Ok(None);
            }
            // Under the lock: whoever takes it enters another state before it looks for further ones.
            let (answer, answered) = oneshot::channel();
            let sent = inner.starts.as_ref().is_some_and(|starts| starts.try_send(Start { asked, answer }).is_ok());
            if sent { Ok(Some(answered)) } else { Err(busy()) }
        })?;
        let Some(answered) = answered else { return Ok(done("it goes on")) };
        match answered.await {
            Ok(Ok(())) => Ok(done("it begins")),
            Ok(Err(why)) => Err(Fault(StatusCode::UNPROCESSABLE_ENTITY, why)),
            Err(_) => Err(busy()),
        }
    }

    pub(super) fn edit(&self, body: &[u8]) -> Result<Response, Fault> {
        let Edit { users, rate, spawn } = read(body)?;
        if users.is_none() && rate.is_none() && spawn.is_none() {
            let why = "give what is to be changed: users, rate or spawn";
            return Err(Fault(StatusCode::UNPROCESSABLE_ENTITY, why.to_owned()));
        }
        self.check(users, rate, spawn)?;
        self.board.change(|inner| {
            may(inner, "edit")?;
            if !inner.session.is_of_users && users.is_some_and(|users| users > u32::from(MsgId::CONNECTIONS)) {
                return Err(unfit("users", &format!("connections from 1 to {}", MsgId::CONNECTIONS)));
            }
            let change = Change { users, rate, spawn };
            inner.control.iter().for_each(|control| control.change(change));
            let what = [
                users.map(|users| stamp::counted(users, "user")),
                rate.map(|rate| format!("{rate}/s")),
                spawn.map(|spawn| format!("spawn {spawn}/s")),
            ];
            let what: Vec<String> = what.into_iter().flatten().collect();
            inner.mark("edit", &format!("edited: {}", what.join(", ")));
            Ok(done(match inner.phase {
                Phase::Paused => "the next level begins with it, once start goes on",
                _ => "the level under way ends, and the next begins",
            }))
        })
    }

    pub(super) fn pause(&self) -> Result<Response, Fault> {
        self.board.change(|inner| {
            may(inner, "pause")?;
            inner.control.iter().for_each(experiment::Control::pause);
            inner.mark("edit", "paused");
            Ok(done("the level under way ends; POST /api/start goes on"))
        })
    }

    pub(super) fn stop(&self) -> Result<Response, Fault> {
        self.board.change(|inner| {
            may(inner, "stop")?;
            if let Some(stop) = &inner.stop {
                stop.cancel();
            }
            inner.mark("edit", "stopped");
            inner.tell_state();
            Ok(done("what was accepted is waited for, and kept"))
        })
    }

    /// Whether somebody may ask for that much.
    fn check(&self, users: Option<u32>, rate: Option<f64>, spawn: Option<f64>) -> Result<(), Fault> {
        if users.is_some() && rate.is_some() {
            let why = "give users or a rate: a load has a number of users, or a number of requests a second";
            return Err(Fault(StatusCode::UNPROCESSABLE_ENTITY, why.to_owned()));
        }
        let limits = self.door.limits;
        if users.is_some_and(|users| !(1..=limits.users).contains(&users)) {
            return Err(unfit("users", &format!("from 1 to {} (--ui-max-users)", limits.users)));
        }
        if rate.is_some_and(|rate| !(0.001..=limits.rate).contains(&rate)) {
            return Err(unfit("rate", &format!("from 0.001 to {} (--ui-max-rate)", limits.rate)));
        }
        if spawn.is_some_and(|spawn| !(0.001..=10e6).contains(&spawn)) {
            return Err(unfit("spawn", "users a second, from 0.001 to 10000000"));
        }
        Ok(())
    }
}

fn may(inner: &Inner, what: &str) -> Result<(), Fault> {
    let can = inner.can();
    if can.contains(&what) {
        return Ok(());
    }
    let others = if can.is_empty() { "nothing".to_owned() } else { can.join(", ") };
    Err(Fault(StatusCode::CONFLICT, format!("{what} cannot be done now; what can: {others}")))
}

fn unfit(name: &str, remedy: &str) -> Fault {
    Fault(StatusCode::UNPROCESSABLE_ENTITY, format!("{name} does not fit: give {remedy}"))
}

fn done(what: &str) -> Response {
    json_of(StatusCode::OK, &json!({ "ok": true, "told": what }))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body)
        .map_err(|error| Fault(StatusCode::BAD_REQUEST, format!("the body is not what is expected here: {error}")))
}
