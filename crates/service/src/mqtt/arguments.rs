//! The broker on the command line.

use super::broker::Broker;
use super::encode;
use super::error::BrokerError;
use super::url::BrokerUrl;
use super::version::Version;
use clap::Args;
use rumqttc::QoS;
use stamp::UsageError;
use std::path::PathBuf;

/// The variable that holds the password. There is no option for it: command lines can be read by every user of a machine.
const PASSWORD: &str = "STAMPEDE_MQTT_PASSWORD";

/// Arguments of every service that speaks to the broker.
#[derive(Debug, Clone, Args)]
pub struct MqttArgs {
    /// The broker: `mqtt://[user[:password]@]host[:port]`, mqtts:// for TLS, or `mqtt+unix:///path/of/socket`
    #[arg(
        long,
        value_name = "URL",
        env = "STAMPEDE_MQTT",
        default_value = "mqtt://127.0.0.1:1883",
        hide_env_values = true
    )]
    pub mqtt: BrokerUrl,

    /// The version of MQTT
    #[arg(long, value_name = "VERSION", value_enum, env = "STAMPEDE_MQTT_VERSION", default_value = "3.1.1")]
    pub mqtt_version: Version,

    /// The user at the broker, if the URL names none; the password comes from `STAMPEDE_MQTT_PASSWORD`, or from a file
    #[arg(long, value_name = "USER", env = "STAMPEDE_MQTT_USER", hide_env_values = true)]
    pub mqtt_user: Option<String>,

    /// A file that holds the password, if the URL does not
    #[arg(long, value_name = "FILE", env = "STAMPEDE_MQTT_PASSWORD_FILE")]
    pub mqtt_password_file: Option<PathBuf>,

    /// The certificate authorities to trust with mqtts://, as PEM [default: those of this machine]
    #[arg(long, value_name = "FILE", env = "STAMPEDE_MQTT_CA")]
    pub mqtt_ca: Option<PathBuf>,
}

impl MqttArgs {
    /// The broker that the arguments describe. What stands in the URL comes first, then the password file, then
    /// `STAMPEDE_MQTT_PASSWORD`.
    ///
    /// # Errors
    /// When a file cannot be read, TLS cannot be set up, or a password has no user.
    pub fn broker(&self) -> Result<Broker, UsageError> {
        self.broker_with(std::env::var(PASSWORD).ok()).map_err(|error| UsageError(error.to_string()))
    }

    fn broker_with(&self, environment: Option<String>) -> Result<Broker, BrokerError> {
        let url = self.mqtt.clone();
        let user = url.user.clone().or_else(|| self.mqtt_user.clone().filter(|user| !user.is_empty()));
        let password = match (&url.password, &self.mqtt_password_file) {
            (Some(password), _) => Some(password.clone()),
            (None, Some(path)) => {
                let wrong = |cause| BrokerError::File { option: "--mqtt-password-file", path: path.clone(), cause };
                let text = std::fs::read_to_string(path).map_err(wrong)?;
                // An editor ends the line; a password that ends in a line break could not be typed.
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            (None, None) => environment,
        };
        Broker::new(BrokerUrl { password: None, ..url }, self.mqtt_version, self.mqtt_ca.as_deref())?
            .with_login(user, password)
    }
}

/// Reads a quality of service from the command line.
///
/// # Errors
/// A text that says what is allowed.
pub fn parse_qos(text: &str) -> Result<QoS, String> {
    match text {
        "0" => Ok(QoS::AtMostOnce),
        "1" => Ok(QoS::AtLeastOnce),
        "2" => Ok(QoS::ExactlyOnce),
        _ => Err("give 0 (at most once), 1 (at least once) or 2 (exactly once)".to_owned()),
    }
}

/// Reads a topic to publish on from the command line.
///
/// # Errors
/// A text that says what is wrong.
pub fn parse_topic(text: &str) -> Result<String, String> {
    if text.is_empty() || !rumqttc::valid_topic(text) {
        return Err("no topic to publish on: + and # are for subscribers".to_owned());
    }
    short("topic", text)
}

/// Reads a topic filter to subscribe to from the command line.
///
/// # Errors
/// A text that says what is wrong.
pub fn parse_filter(text: &str) -> Result<String, String> {
    if !rumqttc::valid_filter(text) {
        return Err("no topic filter: + and # stand for whole levels, # for the last ones".to_owned());
    }
    short("topic filter", text)
}

/// Reads a client id from the command line.
///
/// # Errors
/// A text that says what is wrong.
pub fn parse_client_id(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("an empty client id is none: leave the option out for a new one".to_owned());
    }
    short("client id", text)
}

fn short(what: &'static str, text: &str) -> Result<String, String> {
    encode::short(what, text).map(str::to_owned).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(args: &[&str], environment: Option<&str>) -> Option<(String, String)> {
        let args: MqttArgs = crate::parse(args).unwrap();
        let broker = args.broker_with(environment.map(str::to_owned)).unwrap();
        broker.login.map(|login| (login.user, login.password))
    }

    #[test]
    fn the_address_comes_before_the_file_and_the_file_before_the_environment() {
        let file = std::env::temp_dir().join(crate::mqtt::client_id("password"));
        std::fs::write(&file, " of file\r\n").unwrap();
        let path = file.to_str().unwrap();
        let is = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        let all = ["--mqtt", "mqtt://me:of-url@h", "--mqtt-user", "you", "--mqtt-password-file", path];
        assert_eq!(login(&all, Some("of env")), is("me", "of-url"));
        assert_eq!(
            login(&["--mqtt", "mqtt://me@h", "--mqtt-password-file", path], Some("of env")),
            is("me", " of file")
        );
        assert_eq!(login(&["--mqtt-user", "you"], Some("of env")), is("you", "of env"));
        assert_eq!(login(&["--mqtt-user", "you"], None), is("you", ""));
        assert_eq!(login(&[], None), None);
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_password_of_nobody_and_missing_files_are_refused_before_anything_runs() {
        let error = |args: &[&str], environment: Option<&str>| {
            let args: MqttArgs = crate::parse(args).unwrap();
            args.broker_with(environment.map(str::to_owned)).unwrap_err().to_string()
        };
        assert_eq!(
            error(&[], Some("secret")),
            "a password for the mqtt broker needs a user: give STAMPEDE_MQTT_USER, or mqtt://user@host"
        );
        let missing = error(&["--mqtt-password-file", "/no/such"], None);
        assert!(missing.starts_with("cannot read --mqtt-password-file /no/such: "), "{missing}");
        let missing = error(&["--mqtt", "mqtts://h", "--mqtt-ca", "/no/such"], None);
        assert!(missing.starts_with("cannot read --mqtt-ca /no/such: "), "{missing}");
    }

    #[test]
    fn what_fits_no_packet_is_refused_before_anything_runs() {
        let long = "x".repeat(65_536);
        for told in [parse_topic(&long), parse_filter(&long), parse_client_id(&long)] {
            assert!(told.unwrap_err().contains("longer than 65535 bytes"));
        }
        assert!(parse_topic(&long[1..]).is_ok());
        assert!(parse_topic("a/+").is_err() && parse_filter("a/#/b").is_err() && parse_client_id("").is_err());
        let args: MqttArgs = crate::parse(["--mqtt", "mqtt://me@h"]).unwrap();
        let error = args.broker_with(Some(long)).unwrap_err().to_string();
        assert!(error.starts_with("the password is longer than 65535 bytes"), "{error}");
    }

    #[test]
    fn versions_have_short_names() {
        for (text, version) in [("3.1.1", Version::V3), ("3", Version::V3), ("311", Version::V3), ("5", Version::V5)] {
            assert_eq!(crate::parse::<MqttArgs>(["--mqtt-version", text]).unwrap().mqtt_version, version);
        }
        assert_eq!(crate::parse::<MqttArgs>([""; 0]).unwrap().mqtt_version, Version::V3);
        assert!(crate::parse::<MqttArgs>(["--mqtt-version", "4"]).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let args: MqttArgs = crate::parse(["--mqtt", "mqtt://me:secret@h"]).unwrap();
        let broker = args.broker_with(None).unwrap();
        assert!(!format!("{args:?} {broker:?} {broker}").contains("secret"));
    }
}
