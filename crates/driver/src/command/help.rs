//! How the options of a command are shown: `-h` has those that matter most, `--help` all of them under headings.

use clap::{Arg, Command};

/// The options of one command. Those that belong together stand in one text, with spaces between.
struct Shape {
    command: &'static str,
    /// What `-h` shows.
    short: &'static str,
    /// Its own headings, and the options under each.
    headings: &'static [(&'static str, &'static str)],
}

const LEVELS: &str = "from to step levels rates rate_from rate_to rate_step rate_connections repeat connections rate";
const LOAD: &str = "duration requests warmup timeout arrivals max_connections think_time ramp seed generator";
const REQUEST: &str = "method header http_path body body_file payload_bytes accept cacert insecure run target";
const PLAN: &str = "plan set params only except users spawn max_users stop_timeout print_plan";
const SEARCH: &str = "hold over from to within trial most_trials";
const REMOTE: &str = "target redis log_store redis_user redis_password_file redis_ca queue_key";
const LOCAL: &str = "apiserver_args pushserver_args mqttclient_args apiservers pushservers mqttclients \
    apiserver_cpus pushserver_cpus mqttclient_cpus redis_cpus mosquitto_cpus";

/// The headings of all commands, for what those of its own do not name.
const EVERYWHERE: &[(&str, &str)] = &[
    ("Tracing", "every path clock skip_service_check drain_timeout drain_limit"),
    ("Report", "out json thresholds junit p99_limit verbose hgrm"),
    ("Workers", "workers workers_within on_worker_loss worker_clock_error"),
    ("While it runs", "ui ui_host ui_token_file ui_max_users ui_max_rate prometheus_listen remote_write"),
    ("Traces", "otlp otlp_header otlp_ca otlp_within otlp_topic"),
    ("Messages when it has ended", "notify_when notify_link"),
];

const SHAPES: &[Shape] = &[
    Shape {
        command: "sweep",
        short: "from to levels rates duration every target redis thresholds out ui",
        headings: &[
            ("Levels", LEVELS),
            ("Plan file", PLAN),
            ("Load", LOAD),
            ("Pipeline that is already there", REMOTE),
            ("Private local pipeline", LOCAL),
            ("Request", REQUEST),
        ],
    },
    Shape {
        command: "run",
        short: "set params users rates duration only every thresholds out ui print_plan",
        headings: &[
            ("Plan file", PLAN),
            ("Load", "rates duration warmup repeat requests timeout seed cacert insecure within resume yes"),
            ("Log store, where the plan names no pipeline", "redis redis_user redis_password_file redis_ca"),
        ],
    },
    Shape {
        command: "find",
        short: "hold over from to within trial target redis every json out ui",
        headings: &[
            ("Search", SEARCH),
            ("Plan file", PLAN),
            ("Load", LOAD),
            ("Pipeline that is already there", REMOTE),
            ("Private local pipeline", LOCAL),
            ("Request", REQUEST),
        ],
    },
    Shape {
        command: "capacity",
        short: "target headroom repeat duration hold apiserver_cpus pushserver_cpus mqttclient_cpus json out",
        headings: &[
            ("Capacity", "target headroom repeat duration confirm connections hold topic payload_bytes"),
            ("Private local pipeline", LOCAL),
            (
                "Pipeline that is already there",
                "api redis log_store redis_user redis_password_file redis_ca mqtt pushserver_stop pushserver_start \
                 queue_key",
            ),
        ],
    },
    Shape {
        command: "load",
        short: "target connections rate duration requests method header body timeout accept json",
        headings: &[
            ("Load", "connections rate duration requests timeout arrivals max_connections think_time ramp seed"),
            ("Request", "method header path body body_file payload_bytes accept cacert insecure run"),
            ("Tracing", "log_store redis_user redis_password_file redis_ca every"),
            ("Result", "json hgrm"),
        ],
    },
    Shape {
        command: "watch",
        short: "run quiet every path target redis thresholds out",
        headings: &[
            ("Load", "run quiet"),
            ("Pipeline that is already there", REMOTE),
            ("Private local pipeline", LOCAL),
        ],
    },
    Shape {
        command: "ui",
        short: "set every target redis out ui ui_host",
        headings: &[
            ("Plans", "set warmup cacert insecure"),
            ("Pipeline that is already there", REMOTE),
            ("Private local pipeline", LOCAL),
        ],
    },
];

/// Options that a command has with others, and can do nothing with: who gives them is told why.
const IDLE: &[(&str, &str)] = &[
    ("watch", "workers workers_within on_worker_loss worker_clock_error ui_max_users ui_max_rate"),
    ("capacity", "workers workers_within on_worker_loss worker_clock_error"),
    ("chaos", "ui_max_users ui_max_rate"),
    ("find", "users duration"),
];

/// The command with its options in this shape.
pub(crate) fn shaped(mut command: Command) -> Command {
    for shape in SHAPES {
        command = command.mut_subcommand(shape.command, |command| {
            command
                .mut_args(|arg| arranged(arg, shape))
                .after_help(format!(
                    "These are the options that matter most: `driver {} --help` has all of them.",
                    shape.command
                ))
                .after_long_help("")
        });
    }
    for (name, idle) in IDLE {
        command = command.mut_subcommand(name, |command| {
            command.mut_args(|arg| if names(idle, arg.get_id().as_str()) { arg.hide(true) } else { arg })
        });
    }
    command.mut_subcommand("otlp-receive", receiving)
}

/// What every service understands means something else for one that takes the spans of others.
fn receiving(command: Command) -> Command {
    command
        .mut_arg("listen", |arg| arg.default_value("127.0.0.1:4318"))
        .mut_arg("redis", |arg| arg.help("The Redis server that takes the stamps"))
        .mut_arg("log_store", |arg| {
            arg.help("The same, by the name that it has elsewhere [default: the one of --redis]")
        })
        // Spans tell the time by clocks of their own.
        .mut_arg("clock", |arg| arg.hide(true))
}

/// Whether this option is one of them.
fn names(options: &str, id: &str) -> bool {
    options.split(' ').any(|option| option == id)
}

fn arranged(arg: Arg, shape: &Shape) -> Arg {
    let id = arg.get_id().as_str();
    let is_short = names(shape.short, id);
    let heading = shape.headings.iter().chain(EVERYWHERE).find(|(_, ids)| names(ids, id)).map(|(heading, _)| *heading);
    let arg = if is_short { arg } else { arg.hide_short_help(true) };
    // Arguments without a dash stay where clap has them.
    if arg.is_positional() { arg } else { arg.help_heading(heading) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_option_has_its_heading_and_few_are_short() {
        for shape in SHAPES {
            let command = shaped(crate::Arguments::command());
            let command = command.find_subcommand(shape.command).unwrap();
            let known: Vec<&str> = command.get_arguments().map(|arg| arg.get_id().as_str()).collect();
            for id in shape.short.split(' ') {
                assert!(known.contains(&id), "{} has no {id}", shape.command);
            }
            for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
                assert!(arg.get_help_heading().is_some(), "{} --{} has no heading", shape.command, arg.get_id());
            }
        }
    }

    #[test]
    fn the_help_of_the_receiver_tells_what_it_does() {
        let mut command = shaped(crate::Arguments::command());
        command.build();
        let help = command.find_subcommand_mut("otlp-receive").unwrap().render_long_help().to_string();
        assert!(help.contains("[default: 127.0.0.1:4318]") && !help.contains("127.0.0.1:0"), "{help}");
        assert!(!help.contains("queue") && !help.contains("--clock"), "{help}");
    }

    #[test]
    fn what_does_nothing_is_not_shown() {
        let mut command = shaped(crate::Arguments::command());
        command.build();
        for (name, idle) in IDLE {
            let command = command.find_subcommand_mut(name).unwrap();
            let help = command.render_long_help().to_string();
            for id in idle.split_whitespace() {
                assert!(command.get_arguments().any(|arg| arg.get_id() == id), "{name} has no {id}");
                assert!(!help.contains(&format!("--{} <", id.replace('_', "-"))), "{name}: {help}");
            }
        }
    }

    #[test]
    fn the_short_help_of_a_sweep() {
        let mut command = shaped(crate::Arguments::command());
        command.build();
        let help = command.find_subcommand_mut("sweep").unwrap().render_help().to_string();
        let options = help.lines().filter(|line| line.trim_start().starts_with('-')).count();
        // With -h itself.
        assert_eq!(options, 12, "{help}");
    }
}
