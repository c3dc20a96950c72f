//! From the arguments of a sweep to the plan that they mean.

use super::command_line::command_line;
use super::sampling;
use super::sweep::{Generator, SweepArgs};
use experiment::{Hooks, Plan, Setting, Subject, Who, Work};
use std::collections::{BTreeMap, BTreeSet};

impl SweepArgs {
    /// The plan.
    /// Fails when the arguments contradict each other, or a file that they name cannot be read.
    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        self.check()?;
        let levels = Setting::all(&self.levels(), Who::Connections, self.repeat, self.shape.seed, None);
        let every = sampling::resolve(self.every, self.remote.target.is_none(), &levels, self.shape.duration)?;
        let is_wrk = self.generator == Generator::Wrk;
        Ok(Plan {
            site: self.remote.site(&self.local, every)?,
            queue: self.remote.queue_key.clone(),
            generator: if is_wrk { experiment::Generator::Wrk } else { experiment::Generator::Driver },
            workers: self.measuring.workers.workers()?,
            work: Work::Requests(self.shape.request_options(self.http_path.as_deref())?),
            trust: self.shape.trust(),
            shape: self.shape.shape(),
            requests: self.requests,
            levels,
            hooks: Hooks::default(),
            search: None,
            open_ended: false,
            warmup: self.warmup,
            every,
            path: if is_wrk { self.path.clone().without_send() } else { self.path.clone() },
            clock: self.clock.into(),
            skip_service_check: self.measuring.skip_service_check,
            patience: self.measuring.patience(),
            p99_limit: self.measuring.p99_limit,
            thresholds: self.measuring.thresholds.thresholds.clone(),
            text: Some(self.as_plan()),
            subject: self.subject(),
            notify: plan::Notify::default(),
            notes: self.notes(),
        })
    }

    /// The rates of levels in rising order.
    pub(super) fn all_rates(&self) -> Vec<f64> {
        if let (Some(from), Some(to), Some(step)) = (self.rate_from, self.rate_to, self.rate_step) {
            // A hair more than the highest, so that rounding does not leave it out.
            std::iter::successors(Some(from), |rate| Some(rate + step))
                .take_while(|rate| *rate <= to * (1.0 + 1e-9))
                .collect()
        } else {
            // Like a level, a rate that is named twice is one.
            let mut rates = self.rates.clone();
            rates.sort_by(f64::total_cmp);
            rates.dedup();
            rates
        }
    }

    /// The levels in rising order: connections, and rates.
    pub(super) fn levels(&self) -> Vec<(u32, Option<f64>)> {
        let rates = self.all_rates();
        if !self.levels.is_empty() {
            // A level is known by its connections: one that is named twice is one level.
            BTreeSet::from_iter(&self.levels).into_iter().map(|&connections| (connections.into(), None)).collect()
        } else if rates.is_empty() {
            (self.from..=self.to)
                .step_by(usize::from(self.step))
                .map(|connections| (connections.into(), None))
                .collect()
        } else {
            rates.into_iter().map(|rate| (self.rate_connections.into(), Some(rate))).collect()
        }
    }

    /// What it is called from run to run: sweeps of one load are set beside each other.
    fn subject(&self) -> Subject {
        let levels: Vec<String> = self
            .levels()
            .iter()
            .map(|(connections, rate)| rate.map_or_else(|| connections.to_string(), |rate| format!("{rate}/s")))
            .collect();
        let mut params = vec![
            ("levels", levels.join(",")),
            ("duration", humantime::format_duration(self.shape.duration).to_string()),
        ];
        params.extend(self.remote.target.iter().map(|target| ("target", target.origin())));
        let params = params.into_iter().map(|(name, value)| (name.to_owned(), value));
        let of_services = self.of_services().filter(|(_, args)| !args.is_empty());
        Subject { name: "sweep".to_owned(), params: params.chain(of_services).collect() }
    }

    /// What the report says beside the plan itself.
    fn notes(&self) -> BTreeMap<String, String> {
        let command = ("command".to_owned(), command_line(std::env::args_os()));
        std::iter::once(command).chain(self.of_services().filter(|_| self.remote.target.is_none())).collect()
    }

    /// The options of the services, with their values.
    fn of_services(&self) -> impl Iterator<Item = (String, String)> {
        self.local.arguments().map(|(name, args)| (format!("{name}_args"), args.clone()))
    }
}
