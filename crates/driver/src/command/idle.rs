//! Options that would do nothing beside the others: each is refused, with the reason.

use clap::ArgMatches;
use reporter::{IDLE_IN_REPORTS, Idle, is_given, is_set, refuse_idle};
use stamp::UsageError;

/// Refuses a command line on which something would be ignored.
///
/// # Errors
/// Names it, and why.
pub(crate) fn refuse(matches: &ArgMatches) -> Result<(), UsageError> {
    if let Some(("sweep" | "run" | "find" | "capacity" | "load" | "watch" | "chaos", matches)) = matches.subcommand() {
        refuse_idle(matches, PAGE)?;
    }
    if let Some(("sweep" | "run" | "find" | "ui" | "watch" | "capacity" | "report", matches)) = matches.subcommand() {
        refuse_idle(matches, TRACES)?;
    }
    if let Some(("sweep" | "run" | "find" | "ui" | "load" | "watch" | "capacity", matches)) = matches.subcommand() {
        refuse_idle(matches, WORKERS)?;
    }
    if let Some(("watch" | "capacity", matches)) = matches.subcommand() {
        refuse_idle(matches, ONE_GENERATOR)?;
    }
    match matches.subcommand() {
        Some(("sweep", matches)) => {
            refuse_idle(matches, PLAN)?;
            if is_given(matches, "plan") {
                return refuse_idle(matches, BESIDE_PLAN);
            }
            refuse_idle(matches, SWEEP)?;
            refuse_idle(matches, SHAPE)?;
            refuse_idle(matches, WRK)
        }
        Some(("load", matches)) => {
            refuse_idle(matches, LOAD)?;
            refuse_idle(matches, SHAPE)
        }
        Some(("otlp-receive", matches)) => refuse_idle(matches, RECEIVER),
        Some(("report" | "compare", matches)) => refuse_idle(matches, IDLE_IN_REPORTS),
        _ => Ok(()),
    }
}

/// What shapes every load, in `sweep` and `load`.
const SHAPE: &[Idle] = &[
    Idle { id: "arrivals", option: "--arrivals", why: closed },
    Idle { id: "max_connections", option: "--max-connections", why: closed },
    Idle { id: "think_time", option: "--think-time", why: open },
    Idle { id: "payload_bytes", option: "--payload-bytes", why: has_no_payload },
    Idle { id: "cacert", option: "--cacert", why: no_tls },
    Idle { id: "insecure", option: "--insecure", why: no_tls },
];

/// What the live page may do.
const PAGE: &[Idle] = &[
    Idle { id: "ui_host", option: "--ui-host", why: no_page },
    Idle { id: "ui_max_users", option: "--ui-max-users", why: no_page },
    Idle { id: "ui_max_rate", option: "--ui-max-rate", why: no_page },
];

/// How traces are sent.
const TRACES: &[Idle] = &[
    Idle { id: "otlp_header", option: "--otlp-header", why: no_collector },
    Idle { id: "otlp_ca", option: "--otlp-ca", why: no_collector },
    Idle { id: "otlp_within", option: "--otlp-within", why: no_collector },
    Idle { id: "otlp_topic", option: "--otlp-topic", why: no_collector },
];

/// What every service has, and none that takes the times of others.
const RECEIVER: &[Idle] = &[Idle { id: "clock", option: "--clock", why: times_of_others }];

/// How workers are taken.
const WORKERS: &[Idle] = &[
    Idle { id: "workers_within", option: "--workers-within", why: no_workers },
    Idle { id: "on_worker_loss", option: "--on-worker-loss", why: no_workers },
    Idle { id: "worker_clock_error", option: "--worker-clock-error", why: no_workers },
];

/// What one generator makes, or none.
const ONE_GENERATOR: &[Idle] = &[Idle { id: "workers", option: "--workers", why: no_work }];

/// What is set over a plan.
const PLAN: &[Idle] = &[
    Idle { id: "set", option: "--set", why: no_plan },
    Idle { id: "params", option: "--params", why: no_plan },
    Idle { id: "only", option: "--only", why: no_plan },
    Idle { id: "except", option: "--except", why: no_plan },
    Idle { id: "users", option: "--users", why: no_plan },
    Idle { id: "spawn", option: "--spawn", why: no_plan },
    Idle { id: "max_users", option: "--max-users", why: no_plan },
    Idle { id: "stop_timeout", option: "--stop-timeout", why: no_plan },
];

/// What a plan says itself.
const BESIDE_PLAN: &[Idle] = &[
    Idle { id: "from", option: "--from", why: plan_levels },
    Idle { id: "to", option: "--to", why: plan_levels },
    Idle { id: "step", option: "--step", why: plan_levels },
    Idle { id: "levels", option: "--levels", why: plan_levels },
    Idle { id: "rate_connections", option: "--rate-connections", why: plan_levels },
    Idle { id: "max_connections", option: "--max-connections", why: plan_levels },
    Idle { id: "generator", option: "--generator", why: plan_says },
    Idle { id: "method", option: "--method", why: plan_says },
    Idle { id: "header", option: "--header", why: plan_says },
    Idle { id: "body", option: "--body", why: plan_says },
    Idle { id: "body_file", option: "--body-file", why: plan_says },
    Idle { id: "http_path", option: "--http-path", why: plan_says },
    Idle { id: "payload_bytes", option: "--payload-bytes", why: plan_says },
    Idle { id: "accept", option: "--accept", why: plan_says },
    Idle { id: "think_time", option: "--think-time", why: plan_says },
    Idle { id: "ramp", option: "--ramp", why: plan_ramp },
    Idle { id: "clock", option: "--clock", why: plan_says },
    Idle { id: "target", option: "--target", why: plan_target },
    Idle { id: "queue", option: "--queue-key", why: plan_target },
    Idle { id: "apiserver_args", option: "--apiserver-args", why: plan_target },
    Idle { id: "pushserver_args", option: "--pushserver-args", why: plan_target },
    Idle { id: "mqttclient_args", option: "--mqttclient-args", why: plan_target },
    Idle { id: "apiservers", option: "--apiservers", why: plan_target },
    Idle { id: "pushservers", option: "--pushservers", why: plan_target },
    Idle { id: "mqttclients", option: "--mqttclients", why: plan_target },
    Idle { id: "apiserver_cpus", option: "--apiserver-cpus", why: plan_target },
    Idle { id: "pushserver_cpus", option: "--pushserver-cpus", why: plan_target },
    Idle { id: "mqttclient_cpus", option: "--mqttclient-cpus", why: plan_target },
    Idle { id: "redis_cpus", option: "--redis-cpus", why: plan_target },
    Idle { id: "mosquitto_cpus", option: "--mosquitto-cpus", why: plan_target },
];

const LOAD: &[Idle] = &[
    Idle { id: "redis_user", option: "--redis-user", why: no_log_store },
    Idle { id: "redis_password_file", option: "--redis-password-file", why: no_log_store },
    Idle { id: "redis_ca", option: "--redis-ca", why: no_log_store },
];

const SWEEP: &[Idle] = &[
    Idle { id: "rate_connections", option: "--rate-connections", why: closed },
    Idle { id: "apiserver_args", option: "--apiserver-args", why: remote },
    Idle { id: "pushserver_args", option: "--pushserver-args", why: remote },
    Idle { id: "mqttclient_args", option: "--mqttclient-args", why: remote },
    Idle { id: "apiservers", option: "--apiservers", why: remote },
    Idle { id: "pushservers", option: "--pushservers", why: remote },
    Idle { id: "mqttclients", option: "--mqttclients", why: remote },
    Idle { id: "apiserver_cpus", option: "--apiserver-cpus", why: remote },
    Idle { id: "pushserver_cpus", option: "--pushserver-cpus", why: remote },
    Idle { id: "mqttclient_cpus", option: "--mqttclient-cpus", why: remote },
    Idle { id: "redis_cpus", option: "--redis-cpus", why: remote },
    Idle { id: "mosquitto_cpus", option: "--mosquitto-cpus", why: remote },
    Idle { id: "redis", option: "--redis", why: local },
    Idle { id: "log_store", option: "--log-store", why: local },
    Idle { id: "queue", option: "--queue-key", why: local_queue },
    Idle { id: "redis_user", option: "--redis-user", why: local },
    Idle { id: "redis_password_file", option: "--redis-password-file", why: local },
    Idle { id: "redis_ca", option: "--redis-ca", why: local },
];

/// What wrk with scripts/post.lua cannot do.
const WRK: &[Idle] = &[
    Idle { id: "method", option: "--method", why: wrk_posts },
    Idle { id: "header", option: "--header", why: wrk_sends_its_own },
    Idle { id: "body", option: "--body", why: wrk_sends_its_own },
    Idle { id: "body_file", option: "--body-file", why: wrk_sends_its_own },
    Idle { id: "http_path", option: "--http-path", why: wrk_path },
    Idle { id: "requests", option: "--requests", why: wrk_lasts },
    Idle { id: "ramp", option: "--ramp", why: wrk_lasts },
    Idle { id: "think_time", option: "--think-time", why: wrk_lasts },
    Idle { id: "accept", option: "--accept", why: wrk_accepts },
    Idle { id: "timeout", option: "--timeout", why: wrk_timeout },
    Idle { id: "cacert", option: "--cacert", why: wrk_tls },
    Idle { id: "insecure", option: "--insecure", why: wrk_tls },
    Idle { id: "clock", option: "--clock", why: wrk_stamps },
    Idle { id: "path", option: "--path", why: wrk_send },
];

fn no_workers(matches: &ArgMatches) -> Option<&'static str> {
    (!is_set(matches, "workers"))
        .then_some("one generator makes the load: say how many workers do with --workers, or leave it out")
}

fn no_collector(matches: &ArgMatches) -> Option<&'static str> {
    (!is_set(matches, "otlp")).then_some("no traces are sent (--otlp)")
}

fn times_of_others(matches: &ArgMatches) -> Option<&'static str> {
    is_given(matches, "clock")
        .then_some("the spans say when things happened, by the clocks of their services: leave it out")
}

fn no_work(matches: &ArgMatches) -> Option<&'static str> {
    is_given(matches, "workers")
        .then_some("here no workers load: another program does, or one generator measures each part; leave it out")
}

fn no_page(matches: &ArgMatches) -> Option<&'static str> {
    (!is_given(matches, "ui")).then_some("there is no page: open one with --ui, or leave it out")
}

fn no_plan(matches: &ArgMatches) -> Option<&'static str> {
    (!is_given(matches, "plan")).then_some("it is for the users of a plan file: give one with --plan, or leave it out")
}

fn plan_levels(matches: &ArgMatches) -> Option<&'static str> {
    is_given(matches, "plan")
        .then_some("the levels of a plan are of users or of rounds a second: give --users or --rates")
}

fn plan_says(matches: &ArgMatches) -> Option<&'static str> {
    is_given(matches, "plan").then_some("the plan says what is sent, and what must be answered: leave it out")
}

fn plan_ramp(matches: &ArgMatches) -> Option<&'static str> {
    is_given(matches, "plan").then_some("the users of a plan begin by --spawn, before the time that is measured")
}

fn plan_target(matches: &ArgMatches) -> Option<&'static str> {
    is_given(matches, "plan").then_some("the plan names what is loaded: set its parameters with --set, or leave it out")
}

fn is_open(matches: &ArgMatches) -> bool {
    ["rate", "rates", "rate_from"].iter().any(|id| is_given(matches, id))
}

fn closed(matches: &ArgMatches) -> Option<&'static str> {
    let told = "it is for an open loop, and this loop is closed: give a rate (--rate of load, --rates of sweep), or leave it out";
    (!is_open(matches)).then_some(told)
}

fn open(matches: &ArgMatches) -> Option<&'static str> {
    is_open(matches).then_some("an open loop sends on schedule and pauses nowhere: leave it, or the rate, out")
}

fn has_no_payload(matches: &ArgMatches) -> Option<&'static str> {
    let told = "the body holds no {payload}: put that into it, or leave it out";
    // A file may hold one.
    matches.get_one::<String>("body").filter(|body| !body.contains("{payload}")).map(|_| told)
}

fn no_tls(matches: &ArgMatches) -> Option<&'static str> {
    let target = matches.get_raw("target").and_then(|mut values| values.next());
    let is_tls = target.is_some_and(|target| target.to_string_lossy().to_ascii_lowercase().starts_with("https:"));
    (!is_tls).then_some("the target is not https: leave it out")
}

fn no_log_store(matches: &ArgMatches) -> Option<&'static str> {
    (!is_set(matches, "log_store"))
        .then_some("without --log-store nothing is written to Redis: give one, or leave it out")
}

fn remote(matches: &ArgMatches) -> Option<&'static str> {
    is_set(matches, "target")
        .then_some("it is for the private local stack, and --target names a pipeline that is there already: set it where that is started")
}

fn local(matches: &ArgMatches) -> Option<&'static str> {
    (!is_set(matches, "target"))
        .then_some("without --target the pipeline is a private local stack, with a Redis server of its own: give --target, or leave it out")
}

/// The services of the private stack may have been given another key.
fn local_queue(matches: &ArgMatches) -> Option<&'static str> {
    let is_theirs = matches.get_one::<String>("apiserver_args").is_some_and(|args| args.contains("--queue-key"));
    local(matches).filter(|_| !is_theirs)
}

fn is_wrk(matches: &ArgMatches) -> bool {
    matches.get_raw("generator").is_some_and(|mut values| values.any(|value| value == "wrk"))
}

/// `told` where wrk makes the load and the option is not what wrk does anyway.
fn wrk(matches: &ArgMatches, id: &str, same: &str, told: &'static str) -> Option<&'static str> {
    let is_same = matches.get_raw(id).is_some_and(|mut values| values.all(|value| value == same));
    (is_wrk(matches) && !is_same).then_some(told)
}

fn wrk_posts(matches: &ArgMatches) -> Option<&'static str> {
    wrk(matches, "method", "POST", "--generator wrk can only POST: leave it, or wrk, out")
}

fn wrk_sends_its_own(matches: &ArgMatches) -> Option<&'static str> {
    is_wrk(matches).then_some(
        "--generator wrk sends the headers and the body of scripts/post.lua, and no others: leave it, or wrk, out",
    )
}

fn wrk_path(matches: &ArgMatches) -> Option<&'static str> {
    is_wrk(matches).then_some("--generator wrk takes the path of --target: put it there, or leave wrk out")
}

fn wrk_lasts(matches: &ArgMatches) -> Option<&'static str> {
    is_wrk(matches).then_some("--generator wrk sends as fast as it can for all of --duration: leave it, or wrk, out")
}

fn wrk_accepts(matches: &ArgMatches) -> Option<&'static str> {
    wrk(matches, "accept", "2xx", "--generator wrk knows accepted answers by 2xx and 3xx only: leave it, or wrk, out")
}

fn wrk_timeout(matches: &ArgMatches) -> Option<&'static str> {
    is_wrk(matches).then_some("--generator wrk has a time limit of its own, 2 s: leave it, or wrk, out")
}

fn wrk_tls(matches: &ArgMatches) -> Option<&'static str> {
    is_wrk(matches).then_some("--generator wrk checks no certificates: leave it, or wrk, out")
}

fn wrk_stamps(matches: &ArgMatches) -> Option<&'static str> {
    is_wrk(matches).then_some("--generator wrk stamps nothing: leave it, or wrk, out")
}

fn wrk_send(matches: &ArgMatches) -> Option<&'static str> {
    let has_send =
        matches.get_one::<stamp::Path>("path").is_some_and(|path| path.stages().contains(&stamp::Stage::SEND));
    (is_wrk(matches) && has_send).then_some("--generator wrk does not stamp `send`: leave that stage out of it")
}
