//! What is refused before anything is started: exit code 2, what is wrong, and what to do.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::{driver, printed, run, told};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

fn refused(line: &str, remedies: &[&str]) {
    let output = run(line);
    assert_eq!(output.status.code(), Some(2), "{line}: {}", told(&output));
    for remedy in remedies {
        assert!(told(&output).contains(remedy), "{line}: {}", told(&output));
    }
}

#[test]
fn what_contradicts_itself() {
    for (line, remedy) in [
        ("sweep --from 5 --to 2", "swap them"),
        ("sweep --rate-from 5 --rate-to 2 --rate-step 1", "swap them"),
        ("sweep --rate-from 1 --rate-to 1000000 --rate-step 0.001", "give a larger one"),
        ("sweep -d 0s", "give a longer one"),
        ("sweep --timeout 0s", "give a longer one"),
        ("sweep -d 1s --ramp 1.5s", "--ramp is longer"),
        ("sweep --rates 5 --levels 1", "cannot be used with"),
        ("sweep --clock off", "use driver load"),
        ("sweep --http-path x", "it begins with /"),
        ("sweep --threshold enricher.p50<1ms", "take one of apiserver"),
        ("sweep --threshold lost<5ms", "is no unit of lost"),
        ("sweep --path send,apiserver,enricher,mqttclient", "stamps enricher"),
        ("sweep --pushserver-args \"'x\"", "a quote is not closed"),
        ("load http://127.0.0.1:9/ -d 0s", "give a longer one"),
        ("chaos -d 0s", "give a longer one"),
        ("clock --duration 0s", "give at least 2ms"),
        ("compare a b --label x", "one name for each sweep"),
        ("role pushserver --delivery at-least-once --qos 0", "give --qos 1 or 2"),
        ("role pushserver --topic a/#", "+ and # are for subscribers"),
        ("role pushserver --mqtt wss://me:hidden@h", "MQTT over WebSocket is not spoken here"),
        ("role pushserver --mqtt http://h", "write mqtt://host:1883"),
        ("role pushserver --mqtt-password-file /no/such", "cannot read --mqtt-password-file /no/such"),
        ("role pushserver --delivery at-least-once --lease 0.5s", "give a time from 1s to 1h"),
        ("role mqttclient --topic a/#/b", "no topic filter"),
        ("role mqttclient --mqtt mqtts://h --mqtt-ca /no/such", "cannot read --mqtt-ca /no/such"),
        ("role apiserver --listen 9001", "write 127.0.0.1:9001"),
        ("role apiserver --listen ::1:9001", "is no address to listen on"),
        ("role apiserver --listen localhost:65536", "up to 65535"),
        ("ui --ui-host http://load.example.org/", "write NAME or NAME:PORT"),
        ("sweep --prometheus-listen 9464", "or :9464 for whoever reaches it"),
        ("sweep --otlp http://127.0.0.1:9/?x=1", "without a query"),
        ("report latest --otlp http://127.0.0.1:9/?x=1", "without a query"),
        (
            "sweep --otlp https://127.0.0.1:9 --otlp-ca /no/such",
            "'--otlp-ca <FILE>': cannot read certificates from /no/such",
        ),
        ("otlp-receive --map /no/such --clock redis", "the spans say when things happened"),
    ] {
        refused(line, &[remedy]);
    }
}

#[test]
fn headers_of_the_environment_may_be_none_and_are_told_to_nobody() {
    let with = |headers: &str| driver("sweep --print-plan").env("STAMPEDE_OTLP_HEADERS", headers).output().unwrap();
    for well in ["", "\n", "X-Scope-OrgID: team\n"] {
        let output = with(well);
        assert!(output.status.success(), "{well:?}: {}", told(&output));
    }
    let output = with("X-Scope-OrgID: team\ns3cretWithoutColon\n");
    assert_eq!(output.status.code(), Some(2));
    let told = told(&output);
    assert!(told.contains("--otlp-header") && !told.contains("s3cret"), "{told}");
}

#[test]
fn what_would_do_nothing() {
    for (line, remedies) in [
        (
            "sweep --generator wrk -X GET -H X-A:b -n 10 --accept 405",
            &[
                "--method would do nothing: --generator wrk can only POST",
                "--header would",
                "--requests would",
                "--accept would",
            ][..],
        ),
        ("sweep --generator wrk --body x", &["--body would do nothing"]),
        ("sweep --generator wrk --timeout 1s --ramp 1s", &["--timeout would", "--ramp would"]),
        ("sweep --generator wrk -d 1.5s", &["whole seconds"]),
        ("sweep --generator wrk --rates 5", &["wrk knows no rates"]),
        ("sweep --max-connections 5", &["--max-connections would do nothing", "give a rate"]),
        ("sweep --arrivals poisson", &["--arrivals would"]),
        ("sweep --rate-connections 5", &["--rate-connections would"]),
        ("sweep --rates 5 --think-time 1s", &["pauses nowhere"]),
        ("sweep --body x --payload-bytes 9", &["{payload}"]),
        ("sweep --insecure", &["the target is not https"]),
        ("sweep --redis redis://127.0.0.1:1", &["give --target"]),
        ("sweep --queue-key k", &["give --target"]),
        (
            "sweep --target http://127.0.0.1:9 --redis redis://127.0.0.1:1 --pushserver-args --workers",
            &["--pushserver-args would do nothing", "set it where that is started"],
        ),
        ("load http://127.0.0.1:9/ --arrivals poisson", &["--arrivals would"]),
        ("load http://127.0.0.1:9/ --cacert x", &["the target is not https"]),
        ("load http://127.0.0.1:9/ --redis-user x", &["without --log-store"]),
        ("load http://127.0.0.1:9/ -r 5 --think-time 1s", &["pauses nowhere"]),
        ("chaos --faults 0", &["0 is not in"]),
        ("compare . . --redis redis://127.0.0.1:1", &["--redis would do nothing"]),
    ] {
        refused(line, remedies);
    }
}

#[test]
fn arguments_in_any_bytes_panic_nowhere() {
    let odd = OsStr::from_bytes(b"\xff\xfe");
    for before in [
        "sweep --clock off --out",
        "sweep --clock off --body",
        "sweep --clock off --target",
        "sweep --clock off --from 9 --to 1 --junit",
        "load",
        "load http://127.0.0.1:9/ -d 0s --hgrm",
        "report",
        "compare a",
        "as-owner-of",
        "role apiserver --redis",
        "role pushserver --topic",
        "role mqttclient --client-id",
        "",
    ] {
        // Each is wrong in another way as well, so that nothing is started.
        let output = driver(before).arg(odd).output().unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{before}: {:?} {}", output.status, told(&output));
        assert!(!told(&output).contains("panicked"), "{before}: {}", told(&output));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    for line in
        ["--help", "sweep --help", "completions bash", "services --redis redis://127.0.0.1:1", "sweep --from 5 --to 2"]
    {
        let mut child = driver(line).spawn().unwrap();
        drop(child.stdout.take());
        drop(child.stderr.take());
        let code = child.wait().unwrap().code();
        // 101 is a panic's.
        assert!(matches!(code, Some(0..=2)), "{line}: {code:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_printed_are_an_error() {
    for line in ["completions bash", "load http://127.0.0.1:9/ -d 1s --json"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = driver(line).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {}", told(&output));
        assert!(!told(&output).contains("panicked"), "{line}: {}", told(&output));
    }
}

#[test]
fn a_plan_in_another_encoding_is_a_wrong_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.yaml");
    std::fs::write(&file, b"stampede: 1\nname: caf\xe9\n").unwrap();
    let good = folder.path().join("good.yaml");
    std::fs::write(&good, "stampede: 1\npipeline: local\nload: { users: 1 }\n").unwrap();
    let params = [good.as_os_str(), "--params".as_ref(), file.as_os_str()];
    for (args, why) in [
        (&[file.as_os_str()][..], "p.yaml:2: this is no UTF-8"),
        (&params[..], "p.yaml:2: this is no UTF-8"),
        (&[folder.path().as_os_str()][..], "it is a folder, a pipe or a device"),
    ] {
        let output = driver("check").args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(told(&output).contains(why), "{}", told(&output));
    }
}

#[test]
fn a_plan_is_checked_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.yaml");
    let check = |text: &str, options: &str| {
        std::fs::write(&file, text).unwrap();
        run(format!("check {} {options}", file.display()))
    };
    let plan = "stampede: 1\nparams: { users: 5 }\ntarget: http://127.0.0.1:9\nusers:\n  u:\n    tasks: { t: { steps: [ { GET: / } ] } }\n";
    let load = "load: { users: \"${users}\", duration: 1s }\n";
    let output = check(&format!("{plan}{load}"), "--set users=7");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let line = printed(&output);
    assert!(line.ends_with("1 kind of user, 1 task, 1 step (0 traced); 7 users for 1s; 0 thresholds\n"), "{line}");
    let output = check("stampede: 1\npipeline: local\nload: { rate: 500/s }\n", "");
    assert!(printed(&output).contains("own messages; 500 requests/s; "), "{}", printed(&output));
    let output = check(&format!("{plan}{load}thresholds: [ \"http.p95<1s\", \"lost==0\" ]\n"), "--set usres=7");
    assert_eq!(output.status.code(), Some(2));
    for remedy in [
        "p.yaml: the plan has no parameter `usres`",
        "did you mean `users`?",
        "p.yaml:8:15: \"p95\" is no figure of http",
        "p.yaml:8:30: lost is a figure of traced messages",
        "^^^^^^^",
    ] {
        assert!(told(&output).contains(remedy), "{remedy}: {}", told(&output));
    }
    let output = check(&format!("{plan}{load}thresholds: [ \"lost==0\" ]\n"), "--redis redis://127.0.0.1:1");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    std::fs::write(folder.path().join("params.yaml"), "users: none\n").unwrap();
    let params = folder.path().join("params.yaml");
    let output = check(&format!("{plan}{load}"), &format!("--params {}", params.display()));
    assert!(told(&output).contains("\"none\" is not a whole number above 0"), "{}", told(&output));
}
