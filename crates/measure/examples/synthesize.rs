//! Makes up the stamps of one load: a file of raw stamps, and on request the same entries as plain lines of JSON, a file for each stage, for
//! other programs to read. `scripts/bench report` measures with it.
//!
//!     cargo run --release -p measure --example synthesize -- --stamps 10000000 --raw big.stamps.lz4 --ndjson big/

use clap::Parser;
use measure::{Http, Load, RawHeader, RawRun, RawWriter, Sweep};
use stamp::{MsgId, RunId};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

#[derive(Debug, Parser)]
#[command(about = "Makes up the stamps of one load over the six stages of the reference pipeline")]
struct Arguments {
    /// How many, over all stages
    #[arg(long, default_value_t = 10_000_000)]
    stamps: u64,

    /// The file of raw stamps
    #[arg(long, value_name = "FILE")]
    raw: PathBuf,

    /// A folder for one file of plain lines for each stage
    #[arg(long, value_name = "DIR")]
    ndjson: Option<PathBuf>,
}

/// When the first message is sent, µs since 1970-01-01 UTC.
const START_US: i64 = 1_795_255_200_000_000;

/// From one message to the next, µs: 50,000 a second.
const APART_US: i64 = 20;

const CONNECTIONS: u64 = 20;

/// From one stage to the next, µs: the least, and the mean of what comes on top.
const HOPS_US: [(i64, f64); 5] = [(40, 30.0), (60, 50.0), (30, 250.0), (15, 20.0), (45, 60.0)];

/// Processes that write the stamps of each stage, and how often each of them does, µs.
const WRITERS: [u64; 6] = [1, 2, 2, 3, 3, 2];
const FLUSH_EVERY_US: i64 = 100_000;

/// The event times of message number `n` at all stages, µs.
fn events(n: u64) -> [i64; 6] {
    let mut random = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut time = START_US + n.cast_signed() * APART_US;
    let mut events = [time; 6];
    for (event, (least, mean)) in events[1..].iter_mut().zip(HOPS_US) {
        // SplitMix64, and from it the exponential distribution.
        random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (random ^ random >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        let part = (((mixed ^ mixed >> 31) >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
        #[allow(clippy::cast_possible_truncation, reason = "some milliseconds at most")]
        let wait = (-part.ln() * mean) as i64;
        time += least + wait;
        *event = time;
    }
    events
}

/// Hands each entry of a stage to `take`, in the order in which its writers, each on its own beat, would have written them.
fn entries(messages: u64, stage: usize, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let writers = WRITERS[stage];
    let mut waiting: Vec<Vec<(MsgId, i64)>> = vec![Vec::new(); usize::try_from(writers).unwrap_or(1)];
    let mut entry = Vec::new();
    let mut flush = |waiting: &mut Vec<(MsgId, i64)>, at_us: i64, writer: u64| {
        for (id, event) in waiting.drain(..) {
            entry.clear();
            let (lag, err) = (at_us - event, 9 + (id.get() ^ writer) % 23);
            let (seconds, micros) = (at_us / 1_000_000, at_us % 1_000_000);
            write!(entry, r#"{{"id":{},"time":"{seconds}.{micros:06}","lag":{lag},"err":{err}}}"#, id.get())?;
            take(&entry)?;
        }
        io::Result::Ok(())
    };
    let mut next: Vec<i64> = (0..writers)
        .map(|writer| START_US + FLUSH_EVERY_US * (writer.cast_signed() + 1) / writers.cast_signed())
        .collect();
    for n in 0..messages {
        let (connection, sequence) = (n % CONNECTIONS, n / CONNECTIONS);
        // Connections are few, and sequences below 2^32.
        let id = MsgId::compose(0, u16::try_from(connection).unwrap_or(0), u32::try_from(sequence).unwrap_or(0));
        let event = events(n)[stage];
        let writer = (n.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32) % writers;
        let index = usize::try_from(writer).unwrap_or(0);
        while event >= next[index] {
            flush(&mut waiting[index], next[index], writer)?;
            next[index] += FLUSH_EVERY_US;
        }
        waiting[index].push((id, event));
    }
    for (index, writer) in (0..writers).enumerate() {
        flush(&mut waiting[index], next[index] + FLUSH_EVERY_US, writer)?;
    }
    Ok(())
}

fn sweep(run: &RunId, path: &stamp::Path, messages: u64) -> Sweep {
    let duration_us = messages * APART_US.unsigned_abs();
    let http = Http {
        duration_us,
        requests: messages,
        accepted: messages,
        mean_us: Some(150.0),
        p50_us: Some(140),
        p99_us: Some(400),
        max_us: Some(900),
        ..Http::default()
    };
    let load = Load {
        concurrency: Some(20),
        drain_us: Some(5_000),
        span_us: Some((START_US, START_US + duration_us.cast_signed())),
        http: Some(http),
        ..Load::foreign(run.clone())
    };
    let started_unix_s = START_US.unsigned_abs() / 1_000_000;
    Sweep { started_unix_s, loads: vec![load], ..Sweep::of_load(run.clone(), 1, path) }
}

fn main() -> anyhow::Result<()> {
    let args = Arguments::parse();
    let path = stamp::Path::default();
    let stages = path.stages();
    let messages = args.stamps.div_ceil(stages.len() as u64);
    // Each stage's counter has one writer: who wrote which stamp is not told.
    let counts = stages.iter().map(|stage| (format!("{stage}@1-synthetic.0"), messages)).collect();
    let run: RunId = "synthetic".parse()?;
    let sweep_of_all = Sweep { id: "synthetic-sweep".parse()?, ..sweep(&run, &path, messages) };
    let runs = vec![RawRun { run: run.clone(), stages: stages.to_vec() }];
    let out = BufWriter::new(File::create(&args.raw)?);
    let mut writer = RawWriter::new(out, &RawHeader::new(sweep_of_all, Vec::new(), runs))?;
    writer.counts(&run, &counts)?;
    if let Some(folder) = &args.ndjson {
        std::fs::create_dir_all(folder)?;
    }
    for (index, stage) in stages.iter().enumerate() {
        let plain =
            args.ndjson.as_ref().map(|folder| File::create(folder.join(format!("{stage}.ndjson")))).transpose()?;
        let mut plain = plain.map(|file| BufWriter::with_capacity(1 << 20, file));
        entries(messages, index, |entry| {
            if let Some(plain) = &mut plain {
                plain.write_all(entry)?;
                plain.write_all(b"\n")?;
            }
            writer.entry(&run, stage, entry)
        })?;
        writer.end_stage(&run, stage)?;
        plain.map(|mut plain| plain.flush()).transpose()?;
    }
    writer.finish()?.flush()?;
    Ok(())
}
