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
    if let Some(("watch" | "chaos", matches)) = matches.subcommand() {
        refuse_idle(matches, ONLY_SEEN)?;
    }
    if let Some(("watch" | "capacity", matches)) = matches.subcommand() {
        refuse_idle(matches, ONE_GENERATOR)?;
    }
    match matches.subcommand() {
        Some(("sweep", matches)) => {
            refuse_idle(matches, PLAN)?;
            if has_plan(matches) {
                return refuse_idle(matches, BESIDE_PLAN);
            }
            refuse_idle(matches, SWEEP)?;
            refuse_idle(matches, SHAPE)?;
            refuse_idle(matches, WRK)
        }
        Some(("find", matches)) => refuse_idle(matches, FIND),
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
    Idle { ids: "arrivals max_connections", when: is_closed, why: CLOSED },
    Idle {
        ids: "think_time",
        when: is_open,
        why: "an open loop sends on schedule and pauses nowhere: leave it, or the rate, out",
    },
    Idle {
        ids: "payload_bytes",
        when: has_no_payload,
        why: "the body holds no {payload}: put that into it, or leave it out",
    },
    Idle { ids: "cacert insecure", when: has_no_tls, why: "the target is not https: leave it out" },
];

/// What the live page may do.
const PAGE: &[Idle] = &[Idle {
    ids: "ui_host ui_max_users ui_max_rate",
    when: |matches| !is_given(matches, "ui"),
    why: "there is no page: open one with --ui, or leave it out",
}];

/// What may be asked for on a page whose load can be changed.
const ONLY_SEEN: &[Idle] =
    &[Idle { ids: "ui_max_users ui_max_rate", when: |_| true, why: "this load cannot be changed there: leave it out" }];

/// How traces are sent.
const TRACES: &[Idle] = &[Idle {
    ids: "otlp_header otlp_ca otlp_within otlp_topic",
    when: |matches| !is_set(matches, "otlp"),
    why: "no traces are sent (--otlp)",
}];

/// What every service has, and none that takes the times of others.
const RECEIVER: &[Idle] = &[Idle {
    ids: "clock",
    when: |_| true,
    why: "the spans say when things happened, by the clocks of their services: leave it out",
}];

/// How workers are taken.
const WORKERS: &[Idle] = &[Idle {
    ids: "workers_within on_worker_loss worker_clock_error",
    when: |matches| !is_set(matches, "workers"),
    why: "one generator makes the load: say how many workers do with --workers, or leave it out",
}];

/// What one generator makes, or none.
const ONE_GENERATOR: &[Idle] = &[Idle {
    ids: "workers",
    when: |_| true,
    why: "here no workers load: another program does, or one generator measures each part; leave it out",
}];

/// What is set over a plan.
const PLAN: &[Idle] = &[Idle {
    ids: OF_A_PLAN,
    when: |matches| !has_plan(matches),
    why: "it is for the users of a plan file: give one with --plan, or leave it out",
}];

/// What a search finds by itself, or what it is of says already.
const FIND: &[Idle] = &[
    Idle {
        ids: "users",
        when: |_| true,
        why: "a search finds how many there may be: give --over users, --from and --to",
    },
    Idle {
        ids: OF_A_PLAN,
        when: |matches| !searches_a_plan(matches),
        why: "it is for the users of a plan file: name one, or leave it out",
    },
    Idle { ids: "target queue_key http_path", when: searches_a_plan, why: PLAN_TARGET },
    Idle { ids: OF_THE_STACK, when: searches_a_plan, why: PLAN_TARGET },
    Idle {
        ids: OF_THE_STACK,
        when: |matches| !searches_locally(matches) && !searches_a_plan(matches),
        why: "it is for the private local stack, and this searches what is there already: set it where that is started",
    },
    Idle {
        ids: "redis log_store redis_user redis_password_file redis_ca",
        when: searches_locally,
        why: "without an address the pipeline is a private local stack, with a Redis server of its own: name the API, or leave it out",
    },
];

/// What a plan says itself.
const BESIDE_PLAN: &[Idle] = &[
    Idle {
        ids: "from to step levels rate_connections max_connections",
        when: has_plan,
        why: "the levels of a plan are of users or of rounds a second: give --users or --rates",
    },
    Idle {
        ids: "generator method header body body_file http_path payload_bytes accept think_time clock",
        when: has_plan,
        why: "the plan says what is sent, and what must be answered: leave it out",
    },
    Idle { ids: "ramp", when: has_plan, why: "the users of a plan begin by --spawn, before the time that is measured" },
    Idle { ids: "target queue_key", when: has_plan, why: PLAN_TARGET },
    Idle { ids: OF_THE_STACK, when: has_plan, why: PLAN_TARGET },
];

const LOAD: &[Idle] = &[Idle {
    ids: "redis_user redis_password_file redis_ca",
    when: |matches| !is_set(matches, "log_store"),
    why: "without --log-store nothing is written to Redis: give one, or leave it out",
}];

const SWEEP: &[Idle] = &[
    Idle { ids: "rate_connections", when: is_closed, why: CLOSED },
    Idle {
        ids: OF_THE_STACK,
        when: |matches| !is_local(matches),
        why: "it is for the private local stack, and --target names a pipeline that is there already: set it where that is started",
    },
    Idle { ids: "redis log_store redis_user redis_password_file redis_ca", when: is_local, why: LOCAL },
    Idle { ids: "queue_key", when: |matches| is_local(matches) && !names_a_queue(matches), why: LOCAL },
];

/// What wrk with scripts/post.lua cannot do.
const WRK: &[Idle] = &[
    Idle {
        ids: "method",
        when: |matches| is_wrk(matches) && !is_only(matches, "method", "POST"),
        why: "--generator wrk can only POST: leave it, or wrk, out",
    },
    Idle {
        ids: "header body body_file",
        when: is_wrk,
        why: "--generator wrk sends the headers and the body of scripts/post.lua, and no others: leave it, or wrk, out",
    },
    Idle {
        ids: "http_path",
        when: is_wrk,
        why: "--generator wrk takes the path of --target: put it there, or leave wrk out",
    },
    Idle {
        ids: "requests ramp think_time",
        when: is_wrk,
        why: "--generator wrk sends as fast as it can for all of --duration: leave it, or wrk, out",
    },
    Idle {
        ids: "accept",
        when: |matches| is_wrk(matches) && !is_only(matches, "accept", "2xx"),
        why: "--generator wrk knows accepted answers by 2xx and 3xx only: leave it, or wrk, out",
    },
    Idle {
        ids: "timeout",
        when: is_wrk,
        why: "--generator wrk has a time limit of its own, 2 s: leave it, or wrk, out",
    },
    Idle { ids: "cacert insecure", when: is_wrk, why: "--generator wrk checks no certificates: leave it, or wrk, out" },
    Idle { ids: "clock", when: is_wrk, why: "--generator wrk stamps nothing: leave it, or wrk, out" },
    Idle {
        ids: "path",
        when: |matches| is_wrk(matches) && has_send(matches),
        why: "--generator wrk does not stamp `send`: leave that stage out of it",
    },
];

/// What is said of the users of a plan.
const OF_A_PLAN: &str = "set params only except users spawn max_users stop_timeout";

/// How the private local stack is made.
const OF_THE_STACK: &str = "apiserver_args pushserver_args mqttclient_args apiservers pushservers mqttclients \
    apiserver_cpus pushserver_cpus mqttclient_cpus redis_cpus mosquitto_cpus";

const CLOSED: &str =
    "it is for an open loop, and this loop is closed: give a rate (--rate of load, --rates of sweep), or leave it out";
const PLAN_TARGET: &str = "the plan names what is loaded: set its parameters with --set, or leave it out";
const LOCAL: &str = "without --target the pipeline is a private local stack, with a Redis server of its own: give --target, or leave it out";

fn has_plan(matches: &ArgMatches) -> bool {
    is_given(matches, "plan")
}

fn searches_a_plan(matches: &ArgMatches) -> bool {
    matches.get_one::<String>("what").is_some_and(|what| !super::find::is_url(what))
}

/// Whether a search starts a pipeline of its own, without a plan that says so.
fn searches_locally(matches: &ArgMatches) -> bool {
    !is_given(matches, "what") && is_local(matches)
}

fn is_open(matches: &ArgMatches) -> bool {
    ["rate", "rates", "rate_from"].iter().any(|id| is_given(matches, id))
}

fn is_closed(matches: &ArgMatches) -> bool {
    !is_open(matches)
}

fn has_no_payload(matches: &ArgMatches) -> bool {
    // A file may hold one.
    matches.get_one::<String>("body").is_some_and(|body| !body.contains("{payload}"))
}

fn has_no_tls(matches: &ArgMatches) -> bool {
    let target = matches.get_raw("target").and_then(|mut values| values.next());
    !target.is_some_and(|target| target.to_string_lossy().to_ascii_lowercase().starts_with("https:"))
}

fn is_local(matches: &ArgMatches) -> bool {
    !is_set(matches, "target")
}

/// The services of the private stack may have been given another key.
fn names_a_queue(matches: &ArgMatches) -> bool {
    matches.get_one::<String>("apiserver_args").is_some_and(|args| args.contains("--queue-key"))
}

fn is_wrk(matches: &ArgMatches) -> bool {
    matches.get_raw("generator").is_some_and(|mut values| values.any(|value| value == "wrk"))
}

/// Whether the option says what wrk does anyway.
fn is_only(matches: &ArgMatches, id: &str, same: &str) -> bool {
    matches.get_raw(id).is_some_and(|mut values| values.all(|value| value == same))
}

fn has_send(matches: &ArgMatches) -> bool {
    matches.get_one::<stamp::Path>("path").is_some_and(|path| path.stages().contains(&stamp::Stage::SEND))
}
