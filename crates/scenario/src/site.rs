//! Where the requests of a plan go: one site for each scheme, host and port.

use crate::error::ScenarioError;
use load::{Endpoint, Target, Trust};
use plan::{Part, Step, Text};

/// Sites by their number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sites {
    /// Where paths are asked for.
    target: Option<Target>,
    all: Vec<Site>,
}

#[derive(Debug, Clone)]
struct Site {
    /// `http://host:port`
    origin: String,
    target: Target,
    endpoint: Endpoint,
}

/// A step's address.
#[derive(Debug)]
pub(crate) struct Address<'s> {
    /// The number of its site.
    pub(crate) site: usize,
    /// `http://host:port`
    pub(crate) origin: &'s str,
    pub(crate) target: &'s Target,
    /// Path and query.
    pub(crate) path: Text,
}

impl Sites {
    /// Finds all sites that these steps ask; where paths are asked for, connections take turns over the replicas, where there are some.
    /// Fails when an address is none, or its host is unknown.
    pub(crate) async fn open<'p>(
        steps: impl Iterator<Item = &'p Step>,
        target: Option<&str>,
        replicas: &[Target],
        trust: &Trust,
    ) -> Result<Self, ScenarioError> {
        let mut sites = Self { target: target.map(str::parse).transpose()?, all: Vec::new() };
        for step in steps {
            let (origin, _) = sites.split(step)?;
            if !sites.all.iter().any(|site| site.origin == origin) {
                let target: Target = if step_is_path(&step.url) {
                    sites.target.clone().ok_or_else(|| ScenarioError::NoTarget(step.name.clone()))?
                } else {
                    origin.parse()?
                };
                let several = if step_is_path(&step.url) { Endpoint::among(replicas, trust).await? } else { None };
                let endpoint = match several {
                    Some(endpoint) => endpoint,
                    None => Endpoint::find(&target, trust).await?,
                };
                sites.all.push(Site { origin, target, endpoint });
            }
        }
        Ok(sites)
    }

    /// Sees that all of them that these steps ask answer.
    ///
    /// # Errors
    /// Names the first that does not.
    pub(crate) async fn check<'p>(&self, steps: impl Iterator<Item = &'p Step>) -> Result<(), ScenarioError> {
        let asked = steps.map(|step| Ok(self.address(step)?.site)).collect::<Result<Vec<usize>, ScenarioError>>()?;
        for site in self.all.iter().enumerate().filter(|(number, _)| asked.contains(number)).map(|(_, site)| site) {
            site.endpoint.check(&site.target).await?;
        }
        Ok(())
    }

    /// The endpoints by their number.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.all.iter().map(|site| site.endpoint.clone()).collect()
    }

    /// Where a step goes.
    /// Fails when that is not known.
    pub(crate) fn address(&self, step: &Step) -> Result<Address<'_>, ScenarioError> {
        let (origin, path) = self.split(step)?;
        let found = self.all.iter().enumerate().find(|(_, site)| site.origin == origin);
        let (number, site) = found.ok_or_else(|| ScenarioError::NoTarget(step.name.clone()))?;
        Ok(Address { site: number, origin: &site.origin, target: &site.target, path })
    }

    /// `http://host:port`, and the rest.
    fn split(&self, step: &Step) -> Result<(String, Text), ScenarioError> {
        let mut parts = joined(&step.url.parts);
        let is_alone = parts.len() == 1;
        let Some(Part::Literal(first)) = parts.first_mut() else { return Err(ScenarioError::Host(step.name.clone())) };
        if first.starts_with('/') {
            let target = self.target.as_ref().ok_or_else(|| ScenarioError::NoTarget(step.name.clone()))?;
            let base = target.path().unwrap_or_default().trim_end_matches('/');
            first.insert_str(0, base);
            return Ok((target.origin(), Text { parts }));
        }
        let host = first.find("://").map_or(0, |at| at + 3);
        let end = first[host..].find(['/', '?', '#']).map(|at| host + at);
        let end = match end {
            Some(end) => end,
            None if is_alone => first.len(),
            None => return Err(ScenarioError::Host(step.name.clone())),
        };
        let path = first.split_off(end);
        let origin = std::mem::replace(first, if path.starts_with('/') { path } else { ["/", &path].concat() });
        Ok((origin, Text { parts }))
    }
}

fn step_is_path(url: &Text) -> bool {
    matches!(url.parts.first(), Some(Part::Literal(first)) if first.starts_with('/'))
}

/// The same with neighbouring literals as one.
fn joined(parts: &[Part]) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    for part in parts {
        match (all.last_mut(), part) {
            (Some(Part::Literal(before)), Part::Literal(text)) => before.push_str(text),
            _ => all.push(part.clone()),
        }
    }
    all
}
