//! Stamps on their way from a real Redis, or from a file, into a dataset of Parquet.
#![cfg(feature = "parquet")]
#![allow(clippy::unwrap_used)]

use analysis::{Load, Sweep};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use reporter::{ExportArgs, LogStoreArgs, ParquetArgs, export};
use stack::Redis;
use stamp::{LogStore, RedisArgs, RunId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);

struct Fixture {
    _redis: Redis,
    store: LogStoreArgs,
    log: LogStore,
    folder: TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let redis = Redis::start().await.unwrap();
        let store = LogStoreArgs { redis: redis.url().parse().unwrap(), redis_args: RedisArgs::default() };
        let log = store.connect().await.unwrap();
        Self { _redis: redis, store, log, folder: tempfile::tempdir().unwrap() }
    }

    /// A sweep over two stages, whose runs have these entries at both of them.
    async fn sweep(&self, id: &str, runs: &[(&str, &[&str])]) {
        let path: stamp::Path = "send,publish".parse().unwrap();
        for (run, entries) in runs {
            let run: RunId = run.parse().unwrap();
            let entries: Vec<Vec<u8>> = entries.iter().map(|entry| entry.as_bytes().to_vec()).collect();
            for stage in path.stages() {
                self.log.append(&run, stage, &entries, HOUR).await.unwrap();
            }
            let counts = [("send@a", 3), ("send@b", 2), ("publish@a", 4), ("shed@a", 1)];
            let counts: BTreeMap<_, _> = counts.map(|(name, count)| (name.to_owned(), count)).into();
            self.log.put_counts(&run, &counts, HOUR).await.unwrap();
        }
        let sweep = Sweep {
            started_unix_s: 1_795_255_200,
            loads: runs.iter().map(|(run, _)| Load::foreign(run.parse().unwrap())).collect(),
            ..Sweep::of_load(id.parse().unwrap(), 1, &path)
        };
        sweep.save(&self.log, HOUR).await.unwrap();
    }

    async fn write(&self, sweep: &str, replace: bool) -> anyhow::Result<PathBuf> {
        let (out, store) = (self.out(), self.store.clone());
        reporter::parquet(&ParquetArgs { sweep: sweep.to_owned(), out, replace, path: None, store }).await
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("months")
    }

    /// All files below the dataset, by their place, with their bytes.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        fn gather(folder: &Path, out: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    gather(&path, out, files);
                } else {
                    let name = path.strip_prefix(out).unwrap().display().to_string();
                    files.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
        let mut files = BTreeMap::new();
        gather(&self.out(), &self.out(), &mut files);
        files
    }
}

fn rows(bytes: &[u8]) -> Vec<Vec<Field>> {
    let reader = SerializedFileReader::new(bytes::Bytes::copy_from_slice(bytes)).unwrap();
    let row = |row: parquet::record::Row| row.into_columns().into_iter().map(|(_, field)| field).collect();
    reader.get_row_iter(None).unwrap().map(|found| row(found.unwrap())).collect()
}

const FULL: &str = r#"{"id":7,"time":"1426087754.104515","lag":48,"err":17,"step":2}"#;
const PLAIN: &str = r#"{"id":9007199254740991,"time":"1426087754.000001"}"#;

#[tokio::test]
async fn a_dataset_has_every_stamp_and_the_books() {
    let fixture = Fixture::start().await;
    fixture.sweep("s", &[("s.c01", &[FULL, "garbage", PLAIN])]).await;
    fixture.write("s", false).await.unwrap();
    let files = fixture.files();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "counts/run=s.c01/part-0.parquet",
            "levels/run=s.c01/part-0.parquet",
            "stamps/run=s.c01/stage=acknowledged/part-0.parquet",
            "stamps/run=s.c01/stage=publish/part-0.parquet",
            "stamps/run=s.c01/stage=send/part-0.parquet",
        ]
    );
    let us = Field::TimestampMicros;
    assert_eq!(
        rows(&files["stamps/run=s.c01/stage=send/part-0.parquet"]),
        [
            vec![Field::Long(7), us(1_426_087_754_104_467), Field::Long(48), Field::Long(17), Field::Long(2)],
            vec![Field::Long((1 << 53) - 1), us(1_426_087_754_000_001), Field::Null, Field::Null, Field::Long(0)],
        ]
    );
    assert!(rows(&files["stamps/run=s.c01/stage=acknowledged/part-0.parquet"]).is_empty());
    let text = |text: &str| Field::Str(text.to_owned());
    assert_eq!(
        rows(&files["counts/run=s.c01/part-0.parquet"]),
        [
            vec![text("send"), Field::Long(0), Field::Long(5)],
            vec![text("publish"), Field::Long(1), Field::Long(4)],
            vec![text("shed"), Field::Null, Field::Long(1)],
        ]
    );
    let level = &rows(&files["levels/run=s.c01/part-0.parquet"])[0];
    assert_eq!((&level[0], &level[4]), (&text("s"), &text("send,publish")));
    // Each list has one entry that is none.
    assert_eq!((&level[22], &level[23]), (&Field::Long(1), &Field::Long(2)));
}

#[tokio::test]
async fn a_dataset_grows_by_runs_and_replaces_one_only_when_told_to() {
    let fixture = Fixture::start().await;
    fixture.sweep("s", &[("s.c01", &[FULL]), ("s.c02", &[PLAIN])]).await;
    fixture.write("s", false).await.unwrap();
    let first = fixture.files();
    fixture.sweep("t", &[("t.c01", &[FULL])]).await;
    fixture.write("t", false).await.unwrap();
    let both = fixture.files();
    assert_eq!(both.len(), first.len() * 3 / 2);
    assert!(first.iter().all(|(name, bytes)| both[name] == *bytes));
    // One of its runs is there, the other is not: neither comes.
    fixture.sweep("u", &[("u.c01", &[FULL]), ("s.c02", &[FULL])]).await;
    let error = fixture.write("u", false).await.unwrap_err().to_string();
    let told = error.replace(&fixture.out().display().to_string(), "DIR");
    insta::assert_snapshot!(told, @"DIR holds run s.c02 already: give --replace to put this one in its place, or choose another folder with --out");
    assert_eq!(fixture.files(), both);
    fixture.write("u", true).await.unwrap();
    let stamps = |run: &str| rows(&fixture.files()[&format!("stamps/run={run}/stage=send/part-0.parquet")]).len();
    // The log store has appended to the run, and the dataset has what it holds now.
    assert_eq!((stamps("u.c01"), stamps("s.c01"), stamps("s.c02")), (1, 1, 2));
}

#[tokio::test]
async fn of_several_that_write_one_sweep_one_does_and_the_others_are_told() {
    let fixture = Fixture::start().await;
    let stamps = &[r#"{"id":100,"time":"1795255210.000000"}"#][..];
    fixture.sweep("s", &[("s.c01", stamps), ("s.c02", stamps)]).await;
    let (a, b, c) = tokio::join!(fixture.write("s", false), fixture.write("s", false), fixture.write("s", false));
    let errors: Vec<String> = [a, b, c].into_iter().filter_map(|done| Some(done.err()?.to_string())).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors.iter().all(|error| error.contains("wait until it has ended") || error.contains("--replace")));
    let files = fixture.files();
    fixture.write("s", true).await.unwrap();
    assert_eq!(fixture.files(), files);
}

#[tokio::test]
async fn a_dataset_from_a_file_is_that_from_the_log_store_and_a_damaged_file_leaves_nothing() {
    let fixture = Fixture::start().await;
    let many: Vec<String> =
        (0..300_000).map(|id| format!(r#"{{"id":{id},"time":"1426087754.{id:06}","lag":3}}"#)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    // More than is written at a time.
    fixture.sweep("s", &[("s.c01", &many[..]), ("s.c02", &[FULL])]).await;
    let output = Some(fixture.folder.path().join("s.stamps.lz4"));
    let args = ExportArgs { sweep: "s".to_owned(), output, store: fixture.store.clone() };
    let file = export(&args).await.unwrap();
    fixture.write("s", false).await.unwrap();
    let from_store = fixture.files();
    assert_eq!(rows(&from_store["stamps/run=s.c01/stage=publish/part-0.parquet"]).len(), many.len());
    std::fs::remove_dir_all(fixture.out()).unwrap();
    // What somebody who was killed has left does no harm.
    std::fs::create_dir_all(fixture.out().join(".s.partial/stamps/run=other")).unwrap();
    fixture.write(file.to_str().unwrap(), false).await.unwrap();
    assert!(fixture.files() == from_store);
    std::fs::remove_dir_all(fixture.out()).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 20]).unwrap();
    let error = format!("{:#}", fixture.write(file.to_str().unwrap(), false).await.unwrap_err());
    assert!(error.contains("is cut off after line"), "{error}");
    assert!(fixture.files().is_empty());
}

#[tokio::test]
async fn a_run_whose_name_readers_take_for_none_is_refused() {
    let fixture = Fixture::start().await;
    fixture.sweep("s", &[("s.c01", &[FULL]), ("__HIVE_DEFAULT_PARTITION__", &[FULL])]).await;
    let error = fixture.write("s", false).await.unwrap_err().to_string();
    insta::assert_snapshot!(error, @"a run named __HIVE_DEFAULT_PARTITION__ is no run to those who read a dataset: the name means that there is none; load under another one (`export` keeps these stamps)");
    assert!(!fixture.out().exists());
}
