//! Whether pictures are sound as SVG.

use super::super::svgs;
use super::{keep, report_of};
use analysis::Report;
use roxmltree::{Document, Node};
use std::collections::BTreeSet;

/// What numbers stand in.
const NUMBERS: &str = "x y cx cy r width height d viewBox font-size stroke-width fill-opacity transform";

/// Checks each picture: well-formed, without a size of its own, its numbers short and finite, its groups and spots of levels that there are.
#[track_caller]
pub(super) fn check(name: &str, report: &Report) {
    let drawings = svgs(report).unwrap();
    let names: Vec<&str> = drawings.iter().map(|drawing| drawing.name).collect();
    assert_eq!(names, ["arrival", "throughput", "hops", "percentiles", "timeline", "cpu", "heatmap"]);
    for drawing in drawings {
        keep(&format!("{}-{name}.svg", drawing.name), drawing.svg.as_bytes());
        let document = sound(drawing.name, &drawing.svg, drawing.title);
        let levels = levels(&document, "level").into_iter().chain(levels(&document, "spot"));
        assert!(levels.into_iter().all(|index| index < report.levels.len()), "{}", drawing.name);
    }
}

/// Checks one picture and returns it as XML.
#[track_caller]
pub(super) fn sound<'a>(name: &str, svg: &'a str, title: &str) -> Document<'a> {
    let document = Document::parse(svg).unwrap();
    let root = document.root_element();
    assert!(root.has_tag_name(("http://www.w3.org/2000/svg", "svg")));
    assert_eq!((root.attribute("role"), root.attribute("aria-label")), (Some("img"), Some(title)));
    assert!(
        root.attribute("viewBox").is_some() && root.attribute("width").is_none() && root.attribute("height").is_none()
    );
    for element in root.descendants().filter(Node::is_element) {
        let numbers = element.attributes().filter(|attribute| NUMBERS.split(' ').any(|name| name == attribute.name()));
        numbers.for_each(|attribute| check_numbers(name, attribute.name(), attribute.value()));
        for colour in ["fill", "stroke"].into_iter().filter_map(|name| element.attribute(name)) {
            assert!(colour.starts_with('#') || ["none", "transparent"].contains(&colour), "{colour}");
        }
    }
    document
}

/// The levels of the elements of this class.
fn levels(document: &Document, class: &str) -> BTreeSet<usize> {
    let elements = document.descendants().filter(|node| node.attribute("class") == Some(class));
    elements.map(|node| node.attribute("data-level").unwrap().parse().unwrap()).collect()
}

#[track_caller]
fn check_numbers(picture: &str, attribute: &str, value: &str) {
    let is_other = |character: char| !(character.is_ascii_digit() || ".-".contains(character));
    let places = if attribute.ends_with("opacity") { 2 } else { 1 };
    for number in value.split(is_other).filter(|number| !number.is_empty()) {
        assert!(number.parse::<f64>().is_ok(), "{picture}: {number} in {attribute}");
        let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        assert!(decimals <= places, "{picture}: {number} in {attribute}");
    }
    assert!(!["NaN", "inf"].iter().any(|word| value.contains(word)), "{picture}: {attribute} = {value}");
}

#[test]
fn each_level_has_its_groups_and_spots() {
    let report = report_of(&(1..=20).collect::<Vec<_>>());
    let all: BTreeSet<usize> = (0..20).collect();
    for drawing in svgs(&report).unwrap() {
        let document = Document::parse(&drawing.svg).unwrap();
        let (groups, spots) = (levels(&document, "level"), levels(&document, "spot"));
        assert_eq!(groups, spots, "{}", drawing.name);
        if ["timeline", "heatmap"].contains(&drawing.name) {
            assert!((3..=4).contains(&groups.len()), "{groups:?}");
        } else {
            assert_eq!(groups, all, "{}", drawing.name);
        }
        let last = document.root_element().last_element_child().unwrap();
        assert_eq!(last.attribute("class"), Some("spot"), "{}", drawing.name);
        let mut titles = document.descendants().filter(|node| node.has_tag_name("title"));
        assert!(titles.all(|title| title.text().is_some_and(|text| text.contains("connection"))));
    }
}

#[test]
fn pictures_stay_small() {
    let report = report_of(&(1..=20).flat_map(|concurrency| [concurrency; 2]).collect::<Vec<_>>());
    for drawing in svgs(&report).unwrap() {
        let kib = drawing.svg.len() / 1024;
        assert!(kib < 300, "{}: {kib} KiB", drawing.name);
    }
}

#[test]
fn names_that_are_no_xml_are_escaped() {
    let mut report = report_of(&[1, 2]);
    report.settings.insert("note".to_owned(), "<a> & \"b\"\u{1}".to_owned());
    check("escaped", &report);
    let arrival = &svgs(&report).unwrap()[0].svg;
    assert!(arrival.contains("note &lt;a&gt; &amp; &quot;b&quot;</text>"), "{arrival}");
}
