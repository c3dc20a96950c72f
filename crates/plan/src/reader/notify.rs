//! Who is told when a run has ended. Addresses are secrets, and are never read from the file itself.

use super::Reader;
use super::table::list;
use crate::model::{Notify, NotifyWhen};
use crate::text::{Expression, Piece};
use crate::yaml::Node;
use stamp::Secret;

const KEYS: &str = "slack url when";

impl Reader<'_> {
    pub(super) fn notify(&mut self, node: &Node) -> Notify {
        let Some(mut table) = self.table(node, "notify") else { return Notify::default() };
        let slack = table.take("slack").and_then(|node| self.secret_address(node));
        let url = table.take("url").and_then(|node| self.secret_address(node));
        let when = table.take("when").map(list).unwrap_or_default();
        let when = when.iter().filter_map(|node| self.word(node, &NotifyWhen::ALL)).collect();
        self.finish(table, KEYS);
        Notify { slack, url, when }
    }

    /// `${env.X}` or `${env.X or ""}`, and nothing else: whoever has such an address can write there. Nothing where it is empty.
    fn secret_address(&mut self, node: &Node) -> Option<Secret> {
        let text = self.text_of(node)?;
        let pieces = self.pieces(text, node)?;
        let [Piece::Placeholder(placeholder)] = &pieces[..] else { return self.written_out(node) };
        let Expression::Name("env", Some(variable)) = placeholder.expression else { return self.written_out(node) };
        if placeholder.or.is_some_and(|or| !or.is_empty()) {
            return self.written_out(node);
        }
        let address = self.variable(variable, placeholder.or, node)?;
        let lower = address.to_ascii_lowercase();
        if !address.is_empty() && !lower.starts_with("http://") && !lower.starts_with("https://") {
            return self
                .refuse(node.place, format!("what {variable} holds is no address: set it to https://host/path"));
        }
        (!address.is_empty()).then(|| Secret::new(address))
    }

    fn written_out(&mut self, node: &Node) -> Option<Secret> {
        // Nor does the fault show it.
        if let Some(text) = self.text_of(node) {
            self.secrets.add(text);
        }
        let message = "whoever has this address can write there: keep it in the environment, and write ${env.SLACK_URL}, or ${env.SLACK_URL or \"\"} where it may be missing";
        self.refuse(node.place, message)
    }
}
