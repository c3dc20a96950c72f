//! Experiments as a library runs them: two at a time in one process, each told as one stream of events.

#![allow(clippy::unwrap_used, reason = "it is a test")]

mod driving;

use experiment::{
    Audience, Change, Control, Event, Generator, Hooks, Listener, Outcome, Patience, Plan, Setting, Shape, Site,
    Telling, Who, Work,
};
use load::{Arrivals, RequestOptions, Trust};
use stamp::{ClockMode, Path, SampleEvery};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Writes down what it hears; equal ticks that follow each other once.
#[derive(Default)]
struct Record(Vec<String>);

impl Listener for Record {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        let heard = match event {
            Event::Begun { plan, sweep, .. } => format!("begun {} of {} levels", sweep.id, plan.levels.len()),
            Event::Warning(told) | Event::Waiting(told) => (*told).to_owned(),
            Event::WarmUp(setting) => format!("warm-up {setting}"),
            Event::LevelBegun { run, number, of, .. } => format!("level {number} of {of} {run}"),
            Event::Tick(_) => "ticks".to_owned(),
            Event::Draining(setting) => format!("draining {setting}"),
            Event::GivenUp { run, .. } => format!("given up {run}"),
            Event::Drained => "drained".to_owned(),
            Event::LevelEnded { level, report } => {
                format!("ended {} with {} so far", level.load.run, report.levels.len())
            }
            Event::Verdict(report) => format!("verdict on {} thresholds", report.thresholds.len()),
            Event::Ended => "ended".to_owned(),
            Event::PartLost(lost) => format!("lost {lost}"),
            Event::Paused => "paused".to_owned(),
        };
        if self.0.last() != Some(&heard) {
            self.0.push(heard);
        }
        Box::pin(async {})
    }
}

fn plan(levels: &[u32]) -> Plan {
    let levels: Vec<_> = levels.iter().map(|&connections| (connections, None)).collect();
    let every = SampleEvery::new(10).unwrap();
    Plan {
        site: Site::Local(driving::options("10")),
        queue: stamp::keys::DEFAULT_QUEUE.to_owned(),
        generator: Generator::Driver,
        workers: None,
        work: Work::Requests(RequestOptions::envelope(64)),
        trust: Trust::System,
        shape: Shape {
            duration: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            ramp: Duration::ZERO,
            arrivals: Arrivals::Constant,
            max_connections: 64,
            think: None,
            accept: "2xx".parse().unwrap(),
            seed: 1,
        },
        requests: None,
        levels: Setting::all(&levels, Who::Connections, 1, 1, None),
        hooks: Hooks::default(),
        search: None,
        open_ended: false,
        warmup: Duration::from_millis(300),
        every,
        path: Path::default(),
        clock: ClockMode::default(),
        skip_service_check: false,
        patience: Patience { still: Duration::from_secs(10), whole: Duration::from_secs(60) },
        p99_limit: Duration::from_secs(60),
        thresholds: vec!["lost==0".parse().unwrap()],
        text: None,
        subject: experiment::Subject::default(),
        notify: plan::Notify::default(),
        notes: BTreeMap::new(),
    }
}

/// Runs a plan to its end.
async fn run(plan: &Plan, id: &str, listeners: Vec<&mut dyn Listener>) -> Outcome {
    let (control, stop) = (Control::default(), CancellationToken::new());
    let audience = &mut Audience::new(listeners);
    experiment::run(plan, &id.parse().unwrap(), audience, &control, &stop).await.unwrap().unwrap()
}

#[tokio::test]
async fn two_at_a_time_in_one_process() {
    let run = async |id: &str, levels: &[u32]| {
        let mut record = Record::default();
        let outcome = run(&plan(levels), id, vec![&mut record]).await;
        assert!(outcome.failed.is_none(), "{:?}", outcome.failed);
        (outcome.report, record.0)
    };
    let ((one, heard), (other, _)) = tokio::join!(run("one", &[1, 3]), run("other", &[2]));
    assert_eq!(
        heard,
        [
            "begun one of 2 levels",
            "warm-up 1 connection",
            "ticks",
            "draining 1 connection",
            "level 1 of 2 one.c01",
            "ticks",
            "draining 1 connection",
            "drained",
            "ended one.c01 with 1 so far",
            "warm-up 3 connections",
            "ticks",
            "draining 3 connections",
            "level 2 of 2 one.c03",
            "ticks",
            "draining 3 connections",
            "drained",
            "ended one.c03 with 2 so far",
            "verdict on 1 thresholds",
            "ended",
        ]
    );
    for (report, levels) in [(one, 2), (other, 1)] {
        assert_eq!(report.levels.len(), levels);
        assert!(!report.misses_a_threshold());
        assert!(report.levels.iter().all(|level| level.books.lost == 0 && level.arrival.count > 0));
    }
}

#[tokio::test]
async fn one_that_is_stopped_keeps_what_it_has() {
    /// Stops at the second tick of a level.
    struct Impatient(CancellationToken, u32);
    impl Listener for Impatient {
        fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
            match event {
                Event::LevelBegun { .. } => self.1 = 2,
                Event::Tick(_) if self.1 == 1 => self.0.cancel(),
                Event::Tick(_) => self.1 = self.1.saturating_sub(1),
                _ => {}
            }
            Box::pin(async {})
        }
    }
    let stop = CancellationToken::new();
    let mut plan = plan(&[2, 4]);
    plan.shape.duration = Duration::from_secs(60);
    let mut impatient = Impatient(stop.clone(), 0);
    let mut record = Record::default();
    let audience = &mut Audience::new(vec![&mut impatient, &mut record]);
    let outcome = experiment::run(&plan, &"stopped".parse().unwrap(), audience, &Control::default(), &stop)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outcome.report.levels.len(), 1, "{:?}", record.0);
    assert!(outcome.report.levels[0].load.interrupted_us.is_some());
    assert_eq!(record.0.last().map(String::as_str), Some("ended"));
}

/// Ends all connections to Redis in the middle of the second level.
#[derive(Default)]
struct Killer {
    redis: Option<stamp::RedisUrl>,
    ticks: u32,
}

impl Listener for Killer {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        Box::pin(async move {
            match event {
                Event::Begun { pipeline, .. } => self.redis = pipeline.store.as_ref().map(|store| store.url.clone()),
                Event::LevelBegun { number: 2, .. } => self.ticks = 1,
                Event::Tick(_) if self.ticks > 0 => {
                    self.ticks += 1;
                    if self.ticks == 3 {
                        let mut redis = self.redis.as_ref().unwrap().connect(stamp::Wait::BRIEFLY).await.unwrap();
                        let killed: u64 = redis::cmd("CLIENT")
                            .arg("KILL")
                            .arg("TYPE")
                            .arg("normal")
                            .query_async(&mut redis)
                            .await
                            .unwrap();
                        assert!(killed > 3, "{killed}");
                    }
                }
                _ => {}
            }
        })
    }
}

#[tokio::test]
async fn connections_to_redis_that_are_ended_cost_no_level() {
    let (mut plan, mut killer, mut record) = (plan(&[1, 2, 3]), Killer::default(), Record::default());
    plan.thresholds.clear();
    // What was popped by a connection that is ended is lost, and told; nothing is waited for longer than it must.
    plan.patience.still = Duration::from_secs(1);
    let outcome = run(&plan, "killed", vec![&mut killer, &mut record]).await;
    assert!(outcome.failed.is_none(), "{:?} after {:?}", outcome.failed, record.0);
    assert_eq!(outcome.report.levels.len(), 3, "{:?}", record.0);
    assert!(killer.ticks >= 3);
    let accepted = |index: usize| outcome.report.levels[index].load.http.as_ref().unwrap().accepted;
    assert!((0..3).all(|index| accepted(index) > 0));
}

/// Lets the log store run full, with a policy that evicts.
struct Cramped(&'static [&'static str], Option<stamp::RedisUrl>);

impl Listener for Cramped {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        Box::pin(async move {
            if let Event::LevelBegun { .. } = event {
                let mut redis = self.1.as_ref().unwrap().connect(stamp::Wait::BRIEFLY).await.unwrap();
                for setting in self.0 {
                    let words: Vec<&str> = setting.split(' ').collect();
                    let () = redis::cmd("CONFIG").arg("SET").arg(&words).query_async(&mut redis).await.unwrap();
                }
            }
            if let Event::Begun { pipeline, .. } = event {
                self.1 = pipeline.store.as_ref().map(|store| store.url.clone());
            }
        })
    }
}

#[tokio::test]
async fn a_log_store_that_evicts_stamps_is_told() {
    let (mut plan, mut record) = (plan(&[2]), Record::default());
    plan.thresholds.clear();
    plan.patience.still = Duration::from_secs(1);
    let mut cramped = Cramped(&["maxmemory-policy volatile-lru", "maxmemory 1"], None);
    run(&plan, "evicting", vec![&mut cramped, &mut record]).await;
    let told = record.0.iter().find(|line| line.contains("keys during this level"));
    assert!(told.is_some_and(|told| told.contains("set maxmemory-policy noeviction")), "{:?}", record.0);
}

/// Changes the load in the middle of its first level, and pauses the second.
struct Hands {
    control: Control,
    ticks: u32,
    level: usize,
}

impl Listener for Hands {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        match event {
            Event::LevelBegun { number, .. } => (self.level, self.ticks) = (*number, 0),
            Event::Tick(_) => {
                self.ticks += 1;
                match (self.level, self.ticks) {
                    (1, 3) => self.control.change(Change { users: Some(3), ..Change::default() }),
                    (2, 3) => self.control.pause(),
                    _ => {}
                }
            }
            Event::Paused => self.control.go_on(),
            _ => {}
        }
        Box::pin(async {})
    }
}

#[tokio::test]
async fn a_change_begins_another_level_and_no_figure_spans_two() {
    let mut plan = plan(&[1]);
    (plan.shape.duration, plan.warmup) = (Duration::from_secs(30), Duration::ZERO);
    let (control, mut record) = (Control::default(), Record::default());
    let mut hands = Hands { control: control.clone(), ticks: 0, level: 0 };
    let stop = CancellationToken::new();
    let stopping = async {
        let mut third = Third { stop: stop.clone(), begun: false };
        let audience = &mut Audience::new(vec![&mut hands, &mut record, &mut third]);
        experiment::run(&plan, &"changed".parse().unwrap(), audience, &control, &stop).await.unwrap().unwrap()
    };
    let report = stopping.await.report;
    let of_levels: Vec<_> = record.0.iter().filter(|line| line.starts_with("level ") || *line == "paused").collect();
    let expected = ["level 1 of 1 changed.c01", "level 2 of 2 changed.c03", "paused", "level 3 of 3 changed.c03.2"];
    assert_eq!(of_levels, expected);
    let connections: Vec<_> = report.levels.iter().map(|level| (level.load.concurrency, level.load.repeat)).collect();
    assert_eq!(connections, [(Some(1), 1), (Some(3), 1), (Some(3), 2)]);
    for level in &report.levels {
        let http = level.load.http.as_ref().unwrap();
        assert!(http.accepted > 0 && http.duration_us < 20_000_000, "{http:?}");
        assert_eq!((level.books.lost, level.books.in_flight, level.books.arrived), (0, 0, http.accepted));
        // Only the one that was stopped was interrupted.
        assert_eq!(level.load.interrupted_us.is_some(), level.load.repeat == 2, "{:?}", level.load.run);
    }
}

/// Stops the third level.
struct Third {
    stop: CancellationToken,
    begun: bool,
}

impl Listener for Third {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        match event {
            Event::LevelBegun { number: 3, .. } => self.begun = true,
            Event::Tick(_) if self.begun => self.stop.cancel(),
            _ => {}
        }
        Box::pin(async {})
    }
}
