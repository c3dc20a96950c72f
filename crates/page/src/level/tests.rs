use super::*;
use experiment::Who;
use stamp::clock;

fn level(path: &str, now: Instant) -> Level {
    let setting = Setting::all(&[(8, None)], Who::Connections, 1, 0, None).remove(0);
    Level::new(&setting, 1, 1, &path.parse().unwrap(), false, now)
}

/// A look that has seen these counts.
fn seen(counts: &[(&str, u64)], backlog: Option<u64>) -> Look {
    Look { counts: Some(counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()), backlog }
}

fn second(number: u64) -> Duration {
    Duration::from_secs(number)
}

#[test]
fn workers_are_shown_and_no_thread_of_theirs_is_busy_for_all() {
    let begin = clock::now();
    let mut level = level("apiserver,mqttclient", begin);
    let worker = |number, is_silent, is_lost| load::Generator {
        number,
        host: "h".to_owned(),
        requests: 10,
        accepted: 9,
        errors: 1,
        waiting: 0,
        send_delay_p99_us: 200,
        cpu: Some(second(1)),
        is_lost,
        is_silent,
    };
    let mut told = Vec::new();
    for number in 1..=3 {
        let generators = vec![worker(1, false, false), worker(2, number == 2, number == 3)];
        let cpu = Some(second(2 * number));
        let totals = Totals { requests: 20 * number, users: 8, cpu, generators, ..Totals::default() };
        level.tell(Arc::new(totals), begin + second(number));
        level.look(&seen(&[], None), number as f64, begin + second(number));
        let generator = level.generator().unwrap();
        told.push(generator.lacks.or(generator.limited_by));
    }
    let workers: Vec<_> = level.workers().iter().map(|worker| (worker.number, worker.failed, worker.is_lost)).collect();
    assert_eq!(workers, [(1, 1, false), (2, 1, true)]);
    let silent = "1 of 2 workers not heard for some seconds: their share is missing here".to_owned();
    let lost = "1 of 2 workers lost, whose share of the load is not sent".to_owned();
    assert_eq!(told, [None, Some(silent), Some(lost)]);
}

#[test]
fn rates_are_those_of_the_seconds() {
    let begin = clock::now();
    let mut level = level("apiserver,enqueue,publish,mqttclient", begin);
    for number in 1..=12 {
        let now = begin + second(number);
        let response = vec![(100, 900 * number), (5_000, 10 * number)];
        let errors = BTreeMap::from([("status 503".to_owned(), 5 * number)]);
        let (requests, cpu) = (915 * number, Some(Duration::from_millis(400 * number)));
        level.tell(Arc::new(Totals { requests, response, errors, users: 8, cpu, ..Totals::default() }), now);
        let passed = [("enqueue", 910 * number), ("publish", 900 * number), ("mqttclient", 890 * number)];
        let row = level.look(&seen(&passed, Some(10 * number)), number as f64, now);
        assert_eq!(row.get(Cell::Sent), Some(915.0));
        assert_eq!((row.get(Cell::HttpP50), row.get(Cell::HttpP99)), (Some(100.0), Some(5_000.0)));
        assert_eq!(row.get(Cell::Arrived), Some(890.0));
    }
    let now = begin + second(12);
    let tiles = level.tiles(now);
    assert_eq!((tiles.sent, tiles.accepted, tiles.failed), (Some(915.0), Some(910.0), Some(5.0)));
    assert_eq!((tiles.http.n, tiles.backlog), (9_100, Some(120)));
    assert!((tiles.backlog_per_s.unwrap() - 10.0).abs() < 1e-9);
    assert_eq!((tiles.in_flight, level.stalled(now)), (Some(240), None));
    assert!((level.generator().unwrap().cpu_share.unwrap() - 0.4).abs() < 1e-9);
    let books = level.books(now);
    assert_eq!((books.sent, books.accepted, books.failed, books.arrived), (Some(10_980), 10_920, Some(60), 10_680));
}

#[test]
fn what_is_measured_begins_anew_after_the_users_have_come() {
    let begin = clock::now();
    let mut level = level("apiserver,mqttclient", begin);
    let mut second_of = |number: u64, is_around: bool, requests: u64| {
        let now = begin + second(number);
        let response = vec![(100, requests)];
        level.tell(Arc::new(Totals { requests, response, is_around, users: 8, ..Totals::default() }), now);
        let row = level.look(&Look::default(), number as f64, now);
        (row.get(Cell::Sent), row.get(Cell::HttpN), level.tiles(now).http.n)
    };
    assert_eq!(second_of(1, true, 10), (Some(10.0), Some(10.0), 10));
    // More requests than all before, of another time: no second of either.
    assert_eq!(second_of(2, false, 70), (None, None, 0));
    assert_eq!(second_of(3, false, 170), (Some(100.0), Some(100.0), 100));
}

#[test]
fn what_left_the_last_hop_long_ago_and_has_not_arrived_is_missing() {
    let begin = clock::now();
    let mut level = level("apiserver,publish,mqttclient", begin);
    let mut look = |number: u64, published: u64, arrived: u64| {
        let now = begin + second(number);
        let passed = [("apiserver", published), ("publish", published), ("mqttclient", arrived)];
        level.look(&seen(&passed, None), number as f64, now);
        (level.tiles(now).lost, level.stalled(now).map(|time| time.as_secs()))
    };
    assert_eq!(look(1, 100, 100), (Some(0), None));
    for number in 2..=6 {
        // The broker stands still.
        let stalled = Some(number - 1).filter(|seconds| *seconds > 0);
        assert_eq!(look(number, 100 * number, 100), (Some(0), stalled));
    }
    // What was published by second 2 is overdue now.
    assert_eq!(look(7, 700, 100), (Some(100), Some(6)));
    // It comes back, and what it had goes on its way.
    assert_eq!(look(8, 800, 790), (Some(0), None));
}

#[test]
fn messages_are_followed_hop_by_hop() {
    let begin = clock::now();
    let mut level = level("send,apiserver,mqttclient", begin);
    for id in 0..20u64 {
        let times = [0, 1, 2].map(|stage| 1_000 + stage * (100 + id.cast_signed()));
        for (stage, time_us) in times.into_iter().enumerate() {
            level.stamps(stage, &[Stamp { id, time_us, lag_us: None, err_us: None, step: 0, foreign: true }], begin);
        }
    }
    assert!(level.has_foreign_clocks);
    let row = level.look(&Look::default(), 1.0, begin + second(1));
    assert_eq!(row.hops, [Some(109.5), Some(109.5)]);
    assert_eq!((row.get(Cell::ArrivalN), row.get(Cell::UserP99)), (Some(20.0), Some(238.0)));
    assert_eq!(row.heat.iter().map(|(_, count)| count).sum::<u64>(), 20);
    let slowest = level.slowest();
    assert_eq!((slowest.len(), slowest[0].id, slowest[9].id), (10, 19, 10));
    assert_eq!((slowest[0].arrival_us, &slowest[0].hops_us), (119, &vec![119, 119]));
}
