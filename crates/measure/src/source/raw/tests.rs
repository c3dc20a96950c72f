//! What is written is read back, and what is broken is told.

use super::{RawError, RawFile, RawHeader, RawRun, RawWriter, VERSION};
use crate::{Load, Sweep};
use lz4_flex::frame::{FrameDecoder, FrameEncoder, FrameInfo};
use proptest::prelude::*;
use stamp::{RunId, Stage};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A run with its counters and the entries of its stages.
#[derive(Debug, Clone)]
struct Run {
    id: RunId,
    counts: BTreeMap<String, u64>,
    stages: Vec<(Stage, Vec<Vec<u8>>)>,
}

fn run(id: &str, stages: &[(&str, &[&str])]) -> Run {
    let entries = |entries: &[&str]| entries.iter().map(|entry| entry.as_bytes().to_vec()).collect();
    Run {
        id: id.parse().unwrap(),
        counts: [("send@1-a.0".to_owned(), 7)].into(),
        stages: stages.iter().map(|(stage, list)| (stage.parse().unwrap(), entries(list))).collect(),
    }
}

fn header(runs: &[Run]) -> RawHeader {
    let sweep = Sweep {
        started_unix_s: 1,
        loads: runs.iter().map(|run| Load::foreign(run.id.clone())).collect(),
        ..Sweep::of_load("s".parse().unwrap(), 1, &stamp::Path::default())
    };
    let stages = |run: &Run| run.stages.iter().map(|(stage, _)| stage.clone()).collect();
    RawHeader::new(
        sweep,
        Vec::new(),
        runs.iter().map(|run| RawRun { run: run.id.clone(), stages: stages(run) }).collect(),
    )
}

fn bytes(runs: &[Run]) -> Vec<u8> {
    let mut writer = RawWriter::new(Vec::new(), &header(runs)).unwrap();
    for run in runs {
        writer.counts(&run.id, &run.counts).unwrap();
        for (stage, entries) in &run.stages {
            for entry in entries {
                writer.entry(&run.id, stage, entry).unwrap();
            }
            writer.end_stage(&run.id, stage).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn file(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("raw.stamps.lz4");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn entries(file: &mut RawFile, run: &RunId, stage: &Stage) -> Result<Vec<Vec<u8>>, RawError> {
    let mut entries = Vec::new();
    file.entries(run, stage, |entry| entries.push(entry.to_vec()))?;
    Ok(entries)
}

/// What reading all of these bytes says, with FILE for the file.
fn told(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), bytes);
    let read = RawFile::open(&path).and_then(|mut file| file.finish());
    read.map_or_else(|error| error.to_string(), |()| "nothing".to_owned()).replace(path.to_str().unwrap(), "FILE")
}

fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(FrameInfo::new().content_checksum(true), Vec::new());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn text(bytes: &[u8]) -> String {
    std::io::read_to_string(FrameDecoder::new(bytes)).unwrap()
}

fn two_runs() -> Vec<Run> {
    let stamp = r#"{"id":1,"time":"1.000000"}"#;
    let other = r#"{"id":2,"time":"1.000000"}"#;
    vec![
        run("a", &[("send", &[stamp, other, "garbage"]), ("publish", &[])]),
        run("b", &[("send", &[]), ("publish", &[stamp])]),
    ]
}

#[test]
fn the_file_is_text_that_anybody_can_read() {
    insta::assert_snapshot!(text(&bytes(&two_runs())), @r#"
    {"format":"stampede-raw","version":1,"sweep":{"id":"s","started_unix_s":1,"every":1,"path":["send","apiserver","enqueue","pushserver","publish","mqttclient"],"settings":{},"environment":{},"p99_limit_us":50000,"loads":[{"run":"a","concurrency":null,"rate":null,"repeat":1,"generator_limited":null,"interrupted_us":null,"http":null,"backlog":null,"clock_steps":[],"drain_us":null,"span_us":null,"cutoff":null,"usage":[],"queue":[]},{"run":"b","concurrency":null,"rate":null,"repeat":1,"generator_limited":null,"interrupted_us":null,"http":null,"backlog":null,"clock_steps":[],"drain_us":null,"span_us":null,"cutoff":null,"usage":[],"queue":[]}]},"clock_steps":[],"runs":[{"run":"a","stages":["send","publish"]},{"run":"b","stages":["send","publish"]}]}
    {"run":"a","counts":{"send@1-a.0":7}}
    {"run":"a","stage":"send","entries":3,"hex":[2]}
    {"id":1,"time":"1.000000"}
    {"id":2,"time":"1.000000"}
    "67617262616765"
    {"run":"a","stage":"publish","entries":0}
    {"run":"b","counts":{"send@1-a.0":7}}
    {"run":"b","stage":"send","entries":0}
    {"run":"b","stage":"publish","entries":1}
    {"id":1,"time":"1.000000"}
    {"end":{"sections":4,"entries":4}}
    "#);
}

#[test]
fn stages_are_found_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let runs = two_runs();
    let mut file = RawFile::open(&file(folder.path(), &bytes(&runs))).unwrap();
    for run in runs.iter().rev() {
        for (stage, expected) in run.stages.iter().rev() {
            assert_eq!(&entries(&mut file, &run.id, stage).unwrap(), expected, "{stage} of {}", run.id);
        }
        assert_eq!(file.counts(&run.id).unwrap(), &run.counts);
    }
    let nobody = "nobody".parse().unwrap();
    assert!(entries(&mut file, &nobody, &Stage::SEND).unwrap().is_empty() && file.counts(&nobody).unwrap().is_empty());
    assert!(entries(&mut file, &runs[0].id, &Stage::ENQUEUE).unwrap().is_empty());
    file.finish().unwrap();
}

#[test]
fn what_is_cut_off_is_told_wherever_that_is() {
    let many: Vec<String> =
        (0..5000).map(|id| format!(r#"{{"id":{},"time":"{id}.123456","lag":{}}}"#, id * 7919, id % 977)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let bytes = bytes(&[run("a", &[("send", &many), ("publish", &many)])]);
    for length in [5, bytes.len() / 3, bytes.len() / 2, bytes.len() - 5, bytes.len() - 1] {
        let told = told(&bytes[..length]);
        assert!(told.starts_with("FILE is cut off after line "), "{length} of {}: {told}", bytes.len());
    }
    let text = text(&bytes);
    let end = text.rfind("{\"end\"").unwrap();
    insta::assert_snapshot!(told(&compressed(&text[..end])), @"FILE is cut off after line 10004, among the stamps of stage publish of run a: export it again, or copy it again from where it came from");
    assert_eq!(told(&bytes), "nothing");
}

#[test]
fn what_is_damaged_is_told() {
    let good = bytes(&two_runs());
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    insta::assert_snapshot!(told(&flipped), @"FILE is damaged at line 12: the text does not match its checksum, or cannot be unpacked at all; export it again, or copy it again from where it came from");
    let text = text(&good);
    let changed = |from: &str, to: &str| told(&compressed(&text.replacen(from, to, 1)));
    insta::assert_snapshot!(changed("{\"id\":2,\"time\":\"1.000000\"}\n", ""), @"FILE is damaged at line 6, among the stamps of stage send of run a: this should be a string of hexadecimal digits; export it again, or copy it again from where it came from");
    insta::assert_snapshot!(changed("\"entries\":3", "\"entries\":2"), @"FILE is damaged at line 6, among the stamps of stage send of run a: this should say what follows; export it again, or copy it again from where it came from");
    insta::assert_snapshot!(changed("\"67617262616765\"", "\"6761726261676\""), @"FILE is damaged at line 6, among the stamps of stage send of run a: this should be a string of hexadecimal digits; export it again, or copy it again from where it came from");
    insta::assert_snapshot!(changed("\"stage\":\"publish\",\"entries\":0", "\"stage\":\"enqueue\",\"entries\":0"), @"FILE is damaged at line 7, among the stamps of stage send of run a: stage enqueue of run a is not where the header has it; export it again, or copy it again from where it came from");
    insta::assert_snapshot!(changed("\"end\":{\"sections\":4,\"entries\":4}", "\"end\":{\"sections\":4,\"entries\":5}"), @"FILE is damaged at line 12: 5 stamps were written, and 4 are there; export it again, or copy it again from where it came from");
    insta::assert_snapshot!(told(&compressed(&format!("{text}more\n"))), @"FILE is damaged at line 13: nothing should follow the last line; export it again, or copy it again from where it came from");
}

#[test]
fn what_is_something_else_is_told() {
    insta::assert_snapshot!(told(b""), @"FILE holds no raw stamps: name a file that driver export wrote");
    insta::assert_snapshot!(told(b"{\"format\":\"stampede-raw\"}"), @"FILE holds no raw stamps: name a file that driver export wrote");
    insta::assert_snapshot!(told(&compressed("{\"format\":\"else\",\"version\":1}\n")), @"FILE holds no raw stamps: name a file that driver export wrote");
    let version = text(&bytes(&two_runs())).replacen(&format!("\"version\":{VERSION}"), "\"version\":9", 1);
    insta::assert_snapshot!(told(&compressed(&version)), @"FILE has version 9 of the format of raw stamps, and this program reads version 1: use the program that wrote it");
}

#[test]
fn several_frames_are_one_file() {
    // As `cat` of compressed parts makes it.
    let text = text(&bytes(&two_runs()));
    let (one, other) = text.split_at(text.len() / 2);
    let mut frames = compressed(one);
    frames.write_all(&compressed(other)).unwrap();
    assert_eq!(told(&frames), "nothing");
}

#[test]
fn the_text_itself_is_read_and_zstd_is_refused_with_what_to_do() {
    let text = text(&bytes(&two_runs()));
    assert_eq!(told(text.as_bytes()), "nothing");
    let cut = told(&text.as_bytes()[..text.len() - 3]);
    assert!(cut.starts_with("FILE is "), "{cut}");
    insta::assert_snapshot!(told(&[0x28, 0xB5, 0x2F, 0xFD, 0]), @"FILE is compressed with zstd, as stampede 0.1 did it: unpack it (zstd -d FILE), and name the text that this makes");
}

fn any_entry() -> impl Strategy<Value = Vec<u8>> {
    let stamp =
        (any::<u32>(), any::<u32>()).prop_map(|(id, us)| format!(r#"{{"id":{id},"time":"{us}.000001"}}"#).into_bytes());
    prop_oneof![4 => stamp, 1 => prop::collection::vec(any::<u8>(), 0..20), 1 => "[\"{}0-9a-f\n:]{0,8}".prop_map(String::into_bytes)]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_byte_for_byte(
        lists in prop::collection::vec(prop::collection::vec(any_entry(), 0..30), 6),
        order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let stages = ["send", "apiserver", "mqttclient"];
        let runs: Vec<Run> = lists
            .chunks(3)
            .zip(["a", "b"])
            .map(|(lists, id)| Run {
                stages: stages.iter().map(|stage| stage.parse().unwrap()).zip(lists.iter().cloned()).collect(),
                ..run(id, &[])
            })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), &bytes(&runs));
        let mut read = RawFile::open(&path).unwrap();
        for place in order {
            let run = &runs[place / 3];
            let (stage, expected) = &run.stages[place % 3];
            prop_assert_eq!(&entries(&mut read, &run.id, stage).unwrap(), expected);
        }
        let mut sections = RawFile::open(&path).unwrap();
        for run in &runs {
            for (stage, expected) in &run.stages {
                let mut found = Vec::new();
                while let Some(entries) = sections.section_of(&run.id, stage).unwrap() {
                    found.extend(entries);
                }
                prop_assert_eq!(&found, expected);
            }
        }
    }

    #[test]
    fn no_fault_goes_unnoticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let good = bytes(&two_runs());
        let mut bad = good.clone();
        bad[at.index(good.len())] ^= 1 << bit;
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), &bad);
        let read = RawFile::open(&path).and_then(|mut file| file.finish().map(|()| file));
        // A bit that means nothing may change, and nothing else.
        if read.is_ok() {
            prop_assert_eq!(text(&bad), text(&good));
        }
    }
}
