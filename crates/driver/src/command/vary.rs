//! `driver run` of a plan that varies parameters: every combination, shuffled, repeated, one experiment each; one report over all. It goes on after an
//! interruption, in the same order.

mod record;

use super::measuring::MeasuringArgs;
use super::planned::With;
use crate::output;
use analysis::{Varied, VariedRun};
use anyhow::Context;
use load::SplitMix;
use plan::Vary;
use record::{Begun, Record};
use reporter::{varied_table, write_varied};
use service::shutdown_on_signal;
use stamp::{RunId, UsageError, counted, ensure_usage};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Starting and ending a pipeline, draining and reporting: for the estimate alone.
const AROUND: Duration = Duration::from_secs(2);

/// Trials that a search takes, more or less: for the estimate alone.
const USUAL_TRIALS: u32 = 25;

/// Who wants more than this has to say so.
const MOST_RUNS: u64 = 1000;
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How it is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Go on with the newest that was interrupted.
    pub(super) resume: bool,
    /// It may take as long as it takes.
    pub(super) yes: bool,
}

/// All runs of a plan's combinations.
struct Varying<'a> {
    with: &'a With<'a>,
    name: String,
    vary: Vary,
    /// Combinations and repetitions, in the order of running.
    order: Vec<(u64, u32)>,
    folder: PathBuf,
    id: RunId,
    runs: Vec<VariedRun>,
    record: Record,
}

/// Runs every combination.
pub(super) async fn perform(with: &With<'_>, plan: plan::Plan, vary: Vary, how: How) -> anyhow::Result<ExitCode> {
    let set = with.args.set.iter().find(|(set, _)| vary.params.iter().any(|(name, _)| name == set));
    if let Some((name, _)) = set {
        return Err(UsageError(format!("--set {name}: the plan varies it; leave one of both out")).into());
    }
    check_size(&plan, &vary, how)?;
    // What is wrong with the plan shows before anything begins.
    let planned = with.experiment(plan::Plan { vary: None, ..plan.clone() })?;
    let mut settings = experiment::settings(&planned);
    settings.extend(with.redis.iter().map(|url| ("redis".to_owned(), url.to_string())));
    let begun = Begun {
        version: record::VERSION,
        plan: with.kept(&plan)?,
        params: vary.params.clone(),
        repeat: vary.repeat,
        seed: plan.load.seed.unwrap_or(1),
        settings,
    };
    let order = order(&vary, begun.seed);
    let out = with.measuring.out();
    let (folder, record, runs) = if how.resume {
        record::resume(out, &begun)?
    } else {
        let folder = out.join(experiment::new_id().as_str());
        let record = Record::begin(&folder, &begun)?;
        (folder, record, Vec::new())
    };
    let id = folder.file_name().map(|name| name.to_string_lossy().parse()).transpose()?;
    let id: RunId = id.ok_or_else(|| UsageError(format!("{} has no name", folder.display())))?;
    let mut varying = Varying { with, name: with.subject(&plan).name, vary, order, folder, id, runs, record };
    Box::pin(varying.all()).await
}

/// Every combination in each repetition, each repetition in an order of its own: what changes slowly about the machine then meets all alike.
fn order(vary: &Vary, seed: u64) -> Vec<(u64, u32)> {
    let mut random = SplitMix::new(seed);
    (1..=vary.repeat)
        .flat_map(|repeat| {
            let mut numbers: Vec<u64> = (0..vary.combinations()).collect();
            random.shuffle(&mut numbers);
            numbers.into_iter().map(move |number| (number, repeat)).collect::<Vec<_>>()
        })
        .collect()
}

/// Refuses what would take very long, unless that is wanted.
fn check_size(plan: &plan::Plan, vary: &Vary, how: How) -> anyhow::Result<()> {
    let runs = vary.runs();
    let each = estimate(plan);
    let all = Duration::try_from_secs_f64(each.as_secs_f64() * runs as f64).unwrap_or(Duration::MAX);
    let long = humantime::format_duration(Duration::from_secs(all.as_secs())).to_string();
    // Years alone, where there are any.
    let long = if all > Duration::from_secs(365 * 86_400) {
        format!("{:.0} years", all.as_secs_f64() / 31_557_600.0)
    } else {
        long
    };
    let told = format!(
        "{}, {} of some {} s each: about {long}",
        counted(vary.combinations(), "combination"),
        counted(runs, "run"),
        each.as_secs()
    );
    ensure_usage(how.yes || runs <= MOST_RUNS && all <= LONGEST, || {
        format!("{told}. Give fewer values or a lower `repeat`, or --yes if that is what you want")
    })?;
    ensure_usage(runs <= 10_000_000, || format!("{told}: that is more than can be kept in order; give fewer values"))?;
    output::note(&told);
    Ok(())
}

/// How long a run of the plan takes, more or less.
fn estimate(plan: &plan::Plan) -> Duration {
    let usual = Duration::from_secs(10);
    let load = &plan.load;
    let warmup = load.warmup.unwrap_or_default();
    let levels = |count: usize| u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    let duration = load.duration.unwrap_or(usual).saturating_add(warmup);
    let loads = match (&plan.search, &load.amount) {
        (Some(search), _) => {
            // Half of the trials are shorter.
            let trial = search.trial.unwrap_or(usual).saturating_add(warmup);
            trial.saturating_mul(USUAL_TRIALS) / 2
        }
        (None, plan::Amount::Users(users)) => duration.saturating_mul(levels(users.len())),
        (None, plan::Amount::Rates(rates)) => duration.saturating_mul(levels(rates.len())),
        (None, plan::Amount::Stages(stages)) => stages.iter().map(|stage| stage.over).sum::<Duration>() + warmup,
    };
    loads.saturating_mul(load.repeat.max(1)).saturating_add(AROUND)
}

impl Varying<'_> {
    async fn all(&mut self) -> anyhow::Result<ExitCode> {
        let stop = shutdown_on_signal()?;
        let measuring = self.with.measuring.within(&self.folder);
        let mut page = measuring.open_page_of("run").await?;
        let planned = self.order.len();
        for (index, (number, repeat)) in self.order.clone().into_iter().enumerate() {
            if self.runs.iter().any(|run| run.number == index + 1) {
                continue;
            }
            let run = self.one(index + 1, number, repeat, &measuring, page.as_mut(), &stop).await?;
            if stop.is_cancelled() {
                break;
            }
            self.record.add(&run)?;
            self.runs.push(run);
            self.runs.sort_by_key(|run| run.number);
            self.write(planned)?;
        }
        if let Some(page) = page {
            page.close();
        }
        let varied = self.write(planned)?;
        if self.runs.is_empty() {
            output::note("no run was finished: there is nothing to report");
            return Ok(ExitCode::from(super::INTERRUPTED));
        }
        if self.with.measuring.wants_json() {
            output::result(&serde_json::to_string(&varied)?);
        } else {
            output::result(&varied_table(&varied));
        }
        varied.sentences.iter().for_each(|sentence| output::note(sentence));
        output::note(&format!("report: {}", self.folder.join("vary.md").display()));
        if stop.is_cancelled() {
            output::note("ended early: the same command with --resume goes on");
            return Ok(ExitCode::from(super::INTERRUPTED));
        }
        Ok(if self.runs.iter().any(|run| run.failed.is_some()) {
            ExitCode::FAILURE
        } else if self.runs.iter().any(|run| run.missed) {
            ExitCode::from(super::THRESHOLD_MISSED)
        } else {
            ExitCode::SUCCESS
        })
    }

    /// One run of one combination.
    async fn one(
        &self,
        number: usize,
        combination: u64,
        repeat: u32,
        measuring: &MeasuringArgs,
        page: Option<&mut page::Page>,
        stop: &CancellationToken,
    ) -> anyhow::Result<VariedRun> {
        let combination = self.vary.combination(combination);
        let told: Vec<String> = combination.iter().map(|(name, value)| format!("{name}={value}")).collect();
        output::note(&format!("run {number} of {}: {}, repetition {repeat}", self.order.len(), told.join(" ")));
        let id: RunId = format!("{}.{number:03}", self.id).parse()?;
        // What an interrupted run has left is of no use.
        let _ = std::fs::remove_dir_all(self.folder.join(id.as_str()));
        let ran = self.measured(&combination, &id, measuring, page, stop).await;
        let report = id.to_string();
        let empty = VariedRun {
            number,
            combination,
            repeat,
            figures: Vec::new(),
            report,
            verdict: None,
            missed: false,
            failed: None,
        };
        Ok(match ran {
            Ok(Some(report)) if report.tells_nothing() => VariedRun {
                failed: Some(
                    report.findings.verdict.first().map_or_else(|| "nothing was accepted".to_owned(), Clone::clone),
                ),
                ..empty
            },
            Ok(Some(report)) => VariedRun {
                figures: report.key_figures(),
                verdict: report.findings.verdict.first().cloned(),
                missed: report.misses_a_demand(),
                ..empty
            },
            Ok(None) => VariedRun { failed: Some("it was ended before anything was measured".to_owned()), ..empty },
            Err(error) => {
                output::error(&error);
                VariedRun { failed: Some(stamp::mask(&format!("{error:#}")).into_owned()), ..empty }
            }
        })
    }

    async fn measured(
        &self,
        combination: &[(String, String)],
        id: &RunId,
        measuring: &MeasuringArgs,
        page: Option<&mut page::Page>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<analysis::Report>> {
        let args = self.with.args.with(combination);
        let with = With { args: &args, ..self.with.clone() };
        let mut plan = with.plan()?;
        plan.vary = None;
        let mut plan = with.experiment(plan)?;
        plan.notes.extend(combination.iter().map(|(name, value)| (format!("param_{name}"), value.clone())));
        Box::pin(measuring.show(&plan, id, &mut (), page, stop)).await
    }

    fn write(&self, planned: usize) -> anyhow::Result<Varied> {
        let varied = Varied::new(&self.name, &self.vary.params, planned, &self.runs);
        write_varied(&varied, &self.folder).context("each run so far is kept: make room, and go on with --resume")?;
        Ok(varied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_repetition_has_an_order_of_its_own_and_the_same_for_the_same_seed() {
        let list = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        let vary = Vary { params: vec![("n".to_owned(), list(&["1", "2", "3", "4", "5", "6", "7", "8"]))], repeat: 3 };
        let all = order(&vary, 7);
        assert_eq!((all.len(), &all), (24, &order(&vary, 7)));
        let of = |repeat| all.iter().filter(|one| one.1 == repeat).map(|one| one.0).collect::<Vec<_>>();
        assert_ne!(of(1), of(2));
        let mut sorted = of(3);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..8).collect::<Vec<_>>());
        assert!(all.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    }
}
