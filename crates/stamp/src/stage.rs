//! Stages: the points of a pipeline where a message is stamped, and the path that orders them.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Names one point of a pipeline: 1 to 32 characters of `[a-z0-9_-]`, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stage(Cow<'static, str>);

/// The text is no stage name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stage {0:?} is invalid: use 1 to 32 characters of a-z 0-9 _ -, starting with a letter")]
pub struct InvalidStage(String);

impl Stage {
    // Moments on the message's own way, so that none comes before the one ahead of it.

    /// The load generator's intended send time.
    pub const SEND: Stage = Stage(Cow::Borrowed("send"));
    /// The API server has read the request.
    pub const APISERVER: Stage = Stage(Cow::Borrowed("apiserver"));
    /// The write that carries the message to Redis begins.
    pub const ENQUEUE: Stage = Stage(Cow::Borrowed("enqueue"));
    /// The push server has popped the message.
    pub const PUSHSERVER: Stage = Stage(Cow::Borrowed("pushserver"));
    /// The write that carries the message to the broker begins.
    pub const PUBLISH: Stage = Stage(Cow::Borrowed("publish"));
    /// The subscriber has received the message.
    pub const MQTTCLIENT: Stage = Stage(Cow::Borrowed("mqttclient"));

    // Answers, which the message does not wait for: side branches of the path.

    /// Redis has answered the write begun at [`Stage::ENQUEUE`].
    pub const ENQUEUED: Stage = Stage(Cow::Borrowed("enqueued"));
    /// The broker has acknowledged the message published at [`Stage::PUBLISH`] (quality of service 1 and 2).
    pub const ACKNOWLEDGED: Stage = Stage(Cow::Borrowed("acknowledged"));

    /// The answers, each with the stage of the path that it answers.
    pub const ANSWERS: [(Stage, Stage); 2] = [(Stage::ENQUEUE, Stage::ENQUEUED), (Stage::PUBLISH, Stage::ACKNOWLEDGED)];

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Stage {
    type Err = InvalidStage;

    fn from_str(text: &str) -> Result<Self, InvalidStage> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        let starts = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        // `counts` is the key beside the stages' own: trace:<run>:counts.
        if !starts || text.len() > 32 || text == "counts" || !text.bytes().all(fits) {
            return Err(InvalidStage(text.chars().take(80).collect()));
        }
        Ok(Self(Cow::Owned(text.to_owned())))
    }
}

impl TryFrom<String> for Stage {
    type Error = InvalidStage;

    fn try_from(text: String) -> Result<Self, InvalidStage> {
        text.parse()
    }
}

impl From<Stage> for String {
    fn from(value: Stage) -> String {
        value.to_string()
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The stages of one pipeline in the order in which a message passes them; at least two, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Stage>);

impl Path {
    /// The stages in order.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.0
    }

    /// The path without its first stage where that is [`Stage::SEND`]: what a load generator that does not
    /// stamp (wrk, curl) leaves.
    #[must_use]
    pub fn without_send(&self) -> Self {
        Self(self.0.iter().filter(|&stage| *stage != Stage::SEND).cloned().collect())
    }
}

/// The text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// One of its stages is none.
    #[error(transparent)]
    Stage(#[from] InvalidStage),
    /// One stage alone has no latency.
    #[error("a path needs at least two stages, as in send,apiserver,mqttclient")]
    TooShort,
    /// A stage is there twice.
    #[error("stage {0} is on the path twice")]
    Twice(Stage),
}

impl FromStr for Path {
    type Err = InvalidPath;

    /// Reads stages separated by commas or white space, as on a command line or in a file; `#` begins a comment.
    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let mut stages: Vec<Stage> = Vec::new();
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        for name in
            lines.flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace())).filter(|name| !name.is_empty())
        {
            let stage: Stage = name.parse()?;
            if stages.contains(&stage) {
                return Err(InvalidPath::Twice(stage));
            }
            stages.push(stage);
        }
        if stages.len() < 2 { Err(InvalidPath::TooShort) } else { Ok(Self(stages)) }
    }
}

impl Default for Path {
    /// The reference pipeline: `send,apiserver,enqueue,pushserver,publish,mqttclient`.
    fn default() -> Self {
        Self(vec![Stage::SEND, Stage::APISERVER, Stage::ENQUEUE, Stage::PUSHSERVER, Stage::PUBLISH, Stage::MQTTCLIENT])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_path() {
        let names =
            |text: &str| text.parse::<Path>().map(|path| path.0.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names("send,apiserver,mqttclient").unwrap(), ["send", "apiserver", "mqttclient"]);
        assert_eq!(
            names("# mine\nsend\napiserver # first\n\nmqttclient\n").unwrap(),
            ["send", "apiserver", "mqttclient"]
        );
        assert_eq!(names("send"), Err(InvalidPath::TooShort));
        assert!(matches!(names("send,a,send"), Err(InvalidPath::Twice(_))));
        assert!(matches!(names("send,A"), Err(InvalidPath::Stage(_))));
    }

    #[test]
    fn what_is_a_stage() {
        for good in ["send", "enricher", "step-2", "a_b"] {
            assert_eq!(good.parse::<Stage>().unwrap().as_str(), good);
        }
        for bad in ["", "2nd", "Send", "a:b", "counts", "a.b", &"x".repeat(33)] {
            assert!(bad.parse::<Stage>().is_err(), "{bad:?}");
        }
    }
}
