//! The services and commands with a Redis server that asks for users, passwords and TLS.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use stack::{Certificates, Mosquitto, Process, Redis, RedisOptions, Sandbox};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

/// The rules of docs/security.md, each with a password of its own.
fn rules() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/security.md");
    let page = std::fs::read_to_string(page).unwrap();
    let users = page.lines().filter_map(|line| line.strip_prefix("    user "));
    let rules = users.map(|rule| rule.replace("PASSWORD", &password(rule.split(' ').next().unwrap())));
    rules.chain(["default off".to_owned()]).collect()
}

fn password(user: &str) -> String {
    format!("hidden-{user}")
}

struct Pipeline {
    api: String,
    services: Vec<Process>,
    mosquitto: Mosquitto,
    redis: Redis,
    certificates: Certificates,
    sandbox: Arc<Sandbox>,
}

impl Pipeline {
    async fn start() -> Self {
        let sandbox = Arc::new(Sandbox::new().unwrap());
        let certificates = Certificates::make(&sandbox).unwrap();
        let options = RedisOptions { acl_users: rules(), tls: Some(certificates.clone()), ..RedisOptions::default() };
        let redis = Redis::start_as(&sandbox, options).await.unwrap();
        let mosquitto = Mosquitto::start_in(&sandbox).await.unwrap();
        let mut pipeline = Self { api: String::new(), services: Vec::new(), mosquitto, redis, certificates, sandbox };
        for role in ["apiserver", "pushserver", "mqttclient"] {
            let mut command = pipeline.driver(role);
            command.args(["role", role, "--every", "10"]);
            if role != "apiserver" {
                command.args(["--mqtt", &pipeline.mosquitto.url()]);
            }
            let mut process = Process::spawn(role, command, &pipeline.sandbox).unwrap();
            let listens = |line: &str| serde_json::from_str::<Value>(line).ok()?["listen"].as_str().map(str::to_owned);
            let listen = process.wait_for(listens).await.unwrap();
            if role == "apiserver" {
                pipeline.api = format!("http://{listen}");
            }
            pipeline.services.push(process);
        }
        pipeline
    }

    /// The driver as a user, who brings the password by environment.
    fn driver(&self, user: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driver"));
        command.env("STAMPEDE_REDIS", self.redis.url()).env("STAMPEDE_LOG_STORE", self.redis.url());
        command.env("STAMPEDE_REDIS_USER", user).env("STAMPEDE_REDIS_PASSWORD", password(user));
        command.env("STAMPEDE_REDIS_CA", &self.certificates.authority);
        command
    }
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("hidden"), "{text}");
    String::from_utf8(output.stdout).unwrap()
}

/// Messages have passed, and all of them arrived.
fn whole(level: &Value) {
    assert!(level["books"]["accepted"].as_u64().unwrap() > 0, "{level}");
    assert_eq!(level["books"]["lost"], 0, "{level}");
    assert!(level["arrival"]["count"].as_u64().unwrap() > 0, "{level}");
}

/// Every file below a folder, as one text.
fn all_text(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| {
        if path.is_dir() {
            all_text(&path)
        } else {
            String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
        }
    };
    entries.map(text).collect()
}

#[tokio::test]
async fn a_sweep_runs_over_tls_with_a_user_for_each_program() {
    let pipeline = Pipeline::start().await;
    let out = tempfile::tempdir().unwrap();
    let mut sweep = pipeline.driver("driver");
    sweep.args(["sweep", "--target", &pipeline.api, "--every", "10", "--to", "1", "--warmup", "0s"]);
    sweep.args(["--duration", "300ms", "--json", "--out"]).arg(out.path());
    let level: Value = serde_json::from_str(&done(&mut sweep)).unwrap();
    whole(&level);
    let services = done(pipeline.driver("reporter").args(["services"]));
    assert!(["apiserver", "pushserver", "mqttclient"].iter().all(|name| services.contains(name)), "{services}");
    done(pipeline.driver("reporter").args(["report", "latest", "--out"]).arg(out.path()));
    done(pipeline.driver("reporter").args(["clock", "--duration", "50ms"]));
    assert!(!all_text(out.path()).contains("hidden"));
    for process in &pipeline.services {
        assert!(!process.log().contains("hidden"), "{}", process.log());
        #[cfg(target_os = "linux")]
        {
            let line = std::fs::read(format!("/proc/{}/cmdline", process.pid())).unwrap();
            assert!(!String::from_utf8_lossy(&line).contains("hidden"));
        }
    }
}

#[tokio::test]
async fn a_password_comes_from_a_file_too_and_a_wrong_file_is_bad_usage() {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let options = RedisOptions { password: Some("hidden".to_owned()), ..RedisOptions::default() };
    let redis = Redis::start_as(&sandbox, options).await.unwrap();
    let services = |file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driver"));
        // The file is stronger than the variable.
        command.env("STAMPEDE_REDIS_PASSWORD", "another");
        command.args(["services", "--redis", &redis.url(), "--redis-password-file"]).arg(file);
        command
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let absent = services(&file).output().unwrap();
    assert_eq!(absent.status.code(), Some(2));
    assert!(text(&absent).contains("cannot read"), "{}", text(&absent));
    std::fs::write(&file, "hidden\n").unwrap();
    done(&mut services(&file));
    std::fs::write(&file, "hidden no more\n").unwrap();
    let wrong = services(&file).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong).contains("wants other credentials") && !text(&wrong).contains("hidden"), "{}", text(&wrong));
}

/// The machine's own variables name another pipeline; the private stack must not look there.
#[test]
fn a_private_stack_does_not_see_the_environment() {
    let out = tempfile::tempdir().unwrap();
    let mut sweep = Command::new(env!("CARGO_BIN_EXE_driver"));
    sweep.env("STAMPEDE_REDIS_USER", "somebody").env("STAMPEDE_REDIS_PASSWORD", "hidden");
    sweep.args(["sweep", "--every", "10", "--to", "1", "--warmup", "0s", "--duration", "200ms", "--json", "--out"]);
    let level: Value = serde_json::from_str(&done(sweep.arg(out.path()))).unwrap();
    whole(&level);
}
