//! Workers that load nothing, as many as you like in one process: to see what a coordinator, and the log store, cost. `scripts/check workers many` runs it.
//!
//!     simulated REDIS NUMBER SECONDS TARGET     NUMBER workers that may load TARGET, and end a load SECONDS after its beginning
//!     simulated merge NUMBER                    how long it takes to put together what NUMBER workers have told
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is a tool for measuring")]

use load::{Snapshot, SplitMix, Tally};
use serde_json::{Value, json};
use stamp::{Beat, BeatClock, LogStore, clock, keys};
use std::time::Duration;
use tokio::time::{interval, sleep};

/// Requests a second of each.
const RATE: u64 = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [word, number] if word == "merge" => merge(number.parse().unwrap()),
        [redis, number, seconds, target] => {
            let log = LogStore::connect(&redis.parse().unwrap()).await.unwrap();
            let seconds = seconds.parse().unwrap();
            let workers = (0..number.parse().unwrap())
                .map(|number| tokio::spawn(worker(log.clone(), number, seconds, vec![target.clone()])));
            for worker in workers.collect::<Vec<_>>() {
                worker.await.unwrap();
            }
        }
        _ => println!("usage: simulated REDIS NUMBER SECONDS TARGET, or simulated merge NUMBER"),
    }
}

/// What a worker has measured after so many requests.
fn snapshot(requests: u64, random: &mut SplitMix) -> Snapshot {
    let mut tally = Tally { requests, connections: 4, ..Tally::new() };
    // So many different ones as a real load has, and quickly.
    let different = requests.clamp(1, 400);
    for number in 0..different {
        let count = requests / different + u64::from(number < requests % different);
        let us = 150 + random.below(400) + random.below(20) * random.below(300);
        for histogram in [&mut tally.service, &mut tally.response, &mut tally.send_delay] {
            histogram.record_n(us, count).unwrap();
        }
    }
    Snapshot { tally, users: 4, ..Snapshot::default() }
}

fn merge(number: usize) {
    let mut random = SplitMix::new(1);
    let told: Vec<String> =
        (0..number).map(|_| serde_json::to_string(&snapshot(10 * RATE, &mut random)).unwrap()).collect();
    let begun = clock::now();
    let mut whole = Snapshot::default();
    for one in &told {
        whole.add(&serde_json::from_str(one).unwrap());
    }
    let took = clock::now().duration_since(begun);
    let bytes = told.iter().map(String::len).sum::<usize>() / number;
    println!(
        "{number} workers, {bytes} bytes each: {:.2} ms, {} requests",
        took.as_secs_f64() * 1e3,
        whole.tally.requests
    );
}

async fn worker(log: LogStore, number: u64, seconds: u64, loads: Vec<String>) {
    let instance = format!("simulated-{number}");
    let beat = Beat {
        service: "worker".to_owned(),
        instance: instance.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: "nowhere".to_owned(),
        every: 100,
        clock: Some(BeatClock { error_us: 20, host_offset_us: 0, drift_ppm: 0.0, steps: 0 }),
        cores: Some(1),
        loads,
        ..Beat::default()
    };
    let beat = serde_json::to_string(&beat).unwrap();
    let mut random = SplitMix::new(number);
    // Not all in one moment.
    sleep(Duration::from_millis(random.below(250))).await;
    let (mut looks, mut lines, mut was_taken) = (interval(Duration::from_millis(250)), 0u64, false);
    let mut look = 0u64;
    let mut said: Option<(u64, &str)> = None;
    loop {
        looks.tick().await;
        if look.is_multiple_of(4) {
            log.put(&keys::service("worker", &instance), &beat, Duration::from_secs(5)).await.unwrap();
        }
        look += 1;
        let order: Option<Value> =
            log.get(&keys::worker(&instance)).await.unwrap().map(|order| serde_json::from_str(&order).unwrap());
        let Some(order) = order else { continue };
        if order["released"] == json!(true) {
            if was_taken {
                return;
            }
            continue;
        }
        was_taken = true;
        let task = &order["task"];
        let load = task["load"].as_u64();
        let now_us = i64::try_from(clock::unix_now().as_micros()).unwrap();
        let lasted_us = task["begin_us"].as_i64().map(|begin| now_us - begin);
        let phase = match (load, lasted_us) {
            (None, _) => "idle",
            (Some(_), None) => "ready",
            (Some(_), Some(us)) if us < i64::try_from(seconds * 1_000_000).unwrap() => "running",
            (Some(_), Some(_)) => "ended",
        };
        let state = (load.unwrap_or(0), phase);
        if said.replace(state) == Some(state) && !look.is_multiple_of(4) {
            continue;
        }
        lines += 1;
        let lasted = u64::try_from(lasted_us.unwrap_or(0).max(0)).unwrap().min(seconds * 1_000_000);
        let snapshot = load.map(|_| serde_json::to_value(snapshot(RATE * lasted / 1_000_000, &mut random)).unwrap());
        let line = json!({
            "worker": instance, "number": lines, "load": load, "phase": phase, "why": null, "clock_error_us": 20,
            "snapshot": snapshot,
        });
        let key = keys::work(order["coordinator"].as_str().unwrap());
        let (key, line) = (&key, &line.to_string());
        log.ask(|mut redis| async move {
            let mut xadd = redis::cmd("XADD");
            xadd.arg(key).arg("MAXLEN").arg("~").arg(20_000).arg("*").arg("line").arg(line);
            xadd.query_async::<String>(&mut redis).await
        })
        .await
        .unwrap();
    }
}
