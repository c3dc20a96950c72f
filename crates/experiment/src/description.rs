//! What a report says of a sweep before anything is measured: its id and its settings.

use crate::pipeline::Pipeline;
use crate::plan::{Generator, Plan, Site, Work};
use stamp::{RunId, clock};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// `20261121-101500-k3f`: the time in UTC and three characters that tell sweeps of one second apart.
pub fn new_id() -> RunId {
    let now = clock::unix_now();
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(now.as_secs())).to_string();
    let time: String = time.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    let mut rest = now.subsec_nanos() ^ std::process::id().rotate_left(16);
    let suffix: String = std::iter::repeat_with(|| {
        let digit = char::from_digit(rest % 36, 36).unwrap_or('0');
        rest /= 36;
        digit
    })
    .take(3)
    .collect();
    let id = format!("{}-{suffix}", time.replace('T', "-"));
    id.parse().unwrap_or_else(|_| RunId::adhoc())
}

/// Every setting that matters, for the report.
pub(crate) fn all_settings(plan: &Plan, pipeline: &Pipeline) -> BTreeMap<String, String> {
    let mut settings = settings(plan);
    let target = pipeline.target.iter().map(|target| ("target".to_owned(), target.to_string()));
    let others = target.chain(plan.notes.clone());
    settings.extend(others.map(|(name, value)| (name, stamp::mask(&value).into_owned())));
    settings
}

/// Those of them that the plan says, without its notes.
pub fn settings(plan: &Plan) -> BTreeMap<String, String> {
    let patience = plan.patience;
    let site = match plan.site {
        Site::Local(_) => "local stack",
        Site::Remote { .. } => "remote",
        Site::Alone { .. } => "none: an API alone, nothing is traced",
    };
    let mut settings = vec![
        ("every", plan.every.to_string()),
        ("drain_timeout", time(patience.still)),
        ("drain_limit", time(patience.whole)),
        ("p99_limit", time(plan.p99_limit)),
        ("pipeline", site.to_owned()),
        ("queue", plan.queue.clone()),
        ("clock", format!("{:?}", plan.clock).to_lowercase()),
    ];
    match plan.generator {
        Generator::Other { quiet } => {
            settings.extend([("generator", "another program".to_owned()), ("quiet", time(quiet))]);
        }
        Generator::Driver | Generator::Wrk => settings.extend(of_load(plan)),
    }
    settings.extend(plan.workers.iter().map(|workers| ("workers", workers.count.to_string())));
    settings.into_iter().map(|(name, value)| (name.to_owned(), stamp::mask(&value).into_owned())).collect()
}

/// How load is made here.
fn of_load(plan: &Plan) -> Vec<(&'static str, String)> {
    let shape = &plan.shape;
    let search = plan.search.as_ref();
    let rates = plan.levels.iter().any(|setting| setting.rate.is_some())
        || search.is_some_and(|search| search.over == analysis::Over::Rate);
    let generator = if rates { format!("open loop, {:?} arrivals", shape.arrivals) } else { "closed loop".to_owned() };
    let mut settings = match &plan.work {
        Work::Requests(request) => vec![("payload_bytes", request.payload_bytes.to_string())],
        Work::Users(users) => {
            let spawn = plan.levels.first().and_then(|setting| setting.spawn);
            let spawn = spawn.map_or_else(|| "all at once".to_owned(), |spawn| format!("{spawn}/s"));
            let mut settings = vec![("spawn", spawn), ("stop_timeout", time(users.stop_within))];
            settings.extend(users.plan.name.iter().map(|name| ("plan", name.clone())));
            settings
        }
    };
    // How long a trial of a search lasts, the search says.
    if search.is_none() {
        settings.push(("duration", if plan.open_ended { "until ended".to_owned() } else { time(shape.duration) }));
    }
    settings.extend([
        ("warmup", time(plan.warmup)),
        ("timeout", time(shape.timeout)),
        ("generator", generator),
        ("seed", shape.seed.to_string()),
        ("ramp", time(shape.ramp)),
        ("generator_tcp_nodelay", "true".to_owned()),
    ]);
    settings.extend(search.iter().flat_map(|search| search.settings()));
    settings
}

fn time(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
