//! The executable as a user runs it: its command line as one text, and what comes of it.
#![allow(dead_code, reason = "not every test uses all of it")]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use stack::{Endpoints, StackOptions};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

/// The driver with this command line, as a shell reads it, and with none of our variables that the environment may have.
pub(crate) fn driver(line: impl AsRef<str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driver"));
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STAMPEDE_"));
    for (name, _) in ours {
        command.env_remove(name);
    }
    command.args(shlex::split(line.as_ref()).unwrap()).env("RUST_LOG", "warn");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn run(line: impl AsRef<str>) -> Output {
    driver(line).output().unwrap()
}

/// What it told people.
pub(crate) fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it printed.
pub(crate) fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs it, and gives its only line of JSON.
pub(crate) fn json(line: impl AsRef<str>) -> Value {
    let output = run(line);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told(&output)))
}

/// The one level of a sweep that has succeeded.
pub(crate) fn level(sweep: &Output) -> Value {
    assert!(sweep.status.success(), "{}", told(sweep));
    serde_json::from_slice(&sweep.stdout).unwrap()
}

/// Lets the parts of a pipeline suffer, and gives the figures of it by name.
pub(crate) fn chaos(options: &str) -> (BTreeMap<String, u64>, Output) {
    let output = run(format!("chaos {options}"));
    let table = printed(&output);
    let figures = table.lines().filter_map(|line| line.split_once(' '));
    let figures = figures.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)));
    (figures.collect(), output)
}

/// The newest report in this folder.
pub(crate) fn report(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("latest/report.json")).unwrap()).unwrap()
}

/// Holds a value against a schema of the docs.
pub(crate) fn assert_valid(schema: &str, value: &Value) {
    let schema = format!("{}/../../docs/{schema}", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<_> =
        validator.iter_errors(value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?}: {value}");
}

/// A pipeline of which one message in `every` is sampled.
pub(crate) fn options(every: &str) -> StackOptions {
    StackOptions::new(env!("CARGO_BIN_EXE_driver").into(), every.parse().unwrap())
}

/// Polls until there is something, for a minute.
pub(crate) fn until<T>(mut poll: impl FnMut() -> Option<T>, otherwise: &str) -> T {
    for _ in 0..6000 {
        if let Some(found) = poll() {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("{otherwise}");
}

/// Polls until something has come about, for a minute.
pub(crate) async fn until_so(mut come: impl AsyncFnMut() -> bool, otherwise: &str) {
    let polling = async {
        while !come().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), polling).await.is_ok(), "{otherwise}");
}

pub(crate) fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// The processes that carry a mark in their environment, however they were started: their ids and command lines.
#[cfg(target_os = "linux")]
pub(crate) fn marked(mark: &str) -> Vec<(u32, String)> {
    let mark = format!("STAMPEDE_TEST_MARK={mark}\0");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let marked = processes
        .filter(|process| fs::read(process.path().join("environ")).is_ok_and(|env| text(env).contains(&mark)))
        .filter_map(|process| {
            let line = text(fs::read(process.path().join("cmdline")).ok()?).replace('\0', " ");
            (!line.is_empty()).then_some((process.file_name().to_string_lossy().parse().ok()?, line))
        });
    marked.collect()
}

#[cfg(target_os = "linux")]
pub(crate) fn none_left(mark: &str) {
    until(|| marked(mark).is_empty().then_some(()), "processes are left");
}

/// A driver that ends with its test.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    /// The lines of its stdout that are not read yet.
    pub(crate) fn printed(&mut self) -> impl Iterator<Item = String> + use<> {
        let stdout: ChildStdout = self.child().stdout.take().unwrap();
        BufReader::new(stdout).lines().map_while(Result::ok)
    }

    /// The lines of its stderr that are not read yet.
    pub(crate) fn told(&mut self) -> impl Iterator<Item = String> + use<> {
        let stderr: ChildStderr = self.child().stderr.take().unwrap();
        BufReader::new(stderr).lines().map_while(Result::ok)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.0.as_ref().unwrap().id(), signal);
    }

    /// Its exit code, once it has ended.
    pub(crate) fn code(mut self) -> Option<i32> {
        self.child().wait().unwrap().code()
    }

    pub(crate) fn output(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A local stack in the foreground of another process.
pub(crate) struct RunningStack {
    pub(crate) process: Running,
    pub(crate) at: Endpoints,
}

impl RunningStack {
    pub(crate) fn start(options: &str) -> Self {
        let mut process = Running::start(&mut driver(format!("stack --json {options}")));
        let line = process.printed().next().unwrap();
        Self { process, at: serde_json::from_str(&line).unwrap() }
    }

    /// A sweep of this pipeline.
    pub(crate) fn sweep(&self, out: &Path, options: &str) -> Output {
        let at = format!("--target {} --redis {} --out {}", self.at.api, self.at.redis, out.display());
        run(format!("sweep --warmup 0s {at} {options}"))
    }

    pub(crate) fn stop(self) {
        self.process.signal(Signal::INT);
        assert_eq!(self.process.code(), Some(0));
    }
}
