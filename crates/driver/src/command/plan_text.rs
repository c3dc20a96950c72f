//! From the arguments of a sweep to the plan file that means the same.

use super::command_line::command_line;
use super::sweep::SweepArgs;
use plan::{Amount, Load};

impl SweepArgs {
    /// The plan file, as far as it can say it: the request itself, where one is given, is left to the command line, which it quotes.
    pub(super) fn as_plan(&self) -> String {
        self.with_load(&self.load().block())
    }

    /// The same, where a search finds the levels.
    pub(super) fn as_plan_of(&self, search: &plan::Search) -> String {
        let load = Load { amount: Amount::Rates(Vec::new()), duration: None, repeat: 1, ..self.load() };
        self.with_load(&[search.block(), load.block_of_search()].concat())
    }

    fn with_load(&self, load: &str) -> String {
        let command = stamp::mask(&command_line(std::env::args_os())).into_owned();
        let text = format!("# {command}\nstampede: 1\n{}{load}", self.pipeline());
        let thresholds = self.measuring.thresholds.thresholds.iter().map(|one| quoted(&one.to_string()));
        let thresholds: Vec<String> = thresholds.collect();
        if thresholds.is_empty() { text } else { format!("{text}thresholds: [{}]\n", thresholds.join(", ")) }
    }

    fn pipeline(&self) -> String {
        let remote = &self.remote;
        if let (Some(target), Some(redis)) = (&remote.target, &remote.redis) {
            let stages: Vec<String> = self.path.stages().iter().map(ToString::to_string).collect();
            let log_store = remote.log_store.as_ref().map(|url| format!(", log_store: {}", quoted(&url.to_string())));
            return format!(
                "target: {}\npipeline: {{ redis: {}{}, queue: {}, path: {} }}\n",
                quoted(&target.to_string()),
                quoted(&redis.to_string()),
                log_store.unwrap_or_default(),
                quoted(&remote.queue_key),
                quoted(&stages.join(","))
            );
        }
        if let Some(target) = &remote.target {
            return format!("target: {}\n", quoted(&target.to_string()));
        }
        let local = self.local.as_plan();
        let mut given: Vec<String> =
            local.arguments.iter().map(|(name, args)| format!("{name}: {}", quoted(args))).collect();
        let map = |name: &str, pairs: Vec<String>| format!("{name}: {{ {} }}", pairs.join(", "));
        if !local.replicas.is_empty() {
            given
                .push(map("replicas", local.replicas.iter().map(|(name, count)| format!("{name}: {count}")).collect()));
        }
        if !local.cpus.is_empty() {
            given.push(map("cpus", local.cpus.iter().map(|(name, cpus)| format!("{name}: {cpus}")).collect()));
        }
        if given.is_empty() {
            "pipeline: local\n".to_owned()
        } else {
            format!("pipeline: {{ local: {{ {} }} }}\n", given.join(", "))
        }
    }

    fn load(&self) -> Load {
        let levels = self.levels();
        let rates: Vec<f64> = levels.iter().filter_map(|(_, rate)| *rate).collect();
        let by_rate = !rates.is_empty();
        let connections = || levels.iter().map(|(connections, _)| *connections).collect();
        Load {
            amount: if by_rate { Amount::Rates(rates) } else { Amount::Users(connections()) },
            max_users: by_rate.then_some(self.shape.max_connections.into()),
            arrivals: match self.shape.arrivals {
                load::Arrivals::Constant => plan::Arrivals::Constant,
                load::Arrivals::Poisson => plan::Arrivals::Poisson,
            },
            warmup: Some(self.warmup),
            duration: Some(self.shape.duration),
            requests: self.requests,
            repeat: self.repeat,
            timeout: Some(self.shape.timeout),
            seed: Some(self.shape.seed),
            ..Load::default()
        }
    }
}

/// A text in the quotes of JSON, which YAML reads, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
