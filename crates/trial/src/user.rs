//! A user: what it keeps, and how it sends a step.

use crate::answer;
use crate::dpop::{Claims, ProofKey};
use crate::text::{Place, Values};
use load::{Exchange, Reply, SplitMix, Target, Trust};
use plan::rows::Datum;
use plan::{Body, Keep, Part, Plan, Retry, Step, UserKind};
use stamp::{MsgId, RunId, clock};
use std::collections::BTreeMap;
use std::time::Duration;

/// A request as it was sent. Secrets are masked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// The method.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// The headers that the plan gives it.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// A request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What was sent.
    pub sent: Sent,
    /// Its answer, with secrets masked, and how long it took; or why there is none.
    pub answer: Result<(Reply, Duration), String>,
}

/// Who sends: the state of one user.
pub(crate) struct User<'a> {
    pub(crate) plan: &'a Plan,
    /// Absent in set-up and tear-down.
    pub(crate) kind: Option<&'a UserKind>,
    target: Option<&'a str>,
    trust: &'a Trust,
    run: &'a RunId,
    pub(crate) kept: Vec<Option<Datum>>,
    pub(crate) rows: Vec<Option<Vec<Datum>>>,
    cookies: BTreeMap<String, String>,
    key: Option<ProofKey>,
    random: SplitMix,
    sequence: u32,
}

/// How long an answer may take unless the plan says otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// A message is traced where its id is a multiple of N: those of a trial are of every N up to 100.
const SAMPLED: u32 = 100;

impl<'a> User<'a> {
    pub(crate) fn new(plan: &'a Plan, target: Option<&'a str>, trust: &'a Trust, run: &'a RunId) -> Self {
        let seed = plan.load.seed.unwrap_or_else(|| u64::from(clock::unix_now().subsec_nanos()));
        Self {
            plan,
            kind: None,
            target: target.or(plan.target.as_deref()),
            trust,
            run,
            kept: vec![None; plan.kept.len()],
            rows: vec![None; plan.data.len()],
            cookies: BTreeMap::new(),
            key: ProofKey::new(),
            random: SplitMix::new(seed),
            sequence: 0,
        }
    }

    /// Sends a step, again where its retries say so. Gives all attempts, what was kept, and what failed.
    pub(crate) async fn send(&mut self, step: &Step) -> (Vec<Attempt>, Vec<(String, String)>, Option<String>) {
        let mut attempts = Vec::new();
        let retry = step.retry.as_ref().or_else(|| self.kind.and_then(|kind| kind.retry.as_ref()));
        let mut left = retry.map_or(0, |retry| retry.times);
        let again = |retry: Option<&Retry>, status: u16| {
            retry.is_some_and(|retry| retry.status.iter().any(|&(first, last)| (first..=last).contains(&status)))
        };
        loop {
            let (sent, target, within) = match self.request(step) {
                Ok(request) => request,
                Err(why) => return (attempts, Vec::new(), Some(why)),
            };
            let began = clock::now();
            let headers: Vec<(&str, &str)> =
                sent.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let exchange = Exchange { method: &sent.method, headers: &headers, body: sent.body.as_bytes() };
            let answer = exchange.trusting(self.trust, &target, within).await;
            let took = clock::now().duration_since(began);
            let told = answer.as_ref().map(|reply| (self.masked_reply(reply), took)).map_err(ToString::to_string);
            attempts.push(Attempt { sent: self.masked(sent), answer: told });
            let reply = match answer {
                Ok(reply) => reply,
                Err(error) => return (attempts, Vec::new(), Some(error.to_string())),
            };
            // What is kept of every answer is kept of one that is asked for again, too.
            let own = self.kind.map(|kind| kind.keep.as_slice()).unwrap_or_default();
            let (mut kept, missing) = self.keep(own, &reply);
            if self.kind.is_some_and(|kind| kind.cookies) {
                let set = answer::cookies(&reply).map(|(name, value)| (name.to_owned(), value.to_owned()));
                self.cookies.extend(set);
            }
            if left > 0 && again(retry, reply.status) {
                left -= 1;
                continue;
            }
            if let Some(fault) = answer::fault(&step.expect, &reply, took).or(missing) {
                return (attempts, kept, Some(fault));
            }
            let (more, missing) = self.keep(&step.keep, &reply);
            kept.extend(more);
            return (attempts, kept, missing);
        }
    }

    /// Whether all is kept that a step uses.
    pub(crate) fn has_what_it_needs(&self, step: &Step) -> bool {
        let texts = step.texts();
        texts.iter().flat_map(|text| &text.parts).all(|part| match part {
            Part::Value { value: plan::Value::Kept(slot), or: None, .. } => self.kept[*slot].is_some(),
            _ => true,
        })
    }

    /// What the round kept ends with it.
    pub(crate) fn end_round(&mut self) {
        for (value, kept) in self.kept.iter_mut().zip(&self.plan.kept) {
            if kept.scope == plan::Scope::Round {
                *value = None;
            }
        }
    }

    fn keep(&mut self, keep: &[Keep], reply: &Reply) -> (Vec<(String, String)>, Option<String>) {
        let (mut kept, mut missing) = (Vec::new(), None);
        for one in keep {
            match answer::kept(one, reply) {
                Ok(Some(found)) => {
                    kept.push((self.plan.kept[one.kept].name.clone(), self.plan.secrets.mask(&found.text)));
                    self.kept[one.kept] = Some(found);
                }
                Ok(None) => {}
                Err(why) => missing = missing.or(Some(why)),
            }
        }
        (kept, missing)
    }

    /// The request of a step, where it goes, and how long its answer may take.
    fn request(&mut self, step: &Step) -> Result<(Sent, Target, Duration), String> {
        let target = self.target;
        let place =
            |url: String| if url.starts_with('/') { format!("{}{url}", target.unwrap_or_default()) } else { url };
        let method = step.method.clone();
        let url = place(self.rendered("", "", None, |values| values.text(&step.url, Place::Address))?);
        let parsed: Target = url.parse().map_err(|error: load::InvalidTarget| error.to_string())?;
        let mut headers: Vec<(String, String)> = Vec::new();
        let of_kind = self.kind.map(|kind| kind.headers.as_slice()).unwrap_or_default();
        let over = |name: &str| step.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        for (name, text) in of_kind.iter().filter(|(name, _)| !over(name)).chain(&step.headers) {
            let token = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
            let token = token.and_then(|(_, value)| value.strip_prefix("DPoP ")).map(str::to_owned);
            let value = self.rendered(&method, &url, token.as_deref(), |values| values.text(text, Place::Header))?;
            headers.push((name.clone(), value));
        }
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.push(("Cookie".to_owned(), cookies.join("; ")));
        }
        // Each message has an id of its own, and all of them are sampled.
        self.sequence += SAMPLED;
        let (body, kind) = match &step.body {
            None => (String::new(), None),
            Some(Body::Json(json)) => {
                (self.rendered("", "", None, |values| values.json(json))?, Some("application/json"))
            }
            Some(Body::Form(fields)) => {
                (self.rendered("", "", None, |values| values.form(fields))?, Some("application/x-www-form-urlencoded"))
            }
            Some(Body::Text(text)) => {
                (self.rendered("", "", None, |values| values.text(text, Place::Plain))?, Some("text/plain"))
            }
            Some(Body::File(path)) => {
                let bytes =
                    std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
                (String::from_utf8_lossy(&bytes).into_owned(), Some("application/octet-stream"))
            }
        };
        if let Some(kind) = kind.filter(|_| !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")))
        {
            headers.push(("Content-Type".to_owned(), kind.to_owned()));
        }
        Ok((Sent { method, url, headers, body }, parsed, self.plan.load.timeout.unwrap_or(WITHIN)))
    }

    /// Renders something with what is known now.
    fn rendered<T>(
        &mut self,
        method: &str,
        url: &str,
        token: Option<&str>,
        render: impl FnOnce(&mut Values<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let now = clock::unix_now();
        let key = self.key.as_ref();
        let proof = |nonce: Option<&str>| key?.proof(&Claims { method, url, issued_at: now.as_secs(), nonce, token });
        render(&mut Values {
            kept: &self.kept,
            rows: &self.rows,
            run: self.run.as_str(),
            id: MsgId::compose(0, 0, self.sequence).get(),
            now_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            users: 1,
            random: &mut self.random,
            proof: &proof,
        })
    }

    fn masked(&self, sent: Sent) -> Sent {
        let Sent { method, url, headers, body } = sent;
        Sent {
            method,
            url: self.plan.secrets.mask(&stamp::mask(&url)),
            headers: self.masked_headers(&headers),
            body: self.plan.secrets.mask(&body),
        }
    }

    fn masked_reply(&self, reply: &Reply) -> Reply {
        Reply {
            status: reply.status,
            headers: self.masked_headers(&reply.headers),
            body: self.plan.secrets.mask(&reply.body),
        }
    }

    fn masked_headers(&self, headers: &[(String, String)]) -> Vec<(String, String)> {
        let masked = |(name, value): &(String, String)| {
            let shown =
                if stamp::is_secret_name(name) { stamp::MASKED.to_owned() } else { self.plan.secrets.mask(value) };
            (name.clone(), shown)
        };
        headers.iter().map(masked).collect()
    }
}
