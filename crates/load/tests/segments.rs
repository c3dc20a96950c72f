//! Several generators that make one load together make what a single one would, and what they measured is put together exactly.
#![allow(clippy::unwrap_used)]

use hdrhistogram::Histogram;
use load::{
    Around, Arrivals, Endpoint, Escape, Expected, Fence, Gate, Kind, Limit, LoadPlan, Pacing, Part, Program, Segment,
    Share, Shown, Source, Step, Table, Take, Tally, Task, Template, Together, Trust, Value, generate, histogram,
};
use stamp::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What a request said of itself: user, a number that was drawn, a row, and its id.
#[derive(Debug)]
struct Said {
    user: u32,
    drawn: u64,
    row: String,
    id: u64,
}

/// A server that answers each request alike.
async fn server() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(|| async { "fixed" })).await });
    address
}

fn value(source: Source) -> Part {
    Part::Value { source, escape: Escape::Plain, or: None }
}

fn literal(text: &str) -> Part {
    Part::Bytes(text.as_bytes().to_vec())
}

/// Two kinds of users, who each ask for `/<user>/<drawn>/<row>/<id>`.
fn program(endpoint: Endpoint, rows: usize) -> Program {
    let head = vec![
        literal("GET /"),
        value(Source::User),
        literal("/"),
        value(Source::Int(0, 1_000_000)),
        literal("/"),
        value(Source::Column(0, 0)),
        literal("/"),
        value(Source::Id),
        literal(" HTTP/1.1\r\nHost: x\r\n"),
    ];
    let step = Step {
        name: "ask".to_owned(),
        template: Template::new(head, None, false),
        site: 0,
        traced: false,
        expected: Expected::status("200".parse().unwrap()),
        timeout: Duration::from_secs(10),
        think: None,
        retry: None,
        always: false,
        repeat: 1,
        when: None,
    };
    let kind = |share| {
        let task = Task { name: "ask".to_owned(), weight: 1.0, steps: vec![0] };
        Kind { share, tables: vec![0], tasks: vec![task], ..Kind::default() }
    };
    let rows = (0..rows).map(|row| vec![Value::text(row.to_string())]).collect();
    Program {
        sites: vec![endpoint],
        steps: vec![step],
        kinds: vec![kind(Share::Weight(1.0)), kind(Share::Weight(2.0))],
        tables: vec![Table::new(rows, Take::Unique)],
        slots: Vec::new(),
        by_step: true,
    }
}

fn plan(program: Program, pacing: Pacing, users: u32) -> LoadPlan {
    LoadPlan {
        run: "r".to_owned(),
        limit: Some(Limit::Rounds(2_000)),
        seed: 7,
        ..LoadPlan::new(program, pacing, users, Duration::from_secs(60))
    }
}

fn said(request: &[u8]) -> Said {
    let text = String::from_utf8_lossy(request);
    let path: Vec<&str> = text.split(' ').nth(1).unwrap().split('/').collect();
    let [_, user, drawn, row, id] = path[..] else { panic!("{text}") };
    Said { user: user.parse().unwrap(), drawn: drawn.parse().unwrap(), row: row.to_owned(), id: id.parse().unwrap() }
}

/// What so many generators make of a load: their results, and each request with the time that it took.
async fn made(plan: &LoadPlan, of: u32) -> (Vec<Tally>, Vec<(Said, Duration)>) {
    let (show, mut shown) = mpsc::unbounded_channel();
    let begin = clock::now() + Duration::from_millis(50);
    let parts = (0..of).map(|index| {
        let fence = Fence::at(begin + Duration::from_secs(120));
        // As another process would read it.
        let told = serde_json::to_string(plan).unwrap();
        let told: LoadPlan = serde_json::from_str(&told).unwrap();
        let gate = Gate::default();
        gate.open(begin);
        let plan = LoadPlan {
            segment: Segment { worker: u16::try_from(index).unwrap() + 1, index, of },
            together: Some(Together { begin, fence, gate }),
            show: Some(show.clone()),
            ..told
        };
        tokio::spawn(async move {
            let mut plan = plan;
            let program = Arc::make_mut(&mut plan.program);
            program.sites[0] = program.sites[0].found().await.unwrap();
            generate(plan, None, watch::Sender::default()).await.unwrap()
        })
    });
    let mut tallies = Vec::new();
    for part in parts.collect::<Vec<_>>() {
        tallies.push(part.await.unwrap());
    }
    drop(show);
    let mut all = Vec::new();
    while let Some(Shown::Exchange(exchanged)) = shown.recv().await {
        assert_eq!(exchanged.failure, None);
        all.push((said(&exchanged.request), exchanged.took));
    }
    (tallies, all)
}

/// What they measured, put together after each has been told as text.
fn merged(tallies: &[Tally]) -> Tally {
    let mut whole = Tally::new();
    for tally in tallies {
        whole.add(&serde_json::from_str(&serde_json::to_string(tally).unwrap()).unwrap());
    }
    whole
}

fn by_user(all: &[(Said, Duration)]) -> BTreeMap<u32, Vec<u64>> {
    let mut by_user: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
    for (said, _) in all {
        by_user.entry(said.user).or_default().push((said.id, said.drawn));
    }
    // Ids of one generator rise.
    by_user
        .into_iter()
        .map(|(user, mut drawn)| {
            drawn.sort_unstable();
            (user, drawn.into_iter().map(|(_, drawn)| drawn).collect())
        })
        .collect()
}

#[tokio::test]
async fn four_generators_make_what_one_makes() {
    let target = server().await.parse().unwrap();
    let endpoint = Endpoint::open(&target, &Trust::System).await.unwrap();
    for pacing in [
        Pacing::Closed,
        Pacing::Open { rate: 4_000.0, arrivals: Arrivals::Constant, max_users: 9 },
        Pacing::Open { rate: 4_000.0, arrivals: Arrivals::Poisson, max_users: 9 },
    ] {
        let is_closed = matches!(pacing, Pacing::Closed);
        let plan = plan(program(endpoint.clone(), 9), pacing, 9);
        let (tallies, all) = made(&plan, 4).await;
        let whole = merged(&tallies);
        assert_eq!((whole.requests, whole.accepted(), whole.failed(), all.len()), (2_000, 2_000, 0, 2_000));

        // The merged histogram is that of all raw samples, to the last count.
        let mut raw: Histogram<u64> = histogram();
        for (_, took) in &all {
            raw.record(u64::try_from(took.as_micros()).unwrap().max(1)).unwrap();
        }
        assert_eq!(whole.service, raw);
        assert_eq!(whole.rounds.iter().flatten().map(|rounds| rounds.ended).sum::<u64>(), 2_000);

        // Nobody's ids, and nobody's rows, are another's.
        let ids: BTreeSet<u64> = all.iter().map(|(said, _)| said.id).collect();
        assert_eq!(ids.len(), 2_000);
        let rows: BTreeMap<u32, BTreeSet<&str>> = all.iter().fold(BTreeMap::new(), |mut rows, (said, _)| {
            rows.entry(said.user).or_insert_with(BTreeSet::new).insert(said.row.as_str());
            rows
        });
        assert!(rows.values().all(|rows| rows.len() == 1), "{rows:?}");
        assert_eq!(rows.values().flatten().collect::<BTreeSet<_>>().len(), rows.len());

        if is_closed {
            // The same seed has the same users draw the same numbers, whoever runs them.
            let (_, alone) = made(&plan, 1).await;
            let (together, alone) = (by_user(&all), by_user(&alone));
            assert_eq!(together.keys().collect::<Vec<_>>(), alone.keys().collect::<Vec<_>>());
            for (user, drawn) in &together {
                let length = drawn.len().min(alone[user].len());
                assert!(length > 0 && drawn[..length] == alone[user][..length], "user {user}");
            }
        }
    }
}

#[tokio::test]
async fn a_fence_ends_what_nobody_counts_on_any_more() {
    let target = server().await.parse().unwrap();
    let endpoint = Endpoint::open(&target, &Trust::System).await.unwrap();
    let pacing = Pacing::Open { rate: 1_000.0, arrivals: Arrivals::Constant, max_users: 9 };
    let begin = clock::now();
    let together = Together { begin, fence: Fence::at(begin + Duration::from_millis(300)), gate: Gate::default() };
    let plan = LoadPlan { limit: None, together: Some(together), ..plan(program(endpoint, 9), pacing, 9) };
    // It would go on for a minute.
    let tally = generate(plan, None, watch::Sender::default()).await.unwrap();
    assert!((1..=301).contains(&tally.requests), "{}", tally.requests);
}

#[tokio::test]
async fn a_number_of_rounds_counts_from_where_measuring_begins() {
    for pacing in [Pacing::Closed, Pacing::Open { rate: 500.0, arrivals: Arrivals::Constant, max_users: 4 }] {
        let endpoint = Endpoint::open(&server().await.parse().unwrap(), &Trust::System).await.unwrap();
        let warmup = Duration::from_millis(200);
        let plan = LoadPlan {
            limit: Some(Limit::Rounds(50)),
            around: Some(Around { run: "r.around".to_owned(), tracing: None, spawn: None, warmup }),
            stop_within: Some(Duration::from_secs(30)),
            ..plan(program(endpoint, 4), pacing, 4)
        };
        let tally = generate(plan, None, watch::Sender::default()).await.unwrap();
        let around = tally.around.unwrap();
        assert!(around.requests > 0);
        // A round may be due before that, and begin after it.
        assert!((50..=54).contains(&tally.requests), "{}", tally.requests);
    }
}

#[tokio::test]
async fn a_number_of_rounds_is_all_that_there_is_where_nothing_goes_before() {
    let endpoint = Endpoint::open(&server().await.parse().unwrap(), &Trust::System).await.unwrap();
    let around = Around { run: "r.around".to_owned(), tracing: None, spawn: None, warmup: Duration::ZERO };
    for (rounds, users) in [(50, 4_u32), (1, 1)] {
        let plan = LoadPlan {
            limit: Some(Limit::Rounds(rounds)),
            around: Some(around.clone()),
            stop_within: Some(Duration::from_secs(30)),
            ..plan(program(endpoint.clone(), users as usize), Pacing::Closed, users)
        };
        for generators in [1, users] {
            let whole = merged(&made(&plan, generators).await.0);
            assert_eq!((whole.requests, whole.around.unwrap().requests), (rounds, 0));
        }
    }
}
