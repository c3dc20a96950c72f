//! Reads a page of metrics as Prometheus would. Pure.

/// One sample of a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

/// The samples of a page in the text format of `OpenMetrics`. Lines that are none are passed over: the page is our own.
pub(super) fn samples(page: &str) -> Vec<Sample> {
    page.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

/// Reads `name{label="value",…} 1.5`; the labels may be missing.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = value.trim().split(' ').next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Reads `label="value",…}`, and gives what follows. In a value, `\\`, `\"` and `\n` stand for one character each.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (mut value, mut characters) = (String::new(), quoted.char_indices());
        rest = loop {
            match characters.next()? {
                (at, '"') => break &quoted[at + 1..],
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Sample { name: name.to_owned(), labels, value }
    }

    #[test]
    fn what_a_page_holds() {
        let page = concat!(
            "# HELP up Up.\n# TYPE up gauge\nup 1\n",
            "t_bucket{le=\"+Inf\",from=\"a b\"} 3 # {x=\"y\"} 2\n",
            "odd{text=\"a \\\"b\\\", {c}\\\\\\n\"} -1.5e-3\n",
            "not a sample\n# EOF\n"
        );
        assert_eq!(
            samples(page),
            [
                expect("up", &[], 1.0),
                expect("t_bucket", &[("le", "+Inf"), ("from", "a b")], 3.0),
                expect("odd", &[("text", "a \"b\", {c}\\\n")], -0.0015),
            ]
        );
    }

    #[test]
    fn what_the_services_write_is_read_back() {
        let metrics = service::Metrics::default();
        let _ = metrics.reconnects("redis \"one\"\\").inc();
        metrics.gauge("backlog", "Messages that wait").set(3);
        let page = metrics.encode().unwrap();
        let expected = [
            expect("stampede_reconnects_total", &[("server", "redis \"one\"\\")], 1.0),
            expect("stampede_backlog", &[], 3.0),
        ];
        assert_eq!(samples(&page), expected);
    }
}
