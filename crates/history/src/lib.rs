//! The memory of experiments: `history.jsonl` in the folder of reports, what is in it, its table and its page, and whether the newest run is worse
//! than those before it.
//!
//! It listens to experiments ([`History`]) and adds a row for each; who runs what is no single experiment adds rows by itself ([`append`]). A row stands by
//! itself: the report that it names may be gone. docs/history.md describes it, docs/history.schema.json is its shape.

mod check;
mod digest;
mod figure;
mod git;
mod host;
mod listen;
mod marks;
mod newest;
mod page;
mod row;
mod store;
mod table;
mod trend;

pub use check::{Change, Judgement, Measured, judge};
pub use figure::{Better, CAPACITIES, Figure};
pub use git::Git;
pub use host::Host;
pub use listen::{History, Note, Prepared};
pub use newest::{Judged, Sentence, check};
pub use page::{PAGE, write_page};
pub use row::{Origin, PlanName, Row, Verdict};
pub use store::{FILE, HistoryError, Past, append, read};
pub use table::table;
