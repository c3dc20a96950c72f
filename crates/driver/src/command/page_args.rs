//! Arguments of the live page (docs/page.md).

use crate::output;
use clap::Args;
use page::{Page, PageLimits, PageOptions, PlanOffer, Start};
use service::{InvalidListen, ListenAddress};
use stamp::Secret;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tokio::sync::mpsc;

/// What `--ui` without an address stands for.
pub(crate) const USUAL: &str = "usual";

#[derive(Debug, Clone, Args)]
pub(super) struct PageArgs {
    /// Show it in a live page at this address, and change it there [default: 127.0.0.1:8089, or a free port where that is taken]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = USUAL)]
    ui: Option<UiAddress>,

    /// The page may be asked for by this name, too, and tells its address with the first; may be repeated
    #[arg(long, value_name = "NAME[:PORT]", value_parser = parse_name)]
    ui_host: Vec<String>,

    /// A file that holds the page's token, of 16 characters or more [default: a new one, which is told]
    #[arg(long, value_name = "FILE", env = "STAMPEDE_UI_TOKEN_FILE")]
    ui_token_file: Option<PathBuf>,

    /// The page may ask for at most this many users, or connections
    #[arg(long, value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..))]
    ui_max_users: u32,

    /// The page may ask for at most this many requests or rounds a second
    #[arg(long, value_name = "PER_SECOND", default_value = "100000", value_parser = super::value::parse_rate)]
    ui_max_rate: f64,
}

/// A name as it stands in `Host`.
fn parse_name(text: &str) -> Result<String, String> {
    let name = match text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((name, port)) => port.parse::<u16>().map_or("", |_| name),
        None => text,
    };
    let strange = |c: char| c.is_whitespace() || c.is_control() || "/?#@".contains(c);
    let is_name = !name.is_empty() && !name.contains(strange) && (name.starts_with('[') || !name.contains(':'));
    is_name.then(|| text.to_owned()).ok_or_else(|| {
        format!("{text:?} is no name of a host: write NAME or NAME:PORT, for example load.example.org:8089")
    })
}

/// An address, or the usual one.
#[derive(Debug, Clone)]
struct UiAddress(Option<ListenAddress>);

impl FromStr for UiAddress {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        if text == USUAL { Ok(Self(None)) } else { text.parse().map(|address| Self(Some(address))) }
    }
}

impl PageArgs {
    /// Opens the page of one run, where it is asked for, and tells its address.
    /// Fails when its address cannot be listened on: that is known before the load.
    pub(super) async fn open(&self, command: &'static str, out: &Path) -> anyhow::Result<Option<Page>> {
        match &self.ui {
            Some(_) => Ok(Some(self.open_with(command, out, None).await?)),
            None => Ok(None),
        }
    }

    /// What may be asked for from the page.
    pub(super) fn limits(&self) -> PageLimits {
        PageLimits { users: self.ui_max_users, rate: self.ui_max_rate }
    }

    /// Opens it whether or not it is asked for.
    /// Fails as [`open`](Self::open) does.
    pub(super) async fn open_with(
        &self,
        command: &'static str,
        out: &Path,
        starts: Option<(Vec<PlanOffer>, mpsc::Sender<Start>)>,
    ) -> anyhow::Result<Page> {
        let token = self.ui_token_file.as_deref().map(Secret::from_file).transpose()?;
        let page = Page::open(PageOptions {
            listen: self.ui.as_ref().and_then(|UiAddress(address)| address.clone()),
            hosts: self.ui_host.clone(),
            token,
            limits: self.limits(),
            command,
            out: out.to_owned(),
            starts,
        })
        .await?;
        output::note(&format!("page: {}", page.url()));
        Ok(page)
    }
}

/// Ends the page of one run, where there is one, and shows why it failed, where it did.
pub(super) fn close<T>(page: Option<Page>, ran: &anyhow::Result<T>) {
    let Some(page) = page else { return };
    if let Err(error) = ran {
        page.fail(&error.to_string());
    }
    page.close();
}

/// `--ui ADDRESS` becomes `--ui=ADDRESS`: what follows may as well be something else, such as a plan.
pub(crate) fn bound(words: impl IntoIterator<Item = std::ffi::OsString>) -> Vec<std::ffi::OsString> {
    let mut bound: Vec<std::ffi::OsString> = Vec::new();
    for word in words {
        let is_address = || word.to_str().is_some_and(|word| word.parse::<ListenAddress>().is_ok());
        match bound.last_mut().filter(|last| *last == "--ui") {
            Some(last) if is_address() => {
                last.push("=");
                last.push(word);
            }
            _ => bound.push(word),
        }
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_page() {
        for name in ["load.example.org", "localhost:8089", "[::1]", "[::1]:8089"] {
            assert_eq!(parse_name(name).as_deref(), Ok(name));
        }
        for wrong in ["", ":8089", "http://load.example.org", "load.example.org/page", "a:b", "::1", "a b", "a:65536"] {
            assert!(parse_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_belongs_to_its_option_and_a_plan_does_not() {
        let bound = |words: &str| {
            let words = bound(words.split(' ').map(Into::into));
            words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(bound("driver run --ui plan.yaml"), "driver run --ui plan.yaml");
        assert_eq!(bound("driver sweep --ui 127.0.0.1:0 --to 3"), "driver sweep --ui=127.0.0.1:0 --to 3");
        assert_eq!(bound("driver sweep --ui :8080"), "driver sweep --ui=:8080");
        assert_eq!(bound("driver sweep --ui --to 3"), "driver sweep --ui --to 3");
    }
}
