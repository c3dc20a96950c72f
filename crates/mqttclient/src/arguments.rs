//! The arguments of the subscriber, and what follows from them.

use crate::arrivals::Memory;
use clap::{Args, ValueEnum};
use rustix::system::uname;
use service::ServiceArgs;
use service::mqtt::{self, MqttArgs, QoS, parse_client_id, parse_filter, parse_qos};

/// The group of clients that split the topic among themselves, unless named.
const GROUP: &str = "stampede";

/// Arguments of the subscriber.
#[derive(Debug, Clone, Args)]
pub struct MqttclientArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub service: ServiceArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub mqtt: MqttArgs,

    /// The topic filter to subscribe to
    #[arg(long, default_value = "/channel", value_parser = parse_filter)]
    pub topic: String,

    /// The highest quality of service to receive: 0, 1 or 2
    #[arg(long, default_value = "2", value_parser = parse_qos)]
    pub qos: QoS,

    /// Whether the broker forgets this client when it goes, or keeps what comes for it meanwhile
    #[arg(long, value_enum, default_value = "clean")]
    pub session: SessionKind,

    /// The client's name at the broker, which no other client has; unless given, a new one each time, or with a persistent
    /// session stampede-mqttclient-HOSTNAME
    #[arg(long, value_name = "ID", env = "STAMPEDE_CLIENT_ID", value_parser = parse_client_id)]
    pub client_id: Option<String>,

    /// Splits the topic with all other clients of this group: each message arrives at one of them
    #[arg(long, value_name = "GROUP", value_parser = parse_group)]
    pub share: Option<String>,

    /// Connections to the broker; several split the topic as with --share [its group, unless named: stampede]
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub clients: u8,

    /// Where it is remembered which messages have arrived
    #[arg(long, value_enum, default_value = "memory")]
    pub arrivals: Memory,
}

/// What the broker does when the client goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SessionKind {
    /// It forgets it.
    Clean,
    /// It keeps its subscription, and what comes for it at QoS 1 and 2.
    Persistent,
}

impl MqttclientArgs {
    /// What is subscribed to: each of several clients that subscribe to the bare topic would get every message.
    pub(crate) fn filter(&self) -> String {
        let group = self.share.as_deref().or_else(|| (self.clients > 1).then_some(GROUP));
        group.map_or_else(|| self.topic.clone(), |group| format!("$share/{group}/{}", self.topic))
    }

    /// The sessions of all clients.
    pub(crate) fn sessions(&self) -> Vec<mqtt::Session> {
        let persistent = self.session == SessionKind::Persistent;
        let id = match &self.client_id {
            Some(id) => id.clone(),
            None if persistent => format!("stampede-mqttclient-{}", uname().nodename().to_string_lossy()),
            None => mqtt::client_id("mqttclient"),
        };
        let session = |client_id| mqtt::Session { client_id, persistent };
        match self.clients {
            1 => vec![session(id)],
            clients => (1..=clients).map(|number| session(format!("{id}-{number}"))).collect(),
        }
    }
}

fn parse_group(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['/', '+', '#']) {
        return Err("give the group a name without / + and #".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(args: &[&str]) -> MqttclientArgs {
        service::parse(args).unwrap()
    }

    #[test]
    fn several_clients_split_the_topic() {
        assert_eq!(args(&["--topic", "a/#"]).filter(), "a/#");
        assert_eq!(args(&["--clients", "2"]).filter(), "$share/stampede//channel");
        assert_eq!(args(&["--clients", "2", "--share", "g", "--topic", "t"]).filter(), "$share/g/t");
        assert_eq!(args(&["--share", "g", "--topic", "t"]).filter(), "$share/g/t");
        for wrong in [["--share", ""], ["--share", "a/b"], ["--clients", "0"], ["--clients", "65"], ["--client-id", ""]]
        {
            assert!(service::parse::<MqttclientArgs>(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_persistent_session_has_the_same_id_after_a_restart() {
        let ids =
            |more: &[&str]| args(more).sessions().into_iter().map(|session| session.client_id).collect::<Vec<_>>();
        let persistent = ["--session", "persistent"];
        assert_eq!(ids(&persistent), ids(&persistent));
        assert!(ids(&persistent)[0].starts_with("stampede-mqttclient-"));
        assert!(args(&persistent).sessions()[0].persistent && !args(&[]).sessions()[0].persistent);
        assert_eq!(ids(&["--client-id", "me"]), ["me"]);
        assert_eq!(ids(&["--client-id", "me", "--clients", "3"]), ["me-1", "me-2", "me-3"]);
    }
}
