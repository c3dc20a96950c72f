//! Who listens to a sweep here: the terminal, and the files of its report.

mod closing;
mod files;
mod screen;
mod table;
mod trials;

pub(crate) use files::Files;
pub(crate) use screen::{Screen, Told};
