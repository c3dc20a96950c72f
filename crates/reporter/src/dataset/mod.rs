//! `reporter parquet`: adds a sweep, stamp by stamp, to a partitioned dataset of Parquet, for those who keep months of them. docs/parquet.md has its
//! tables. Behind the feature `parquet`.

#[cfg(feature = "parquet")]
mod place;
#[cfg(feature = "parquet")]
mod stamps;
#[cfg(feature = "parquet")]
mod tables;

use crate::{LogStoreArgs, parse_path};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `reporter parquet`.
#[derive(Debug, Clone, Args)]
pub struct ParquetArgs {
    /// The sweep's id, the id of a single run, or `latest`; or a file that `export` wrote
    #[arg(default_value = "latest")]
    pub sweep: String,

    /// The folder of the dataset: a new one, or one that holds other runs already
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,

    /// Replace what the dataset holds of the same runs
    #[arg(long)]
    pub replace: bool,

    /// The stages of a run that no sweep describes, in order, separated by commas; or a file that holds them
    #[arg(long, value_name = "STAGES", value_parser = parse_path)]
    pub path: Option<stamp::Path>,

    /// Where the log store is.
    #[command(flatten)]
    pub store: LogStoreArgs,
}

/// Adds a sweep to a dataset, and returns the dataset's folder. All of the sweep's runs appear there, or none; those of others are not touched.
///
/// # Errors
/// When the log store is away or does not know the sweep, the file is cut off or damaged, the dataset holds one of the runs already, or it cannot be
/// written.
#[cfg(feature = "parquet")]
pub async fn parquet(args: &ParquetArgs) -> anyhow::Result<PathBuf> {
    use crate::progress::Progress;
    use analysis::Stamps;
    use anyhow::Context;

    let (mut source, mut sweep) = Stamps::open(&args.sweep, &args.store.url()).await?;
    if let Some(path) = &args.path {
        sweep.path = path.stages().to_vec();
    }
    let fault = place::fault(&args.out);
    let place = place::Place::open(&args.out, &sweep, args.replace)?;
    let stages = sweep.stages();
    let progress = Progress::lists("writing", (sweep.loads.len() * stages.len()) as u64);
    for (level, load) in sweep.loads.iter().enumerate() {
        let run = &load.run;
        let failed = || format!("run {run} cannot be written to {}", args.out.display());
        let mut unreadable = 0;
        // In their order, which is that of a file.
        for stage in &stages {
            let mut rows = stamps::StampRows::new(place.stamps(run, stage)?).map_err(&fault).with_context(failed)?;
            source.lists(run, &[stage], |_, entry| rows.take(entry), |_| progress.step()).await.with_context(failed)?;
            unreadable += rows.finish().map_err(&fault).with_context(failed)?;
        }
        let counts = source.counts(run).await?;
        tables::counts(place.table(run, place::COUNTS)?, &sweep.path, &counts).map_err(&fault).with_context(failed)?;
        tables::level(place.table(run, place::LEVELS)?, &sweep, level, &counts, unreadable)
            .map_err(&fault)
            .with_context(failed)?;
    }
    source.finish()?;
    place.publish()?;
    Ok(args.out.clone())
}

/// What the ordinary build says instead.
///
/// # Errors
/// Always: it names the feature that is missing.
#[cfg(not(feature = "parquet"))]
#[allow(clippy::unused_async, reason = "it stands in for what reads the log store")]
pub async fn parquet(_: &ParquetArgs) -> anyhow::Result<PathBuf> {
    Err(stamp::UsageError(
        "this program was built without Parquet: take one from a package or an image, or build it with its feature \
         (cargo build --release -p driver --features parquet); `export` keeps the stamps meanwhile, and `parquet` reads its file"
            .to_owned(),
    )
    .into())
}

#[cfg(all(test, not(feature = "parquet")))]
mod tests {
    use super::*;
    use crate::exit_code;
    use stamp::RedisArgs;

    #[tokio::test]
    async fn an_ordinary_build_names_the_feature_that_is_missing() {
        let store = LogStoreArgs { redis: "redis://127.0.0.1:6379".parse().unwrap(), redis_args: RedisArgs::default() };
        let args = ParquetArgs { sweep: "s".to_owned(), out: "x".into(), replace: false, path: None, store };
        let error = parquet(&args).await.unwrap_err();
        assert!(error.to_string().contains("--features parquet"), "{error}");
        assert_eq!(exit_code(&error), stamp::WRONG_USAGE);
    }
}
