//! Sweeps on their way out of a log store into a file, and back.

mod export;
mod import;

pub use export::{ExportArgs, export};
pub use import::{ImportArgs, ImportError, import};
