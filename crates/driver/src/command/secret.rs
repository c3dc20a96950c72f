//! Options whose values are secret as a whole: they are shown nowhere, neither in a report nor in what is told of wrong usage.

/// An option, and its short form where it has one.
pub(super) struct Secret {
    pub(super) long: &'static str,
    pub(super) short: Option<&'static str>,
}

/// All of them.
pub(super) const SECRETS: [Secret; 2] =
    [Secret { long: "--header", short: Some("-H") }, Secret { long: "--otlp-header", short: None }];
