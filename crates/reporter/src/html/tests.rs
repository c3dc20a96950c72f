//! The page as a whole, for reports made by hand.

use super::render;
use analysis::fixture::report_of;
use analysis::{Distribution, Estimate, Fit, Interval, Level, LittleLaw, Load, Report, Threshold, Usage, Usl};
use roxmltree::{Document, Node};
use std::collections::BTreeSet;

/// Ends what it stands in, wherever that is.
const HOSTILE: &str = "</script></style><hostile a='b' c=\"d\">&amp; --> 'x'";

/// The page of a report, after checks that hold for every page.
///
/// It is parsed as XML, which forgives nothing: what is not balanced or not escaped fails. With `STAMPEDE_CHART_DIR` set it is also
/// kept there, for the eye to judge.
#[track_caller]
fn page(name: &str, report: &Report) -> String {
    let html = String::from_utf8(render(report).unwrap()).unwrap();
    if let Some(folder) = std::env::var_os("STAMPEDE_CHART_DIR") {
        std::fs::write(std::path::Path::new(&folder).join(format!("report-{name}.html")), &html).unwrap();
    }
    let xml = as_xml(&html);
    let document = Document::parse(&xml).unwrap();
    assert_eq!(
        elements(&document, "script").count() + elements(&document, "style").count(),
        html.matches("</script>").count() + 1
    );
    let ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let different: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), different.len(), "no id stands twice");
    for link in document.descendants().filter_map(|node| node.attribute("href")) {
        let target = link.strip_prefix('#').unwrap_or_else(|| panic!("{link} leads away"));
        assert!(different.contains(target), "{link} leads nowhere");
    }
    for attribute in document.descendants().flat_map(|node| node.attributes()) {
        assert!(
            !matches!(attribute.name(), "src" | "srcset" | "action" | "data"),
            "{} loads something",
            attribute.name()
        );
    }
    let headings: Vec<u8> = document.descendants().filter_map(|node| heading(&node)).collect();
    assert!(headings[0] == 1 && headings.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{headings:?}");
    assert_eq!(elements(&document, "h2").next().and_then(|first| first.text()), Some("Verdict"));
    html
}

/// Without what XML does not know: the document type, and elements whose text is no markup.
fn as_xml(html: &str) -> String {
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    let mut xml = String::new();
    while let Some(begin) = rest.find("<script").into_iter().chain(rest.find("<style")).min() {
        let end = begin + rest[begin..].find('>').unwrap() + 1;
        xml.push_str(&rest[..end]);
        let name = if rest[begin..].starts_with("<script") { "</script>" } else { "</style>" };
        rest = &rest[end + rest[end..].find(name).unwrap()..];
        xml.push_str(name);
        rest = &rest[name.len()..];
    }
    xml.push_str(rest);
    xml
}

fn elements<'a, 'input>(document: &'a Document<'input>, name: &'a str) -> impl Iterator<Item = Node<'a, 'input>> {
    document.descendants().filter(move |node| node.tag_name().name() == name)
}

fn heading(node: &Node<'_, '_>) -> Option<u8> {
    node.tag_name().name().strip_prefix('h')?.parse().ok()
}

/// What stands in the cells of a table, row by row.
fn cells(html: &str, table: &str) -> Vec<Vec<String>> {
    let xml = as_xml(html);
    let document = Document::parse(&xml).unwrap();
    let table = elements(&document, "table").find(|node| node.attribute("id") == Some(table)).unwrap();
    let rows = table.descendants().filter(|node| node.has_tag_name("tr")).skip(1);
    let text = |cell: Node<'_, '_>| {
        cell.descendants()
            .filter_map(|node| if node.is_text() { node.text() } else { None })
            .collect::<Vec<_>>()
            .join(" ")
    };
    rows.map(|row| row.children().filter(Node::is_element).map(text).collect()).collect()
}

fn every_level() -> Report {
    let mut report = report_of(&(1..=20).collect::<Vec<_>>());
    report.findings.verdict = vec!["The pipeline sustains much.".to_owned(), "And more.".to_owned()];
    for level in &mut report.levels {
        level.load.usage =
            ["redis", "apiserver", "pushserver", "mosquitto", "mqttclient", "driver", "host"].map(usage).into();
        level.little = ["http", "pipeline", "queue"].map(little).into();
        level.arrival.ci95.p99 = Some(Interval { low_us: 900, high_us: None, effective_count: 1_200 });
    }
    report
}

fn usage(component: &str) -> Usage {
    Usage {
        component: component.to_owned(),
        instance: String::new(),
        cpu_us: 4_200_000,
        wall_us: 10_000_000,
        cores: 1.0,
        memory_bytes: Some(14_000_000),
    }
}

fn little(scope: &str) -> LittleLaw {
    LittleLaw {
        scope: scope.to_owned(),
        in_flight: 8.1,
        rate_per_sec: 20_000.0,
        latency_us: 400.0,
        ratio: 1.012,
        off: false,
    }
}

/// Turns a level into one that did not keep up.
fn overload(level: &mut Level) {
    level.stability.unstable = Some("messages in flight grew by 1,200/s".to_owned());
    level.stability.growing = level.hops.get(2).map(|hop| hop.stage.clone());
    level.load.generator_limited = Some("its thread was busy".to_owned());
    level.books.lost = 7;
    level.books.lost_by_hop = level.hops.get(2).map(|hop| (hop.stage.clone(), 7)).into_iter().collect();
    level.books.arrived -= 7;
    level.little[1].off = true;
}

#[test]
fn every_level_has_its_row_its_details_and_its_books() {
    let report = every_level();
    let html = page("twenty", &report);
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    for table in ["level-table", "books", "traces", "little", "usage"] {
        assert_eq!(cells(&html, table).len(), 20, "{table}");
    }
    for index in 0..20 {
        assert_eq!(cells(&html, &format!("hops-{index}")).len(), report.path.len() - 1);
        assert!(html.contains(&format!("data-switch=\"{index}\"")));
    }
    assert!(cells(&html, "books").iter().all(|row| row[7].contains("balanced")));
    let verdict = html.find("The pipeline sustains much.").unwrap();
    assert!(verdict < html.find("<table").unwrap() && verdict < html.find("And more.").unwrap());
    assert!(cells(&html, "level-table")[0][7].contains("≥ 0.900"));
    // Five of the seven belong to the pipeline: 4.2 s each for 80,000 messages.
    assert_eq!(cells(&html, "usage")[0].last().unwrap(), "262.50");
}

#[test]
fn what_went_wrong_is_marked_with_its_reason() {
    let mut report = every_level();
    report.levels[16..].iter_mut().for_each(overload);
    report.levels[3].books.arrived -= 1;
    let html = page("unstable", &report);
    let rows = cells(&html, "level-table");
    assert!(rows[15].last().unwrap().contains("steady"));
    for part in ["unstable", "generator-limited", "messages in flight grew by 1,200/s", "its thread was busy"] {
        assert!(rows[16].last().unwrap().contains(part), "{:?}", rows[16]);
    }
    assert!(rows[16][0].contains("unstable"), "also where it is seen without scrolling");
    let books = cells(&html, "books");
    assert!(
        books[3][7].contains("off by 1")
            && books[16][7].contains("balanced")
            && books[16][6].contains("7 to pushserver"),
        "{books:?}"
    );
    assert!(cells(&html, "little")[16][2].contains("off"));
    assert!(html.contains("unstable: 4 of 20 levels") && html.contains("books do not balance: 1 of 20 levels"));
}

#[test]
fn thresholds_stand_between_the_verdict_and_the_levels() {
    let mut report = every_level();
    let thresholds = ["lost==0", "arrival.p50<1ns"].map(|text| text.parse::<Threshold>().unwrap().judge(&report));
    report.thresholds = thresholds.into();
    let html = page("thresholds", &report);
    let rows = cells(&html, "thresholds");
    assert!(rows[0][2].contains("held") && rows[1][2].contains("missed") && rows[1][1].contains("c=20"), "{rows:?}");
    let at = |id: &str| html.find(&format!("<section id=\"{id}\"")).unwrap();
    assert!(at("verdict") < at("threshold-verdicts") && at("threshold-verdicts") < at("levels"));
    assert!(!page("twenty", &every_level()).contains("threshold-verdicts"));
}

#[test]
fn texts_of_others_stay_texts() {
    let mut report = every_level();
    report.sweep = HOSTILE.to_owned();
    report.settings = [("command", HOSTILE), (HOSTILE, HOSTILE), ("target", HOSTILE), ("pipeline", HOSTILE)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    report.environment = report.settings.clone();
    report.findings.verdict = vec![HOSTILE.to_owned(); 2];
    report.findings.usl = Usl::Refused(HOSTILE.to_owned());
    let mut missed = "lost==0".parse::<Threshold>().unwrap().judge(&report);
    (missed.threshold, missed.not_measured) = (HOSTILE.to_owned(), Some(HOSTILE.to_owned()));
    report.thresholds = vec![missed];
    for level in &mut report.levels {
        level.stability.unstable = Some(HOSTILE.to_owned());
        level.load.generator_limited = Some(HOSTILE.to_owned());
        level.load.usage.push(Usage { instance: HOSTILE.to_owned(), ..usage(HOSTILE) });
        level.little.push(little(HOSTILE));
        level.load.http.as_mut().unwrap().errors.insert(HOSTILE.to_owned(), 3);
    }
    let html = page("hostile", &report);
    assert!(!html.contains("<hostile"));
    assert_eq!(cells(&html, "usage").len(), 20);
}

#[test]
fn logins_stay_out_of_the_page() {
    let mut report = report_of(&[1]);
    for name in ["target", "redis", "command"] {
        report.settings.insert(name.to_owned(), "redis://me:secret@host:6379".to_owned());
    }
    report.environment.insert("mosquitto".to_owned(), "mqtt://me:secret@host".to_owned());
    assert!(!page("logins", &report).contains("secret"));
}

#[test]
fn little_or_nothing_is_known() {
    page("empty", &report_of(&[]));
    let mut report = report_of(&[4]);
    let level = &mut report.levels[0];
    level.load = Load::foreign("monday".parse().unwrap());
    level.arrival = Distribution::default();
    level.tail = None;
    level.hops.iter_mut().for_each(|hop| hop.latency = Distribution::default());
    let html = page("foreign", &report);
    let row = &cells(&html, "level-table")[0];
    assert!(row[0].contains("monday") && row[4..10].iter().all(|cell| cell == "n/a"), "{row:?}");
    report.levels[0].hops.clear();
    report.settings.clear();
    page("nothing-known", &report);
}

#[test]
fn the_law_is_told_with_its_errors() {
    let estimate = |value| Estimate { value, standard_error: value / 20.0 };
    let mut report = every_level();
    report.findings.usl = Usl::Fitted(Fit {
        lambda: estimate(8_600.0),
        sigma: estimate(0.1234),
        kappa: estimate(0.000_012_3),
        peak_concurrency: Some(21.4),
        peak_per_sec: Some(38_000.0),
        r_squared: 0.9876,
        residuals: vec![0.0],
        points: vec![(1.0, 8_600.0)],
    });
    let html = page("law", &report);
    let law = cells(&html, "law");
    let told: Vec<&str> = law.iter().flat_map(|row| &row[1..3]).map(String::as_str).collect();
    assert_eq!(told, ["8,600", "430", "0.123", "0.00617", "1.23 × 10⁻⁵", "6.15 × 10⁻⁷"]);
    assert!(html.contains("38,000 messages/s at 21.4 connections"));
}
