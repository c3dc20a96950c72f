//! The workers that make the loads of an experiment: found where they are, or started beside a private pipeline.

use crate::error::ExperimentError;
use crate::event::{Audience, Event};
use crate::pipeline::Pipeline;
use crate::plan::{Plan, Site, Workers};
use analysis::WorkerLoad;
use load::LoadPlan;
use stack::{Process, Redis, Sandbox, StackError};
use stamp::{RedisUrl, RunId, SampleEvery};
use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use workers::{Begun, Crew, Gathering, Made, Part};

/// Workers, and what was started for them.
#[derive(Debug)]
pub struct Hands {
    crew: Crew,
    // Ended after they have been released.
    processes: Vec<Process>,
    _redis: Option<Redis>,
}

impl Workers {
    /// Finds workers that may load these targets. Where `meeting` is not there already, a private one is started, and so are the workers.
    ///
    /// # Errors
    /// When too few come in time, or do not start.
    pub async fn gather(
        &self,
        meeting: Option<(&RedisUrl, bool)>,
        name: &str,
        every: SampleEvery,
        targets: &[String],
        mut tell: impl AsyncFnMut(&str),
    ) -> Result<Hands, ExperimentError> {
        let mut processes = Vec::new();
        let mut redis = None;
        let url = if let Some((url, _)) = meeting {
            url.clone()
        } else {
            let started = Redis::start().await?;
            let url = started.url().parse()?;
            redis = Some(started);
            url
        };
        if meeting.is_none_or(|(_, is_ours)| is_ours) {
            let sandbox = Arc::new(Sandbox::new()?);
            for number in 1..=self.count {
                let mut command = Command::new(&self.executable);
                let mut args: Vec<OsString> = ["worker", "--once", "--redis"].map(OsString::from).into();
                args.extend([url.to_string().into(), "--every".into(), every.to_string().into()]);
                args.extend(targets.iter().flat_map(|target| ["--allow-target".into(), target.into()]));
                stack::without_servers(command.args(args));
                processes.push(Process::spawn(&format!("worker-{number}"), command, &sandbox)?);
            }
        }
        let (within, clock_error, targets) = (self.within, self.clock_error, targets.to_vec());
        let gathering = Gathering { workers: self.count, within, every, clock_error, targets };
        // Those that have just been started come by themselves.
        let are_ours = !processes.is_empty();
        let tell = async |waiting: &str| {
            if !are_ours {
                tell(waiting).await;
            }
        };
        let gathered = {
            let gathering = Box::pin(Crew::gather(&url, name, &gathering, tell));
            tokio::select! {
                gathered = gathering => Ok(gathered?),
                ended = one_ends(&mut processes), if !processes.is_empty() => Err(ended),
            }
        };
        let crew = gathered?;
        Ok(Hands { crew, processes, _redis: redis })
    }
}

impl Hands {
    /// Those of a plan, where it has some.
    pub(crate) async fn of(
        plan: &Plan,
        id: &RunId,
        pipeline: &Pipeline,
        targets: &[String],
        audience: &mut Audience<'_>,
    ) -> Result<Option<Self>, ExperimentError> {
        let Some(workers) = &plan.workers else { return Ok(None) };
        let is_ours = matches!(plan.site, Site::Local(_));
        let meeting = pipeline.store.as_ref().map(|store| (&store.url, is_ours));
        let tell = async |waiting: &str| audience.tell(&Event::Waiting(waiting)).await;
        let hands = workers.gather(meeting, id.as_str(), plan.every, targets, tell).await?;
        Ok(Some(hands))
    }

    /// See [`Crew::begin`].
    ///
    /// # Errors
    /// As there.
    pub async fn begin(&mut self, plan: &LoadPlan, run: Option<&str>) -> Result<Begun, ExperimentError> {
        Ok(self.crew.begin(plan, run).await?)
    }

    /// See [`Crew::make`].
    ///
    /// # Errors
    /// As there.
    pub async fn make(
        &mut self,
        begun: Begun,
        plan: &LoadPlan,
        tell: impl AsyncFnMut(&load::Live),
    ) -> Result<Made, ExperimentError> {
        Ok(self.crew.make(begun, plan, tell).await?)
    }

    /// Who has been lost since this was asked last, and why; none: nobody.
    pub fn lost(&mut self) -> Option<String> {
        let lost = self.crew.newly_lost();
        (!lost.is_empty()).then(|| format!("workers were lost: {}", lost.join("; ")))
    }

    /// Fills up what was lost, as far as others are free.
    ///
    /// # Errors
    /// When nobody is left, or the log store fails.
    pub async fn refill(&mut self) -> Result<(), ExperimentError> {
        self.crew.refill().await?;
        if self.crew.there() == 0 {
            return Err(ExperimentError::WorkersLost("no worker is left".to_owned()));
        }
        Ok(())
    }

    /// Gives the workers back, and ends what was started for them.
    pub async fn close(self) {
        /// How long a process may take to end by itself.
        const ENDS_WITHIN: Duration = Duration::from_secs(3);
        self.crew.release().await;
        for mut process in self.processes {
            process.stop(ENDS_WITHIN).await;
        }
    }
}

/// Waits until one of these has ended, although it should not.
async fn one_ends(processes: &mut [Process]) -> StackError {
    /// How often they are looked at.
    const PERIOD: Duration = Duration::from_millis(100);
    loop {
        if let Some(error) = processes.iter_mut().find_map(|process| process.ended().err()) {
            return error;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// What each worker made, for the report.
pub fn of_parts(parts: &[Part]) -> Vec<WorkerLoad> {
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let one = |part: &Part| WorkerLoad {
        number: part.number,
        instance: part.instance.clone(),
        host: part.host.clone(),
        share: part.share,
        requests: part.requests,
        accepted: part.accepted,
        errors: part.errors,
        missed: part.missed,
        send_delay_p50_us: part.send_delay_p50_us,
        send_delay_p99_us: part.send_delay_p99_us,
        start_delay_us: part.late.map(micros),
        cpu_share: part.cpu_share,
        clock_error_us: part.clock_error_us,
        limited_by: part.limited_by.clone(),
        lost_us: part.lost.as_ref().map(|(after, _)| micros(*after)),
        lost_why: part.lost.as_ref().map(|(_, why)| why.clone()),
    };
    parts.iter().map(one).collect()
}
