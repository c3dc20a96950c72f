//! The services and commands with a Redis server and an MQTT broker that ask for users, passwords and TLS.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use stack::{Certificates, Mosquitto, MosquittoOptions, Process, Redis, RedisOptions, Sandbox, until};
use stamp::keys::DEFAULT_QUEUE;
use stamp::{LogStore, RedisAccess, RedisTrust, RedisUrl, RunId, Secret};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

/// For what is bound to come about.
const PATIENCE: Duration = Duration::from_secs(20);

/// The lines of docs/security.md that are to be copied.
fn documented() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/security.md");
    let page = std::fs::read_to_string(page).unwrap();
    page.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned).collect()
}

/// The rules for Redis, each with a password of its own, and with the patterns that another queue's key asks for.
fn rules(key: &str) -> Vec<String> {
    let lines = documented();
    let users =
        lines.iter().filter_map(|line| line.strip_prefix("user ")).filter(|rule| rule.contains(" on >PASSWORD "));
    let rules = users.map(|rule| rule.replace("PASSWORD", &password(rule.split(' ').next().unwrap())));
    let rules = rules.map(|rule| match rule.split(' ').next() {
        _ if key == DEFAULT_QUEUE => rule,
        Some("pushserver") => rule.replace(" ~stampede:*", &format!(" ~{key} ~{key}:holders ~{key}:held:*")),
        _ => rule.replace("~stampede:*", &format!("~{key}")),
    });
    rules.chain(["default off".to_owned()]).collect()
}

/// The rules for the broker.
fn topics() -> String {
    let ours = |line: &String| line.starts_with("topic ") || (line.starts_with("user ") && !line.contains('>'));
    documented().into_iter().filter(ours).map(|line| line + "\n").collect()
}

fn password(user: &str) -> String {
    format!("concealed-{user}")
}

fn mqtt_password(user: &str) -> String {
    format!("concealed-mqtt-{user}")
}

/// How the services of a pipeline are set up.
#[derive(Clone, Copy)]
struct Setting {
    /// Each program has an ACL user of its own in Redis; else the default user has a password.
    users: bool,
    /// The version of MQTT.
    version: &'static str,
    /// What the queue is, and its key.
    queue: &'static str,
    key: &'static str,
    delivery: &'static str,
    mqttclient: &'static [&'static str],
}

struct Pipeline {
    setting: Setting,
    api: String,
    pages: Vec<String>,
    services: Vec<Process>,
    mosquitto: Mosquitto,
    redis: Redis,
    certificates: Certificates,
    sandbox: Arc<Sandbox>,
}

impl Pipeline {
    async fn start(setting: Setting) -> Self {
        let mut pipeline = Self::servers(setting).await;
        for role in ["apiserver", "pushserver", "mqttclient"] {
            pipeline.serve(role).await;
        }
        pipeline
    }

    async fn servers(setting: Setting) -> Self {
        let sandbox = Arc::new(Sandbox::new().unwrap());
        let certificates = Certificates::make(&sandbox).unwrap();
        let options = RedisOptions {
            acl_users: if setting.users { rules(setting.key) } else { Vec::new() },
            password: (!setting.users).then(|| password("default")),
            tls: Some(certificates.clone()),
            ..RedisOptions::default()
        };
        let redis = Redis::start_as(&sandbox, options).await.unwrap();
        let options = MosquittoOptions {
            users: ["pushserver", "mqttclient"].map(|user| (user.to_owned(), mqtt_password(user))).into(),
            acl: Some(topics()),
            tls: Some(certificates.clone()),
            ..MosquittoOptions::default()
        };
        let mosquitto = Mosquitto::start_as(&sandbox, options).await.unwrap();
        let (services, pages) = (Vec::new(), Vec::new());
        Self { setting, api: String::new(), pages, services, mosquitto, redis, certificates, sandbox }
    }

    /// Starts a service and waits until it is ready.
    async fn serve(&mut self, role: &str) {
        let mut process = Process::spawn(role, self.role(role), &self.sandbox).unwrap();
        let listens = |line: &str| serde_json::from_str::<Value>(line).ok()?["listen"].as_str().map(str::to_owned);
        let listen = process.wait_for(listens).await.unwrap();
        if role == "apiserver" {
            self.api = format!("http://{listen}");
        }
        self.pages.push(format!("http://{listen}/metrics"));
        self.services.push(process);
    }

    /// A service with all that it is to know.
    fn role(&self, role: &str) -> Command {
        let Setting { version, queue, key, delivery, mqttclient, .. } = self.setting;
        let mut command = self.driver(role);
        command.args(["role", role, "--every", "10"]);
        match role {
            "apiserver" => command.args(["--queue", queue, "--queue-key", key]),
            "pushserver" => command.args(["--queue", queue, "--queue-key", key, "--delivery", delivery]),
            _ => command.args(mqttclient),
        };
        if role != "apiserver" {
            command.env("STAMPEDE_MQTT", self.mosquitto.url()).env("STAMPEDE_MQTT_VERSION", version);
            command.env("STAMPEDE_MQTT_USER", role).env("STAMPEDE_MQTT_PASSWORD", mqtt_password(role));
            command.env("STAMPEDE_MQTT_CA", &self.certificates.authority);
        }
        command
    }

    /// The driver as a user, who brings the password by environment.
    fn driver(&self, user: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driver"));
        command.env("STAMPEDE_REDIS", self.redis.url()).env("STAMPEDE_LOG_STORE", self.redis.url());
        if self.setting.users {
            command.env("STAMPEDE_REDIS_USER", user).env("STAMPEDE_REDIS_PASSWORD", password(user));
        } else {
            command.env("STAMPEDE_REDIS_PASSWORD", password("default"));
        }
        command.env("STAMPEDE_REDIS_CA", &self.certificates.authority);
        command
    }

    /// A sweep of one level, in which nothing may be lost.
    fn sweep(&self, out: &Path) {
        let mut sweep = self.driver("driver");
        sweep.args(format!("sweep --target {} --every 10 --to 1 --warmup 0s --duration 300ms", self.api).split(' '));
        sweep.args(["--queue", self.setting.key, "--json", "--out"]).arg(out);
        whole(&serde_json::from_str(&done(&mut sweep)).unwrap());
    }

    /// A sweep that a worker makes, who has the rights of a worker only.
    async fn sweep_of_a_worker(&mut self, out: &Path) {
        let mut worker = self.driver("worker");
        worker.args(["worker", "--allow-target", &self.api, "--every", "10"]);
        let mut process = Process::spawn("worker", worker, &self.sandbox).unwrap();
        let mut sweep = self.driver("driver");
        let load =
            format!("sweep --target {} --every 10 --rates 200 --warmup 0s --duration 500ms --workers 1", self.api);
        sweep.args(load.split(' ')).args(["--queue", self.setting.key, "--json", "--out"]).arg(out);
        let level: Value = serde_json::from_str(&done(&mut sweep)).unwrap();
        whole(&level);
        assert_eq!(level["load"]["workers"][0]["requests"], 100, "{level}");
        assert!(process.stop(PATIENCE).await.is_some_and(|status| status.success()), "{}", process.log());
        assert!(!process.log().contains("NOPERM") && !process.log().contains("concealed"), "{}", process.log());
    }

    /// Posts messages of the run `r`.
    async fn post(&self, ids: std::ops::Range<u64>) {
        let client = reqwest::Client::new();
        for id in ids {
            let body = format!(r#"{{"id":{id},"run":"r"}}"#);
            let answer = client.post(&self.api).body(body).send().await.unwrap();
            assert_eq!(answer.status(), 202);
        }
    }

    /// Waits until the run `r` has so many arrivals, and checks how many of them are duplicates.
    async fn arrived(&self, arrivals: u64, duplicates: u64) {
        let access = RedisAccess {
            user: Some("reporter".to_owned()),
            password: Some(Secret::new(password("reporter"))),
            trust: Some(RedisTrust::from_file(&self.certificates.authority).unwrap()),
        };
        let log = LogStore::connect(&self.redis.url().parse::<RedisUrl>().unwrap().with(&access)).await.unwrap();
        let run: RunId = "r".parse().unwrap();
        until(async || log.counts(&run).await.unwrap().get("mqttclient") >= arrivals).await;
        let counts = log.counts(&run).await.unwrap();
        assert_eq!((counts.get("mqttclient"), counts.get("duplicates")), (arrivals, duplicates));
    }

    /// Nothing that the services show has a password in it.
    async fn tells_nothing(&self) {
        for page in &self.pages {
            let page = reqwest::get(page).await.unwrap().text().await.unwrap();
            assert!(page.contains("stampede_ready 1") && !page.contains("concealed"), "{page}");
        }
        for process in &self.services {
            assert!(!process.log().contains("concealed"), "{}", process.log());
            #[cfg(target_os = "linux")]
            {
                let line = std::fs::read(format!("/proc/{}/cmdline", process.pid())).unwrap();
                assert!(!line.is_empty() && !String::from_utf8_lossy(&line).contains("concealed"));
            }
        }
        for server in [&self.redis.process, &self.mosquitto.process] {
            assert!(!server.log().contains("concealed"), "{}", server.log());
        }
    }

    /// Ends the services as SIGTERM does. None of them has been refused anything.
    async fn stop(mut self) {
        for process in &mut self.services {
            let status = process.stop(PATIENCE).await;
            assert!(status.is_some_and(|status| status.success()), "{status:?}: {}", process.log());
            assert!(!process.log().contains("NOPERM"), "{}", process.log());
        }
    }
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("concealed"), "{text}");
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

const AT_MOST_ONCE: Setting = Setting {
    users: true,
    version: "3.1.1",
    queue: "list",
    key: DEFAULT_QUEUE,
    delivery: "at-most-once",
    mqttclient: &[],
};

const AT_LEAST_ONCE: Setting = Setting {
    delivery: "at-least-once",
    mqttclient: &["--arrivals", "log-store", "--session", "persistent"],
    ..AT_MOST_ONCE
};

#[tokio::test]
async fn a_sweep_runs_over_tls_with_a_user_for_each_program() {
    let split = Setting { version: "5", mqttclient: &["--clients", "2"], ..AT_MOST_ONCE };
    for setting in [AT_MOST_ONCE, split] {
        let mut pipeline = Pipeline::start(setting).await;
        let out = tempfile::tempdir().unwrap();
        pipeline.sweep(out.path());
        pipeline.sweep_of_a_worker(out.path()).await;
        let services = done(pipeline.driver("reporter").args(["services"]));
        assert!(["apiserver", "pushserver", "mqttclient"].iter().all(|name| services.contains(name)), "{services}");
        done(pipeline.driver("reporter").args(["report", "latest", "--out"]).arg(out.path()));
        done(pipeline.driver("reporter").args(["clock", "--duration", "50ms"]));
        assert!(!all_text(out.path()).contains("concealed"));
        pipeline.tells_nothing().await;
        pipeline.stop().await;
    }
}

#[tokio::test]
async fn a_sweep_runs_over_tls_with_one_password_for_all_programs() {
    let pipeline = Pipeline::start(Setting { users: false, version: "5", queue: "stream", ..AT_MOST_ONCE }).await;
    let out = tempfile::tempdir().unwrap();
    pipeline.sweep(out.path());
    assert!(!all_text(out.path()).contains("concealed"));
    pipeline.tells_nothing().await;
    pipeline.stop().await;
}

#[tokio::test]
async fn messages_are_held_and_arrivals_recorded_with_the_documented_rights() {
    for (version, queue, key) in [("3.1.1", "list", DEFAULT_QUEUE), ("5", "stream", "orders")] {
        let mut pipeline = Pipeline::start(Setting { version, queue, key, ..AT_LEAST_ONCE }).await;
        let out = tempfile::tempdir().unwrap();
        pipeline.sweep(out.path());
        pipeline.post(0..20).await;
        pipeline.arrived(20, 0).await;
        // While the subscriber is away the broker keeps what comes, and what had arrived before is not forgotten.
        let mut subscriber = pipeline.services.pop().unwrap();
        pipeline.pages.pop();
        assert!(subscriber.stop(PATIENCE).await.unwrap().success());
        pipeline.post(10..30).await;
        pipeline.serve("mqttclient").await;
        pipeline.arrived(40, 10).await;
        pipeline.tells_nothing().await;
        pipeline.stop().await;
    }
}

/// What was taken from the queue by one that was killed is given back by another, with the same rights.
#[tokio::test]
async fn a_dead_one_is_taken_over_with_the_documented_rights() {
    for (queue, key) in [("list", "orders"), ("stream", DEFAULT_QUEUE)] {
        let mut pipeline = Pipeline::servers(Setting { version: "5", queue, key, ..AT_LEAST_ONCE }).await;
        pipeline.serve("apiserver").await;
        pipeline.serve("pushserver").await;
        // Nobody subscribes, so that what is taken stays held.
        pipeline.post(0..20).await;
        let mut dead = pipeline.services.pop().unwrap();
        pipeline.pages.pop();
        dead.wait_for(|line| line.contains("nobody subscribes").then_some(())).await.unwrap();
        dead.kill();
        pipeline.serve("mqttclient").await;
        let mut heir = pipeline.role("pushserver");
        heir.args(["--lease", "1s"]);
        let mut heir = Process::spawn("heir", heir, &pipeline.sandbox).unwrap();
        heir.wait_for(|line| line.contains("took over").then_some(())).await.unwrap();
        pipeline.services.push(heir);
        pipeline.arrived(20, 0).await;
        pipeline.stop().await;
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_what_to_do() {
    for (version, code) in [("3.1.1", 5), ("5", 0x87)] {
        let pipeline = Pipeline::servers(Setting { version, ..AT_LEAST_ONCE }).await;
        let foreign = Certificates::make(&pipeline.sandbox).unwrap();
        let url = pipeline.mosquitto.url();
        for role in ["pushserver", "mqttclient"] {
            let expect = async |name: &str, value: &str, told: &str| {
                let mut command = pipeline.role(role);
                command.env(name, value);
                let mut process = Process::spawn(&format!("{role}-{name}"), command, &pipeline.sandbox).unwrap();
                process.wait_for(|line| line.contains(told).then_some(())).await.unwrap();
                assert!(!process.log().contains("concealed"), "{}", process.log());
            };
            let told = format!(
                "mqtt broker at {url} refuses the client with code {code}: user or password are missing or wrong"
            );
            expect("STAMPEDE_MQTT_PASSWORD", "concealed-and-wrong", &told).await;
            let told = format!("the certificate of the mqtt broker at {url} is not trusted");
            expect("STAMPEDE_MQTT_CA", foreign.authority.to_str().unwrap(), &told).await;
        }
    }
}

#[tokio::test]
async fn a_message_that_the_broker_may_not_take_is_kept_and_the_log_says_why() {
    let mut pipeline = Pipeline::servers(Setting { version: "5", ..AT_LEAST_ONCE }).await;
    pipeline.serve("apiserver").await;
    pipeline.serve("mqttclient").await;
    // This user may only read.
    let mut wrong = pipeline.role("pushserver");
    wrong.env("STAMPEDE_MQTT_USER", "mqttclient").env("STAMPEDE_MQTT_PASSWORD", mqtt_password("mqttclient"));
    let mut wrong = Process::spawn("wrong", wrong, &pipeline.sandbox).unwrap();
    pipeline.post(0..20).await;
    wrong
        .wait_for(|line| line.contains("refused a message with reason 0x87: check its access rules").then_some(()))
        .await
        .unwrap();
    wrong.stop(PATIENCE).await.unwrap();
    pipeline.serve("pushserver").await;
    pipeline.arrived(20, 0).await;
    pipeline.stop().await;
}

#[tokio::test]
async fn a_password_comes_from_a_file_too_and_a_wrong_file_is_bad_usage() {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let options = RedisOptions { password: Some("concealed".to_owned()), ..RedisOptions::default() };
    let redis = Redis::start_as(&sandbox, options).await.unwrap();
    let with = |line: &str, file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driver"));
        // The file is stronger than the variable.
        command.env("STAMPEDE_REDIS_PASSWORD", "another");
        command.args(line.split(' ')).args(["--redis", &redis.url(), "--redis-password-file"]).arg(file);
        command
    };
    let services = |file: &Path| with("services", file);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let absent = services(&file).output().unwrap();
    assert_eq!(absent.status.code(), Some(2));
    assert!(text(&absent).contains("cannot read"), "{}", text(&absent));
    std::fs::write(&file, "concealed\n").unwrap();
    done(&mut services(&file));
    std::fs::write(&file, "concealed no more\n").unwrap();
    // A worker does not wait for a log store that is there and does not want it.
    for line in ["services", "worker --allow-target http://127.0.0.1:1"] {
        let wrong = with(line, &file).output().unwrap();
        assert_eq!(wrong.status.code(), Some(1), "{line}");
        let told = text(&wrong);
        assert!(told.contains("wants other credentials") && !told.contains("concealed"), "{told}");
    }
}

/// The machine's own variables name another pipeline; the private stack must not look there.
#[test]
fn a_private_stack_does_not_see_the_environment() {
    let out = tempfile::tempdir().unwrap();
    let mut sweep = Command::new(env!("CARGO_BIN_EXE_driver"));
    for server in ["REDIS", "MQTT"] {
        sweep
            .env(format!("STAMPEDE_{server}_USER"), "somebody")
            .env(format!("STAMPEDE_{server}_PASSWORD"), "concealed");
    }
    sweep.args(["sweep", "--every", "10", "--to", "1", "--warmup", "0s", "--duration", "200ms", "--json", "--out"]);
    let level: Value = serde_json::from_str(&done(sweep.arg(out.path()))).unwrap();
    whole(&level);
}
