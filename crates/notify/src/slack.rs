//! A message as Slack takes it: text for notifications, and blocks. Pure.
//!
//! The limits are those of Slack's reference of blocks (docs.slack.dev/reference/block-kit/blocks): 150 characters in a header, 3000 in the text of a section,
//! 50 blocks. `&`, `<` and `>` are escaped, as they begin links and mentions.

use crate::Message;
use history::Verdict;
use serde_json::{Value, json};

const IN_HEADER: usize = 150;
const IN_SECTION: usize = 3000;

/// A line is cut before it takes the room of all others.
const IN_LINE: usize = 600;

/// The body for an incoming webhook.
pub(crate) fn body(message: &Message) -> Value {
    let sign = match message.row.verdict {
        Verdict::Held | Verdict::NoneDemanded => "✅",
        Verdict::Missed | Verdict::Failed => "❌",
        Verdict::Interrupted => "⚠️",
    };
    let title = format!("{sign} {}", message.title());
    let lines: Vec<String> = message.sentences().iter().map(|line| fit(line, IN_LINE)).collect();
    let mut blocks =
        vec![json!({ "type": "header", "text": { "type": "plain_text", "text": plain(&title), "emoji": true } })];
    // Text that is empty is refused.
    let text = whole_lines(&lines, IN_SECTION);
    if !text.is_empty() {
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    let place = message.place.as_deref().unwrap_or("its report could not be written");
    let is_link = place.starts_with("https://") || place.starts_with("http://");
    // Within a link these signs would end it.
    let link = place.replace('|', "%7C").replace('>', "%3E").replace('<', "%3C");
    let report = if is_link && link.chars().count() < IN_LINE * 2 {
        format!("<{}|report>", link.replace('&', "&amp;"))
    } else {
        fit(place, IN_LINE)
    };
    for text in [report, fit(&message.about(), IN_LINE)] {
        blocks.push(json!({ "type": "context", "elements": [ { "type": "mrkdwn", "text": text } ] }));
    }
    json!({ "text": fit(&title, IN_SECTION), "blocks": blocks })
}

/// Plain text of a header; nothing is escaped in it.
fn plain(text: &str) -> String {
    if text.chars().count() <= IN_HEADER {
        text.to_owned()
    } else {
        text.chars().take(IN_HEADER - 1).chain(['…']).collect()
    }
}

/// Escaped, and cut where it would take more characters than this.
fn fit(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut length = 0;
    for character in text.chars() {
        let mut buffer = [0; 4];
        let escaped = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            other => other.encode_utf8(&mut buffer),
        };
        length += escaped.chars().count();
        if length >= most {
            shown.push('…');
            break;
        }
        shown.push_str(escaped);
    }
    shown
}

/// As many lines as there is room for.
fn whole_lines(lines: &[String], most: usize) -> String {
    let mut text = String::new();
    for line in lines {
        if text.chars().count() + line.chars().count() + 1 > most {
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::message::tests::message;

    /// Whether Slack would take it, by its published limits.
    pub(crate) fn assert_valid(body: &Value) {
        let text = body["text"].as_str().unwrap();
        assert!((1..=40_000).contains(&text.chars().count()));
        let blocks = body["blocks"].as_array().unwrap();
        assert!((1..=50).contains(&blocks.len()));
        for block in blocks {
            let check = |text: &Value, kind: &str, most: usize| {
                assert_eq!(text["type"], kind);
                let text = text["text"].as_str().unwrap();
                assert!((1..=most).contains(&text.chars().count()), "{} characters", text.chars().count());
                text.to_owned()
            };
            match block["type"].as_str().unwrap() {
                "header" => drop(check(&block["text"], "plain_text", 150)),
                "section" => assert_escaped(&check(&block["text"], "mrkdwn", 3000)),
                "context" => {
                    let elements = block["elements"].as_array().unwrap();
                    assert!((1..=10).contains(&elements.len()));
                    for element in elements {
                        let text = check(element, "mrkdwn", 3000);
                        if !text.starts_with("<http") {
                            assert_escaped(&text);
                        }
                    }
                }
                other => panic!("{other} is no block that is sent"),
            }
        }
    }

    fn assert_escaped(text: &str) {
        assert!(!text.contains(['<', '>']), "{text}");
        for rest in text.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;"].iter().any(|entity| rest.starts_with(entity)), "{text}");
        }
    }

    #[test]
    fn what_slack_takes() {
        let mut message = message();
        assert_valid(&body(&message));
        insta::assert_snapshot!(serde_json::to_string_pretty(&body(&message)).unwrap());
        message.place = Some("https://ci/reports/x?a=1&b=2|>".to_owned());
        let told = body(&message).to_string();
        assert!(told.contains("<https://ci/reports/x?a=1&amp;b=2%7C%3E|report>"), "{told}");
    }

    #[test]
    fn however_long_it_is() {
        let mut message = message();
        message.row.plan.name = "<&>".repeat(5000);
        message.weakest = Some("&".repeat(9000));
        for number in 0..3000 {
            message.row.params.insert(format!("p<{number}>"), "v".to_owned());
        }
        assert_valid(&body(&message));
        message.place = Some(format!("https://host/{}", "x".repeat(9000)));
        assert_valid(&body(&message));
        assert_eq!(fit("a<b", 5), "a…");
    }
}
