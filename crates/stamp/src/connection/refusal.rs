//! Why a Redis server that answers does not do what it is asked.

use redis::{ErrorKind, RedisError};

/// What kind of refusal an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// WRONGTYPE: there is something else under the key.
    WrongType,
    /// OOM: it is out of memory, and evicts nothing.
    OutOfMemory,
    /// READONLY, or UNBLOCKED by becoming one: it is a replica.
    ReadOnly,
    /// LOADING: it has been restarted.
    Loading,
    /// MASTERDOWN: it is a replica that has lost its master.
    MasterDown,
    /// NOAUTH or WRONGPASS.
    Credentials,
    /// NOPERM: the ACL user lacks a right.
    Denied,
    /// MISCONF: it cannot save to disk.
    Unsaved,
    /// BUSY: a script runs and runs.
    Busy,
    /// NOREPLICAS: too few replicas are in sync.
    NoReplicas,
    /// MOVED, ASK, CROSSSLOT, CLUSTERDOWN or TRYAGAIN: it is part of a cluster.
    Cluster,
    /// Anything else.
    Other,
}

impl Refusal {
    /// The kind of an error; absent where it is no answer of the server's.
    #[must_use]
    pub fn of(error: &RedisError) -> Option<Self> {
        // Inside of a script's error, a missing right has no code of its own.
        let is_denied =
            |error: &RedisError| ["NOPERM", "ACL failure"].iter().any(|mark| error.to_string().contains(mark));
        // Of a pipeline, the first answer that is one.
        let answers = error.clone().into_server_errors();
        let code = answers.as_deref().and_then(|answers| answers.first()).map(|(_, answer)| answer.code());
        Some(match code {
            Some("WRONGTYPE") => Self::WrongType,
            Some("OOM") => Self::OutOfMemory,
            Some("READONLY" | "UNBLOCKED") => Self::ReadOnly,
            Some("LOADING") => Self::Loading,
            Some("MASTERDOWN") => Self::MasterDown,
            Some("NOAUTH" | "WRONGPASS") => Self::Credentials,
            Some("NOPERM") => Self::Denied,
            Some("MISCONF") => Self::Unsaved,
            Some("BUSY") => Self::Busy,
            Some("NOREPLICAS") => Self::NoReplicas,
            Some("MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" | "TRYAGAIN") => Self::Cluster,
            Some(_) if is_denied(error) => Self::Denied,
            Some(_) => Self::Other,
            None if error.kind() == ErrorKind::AuthenticationFailed => Self::Credentials,
            None => return None,
        })
    }

    /// Whether another server may have taken over, or this one has begun anew: the connection is of no more use, and the address is to be looked up
    /// again.
    #[must_use]
    pub fn ends_connection(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Loading | Self::MasterDown | Self::Credentials | Self::Cluster)
    }

    /// Whether the server may do what it was asked a little later: nothing is wrong with that.
    #[must_use]
    pub fn is_for_now(self) -> bool {
        matches!(self, Self::OutOfMemory | Self::Unsaved | Self::Busy | Self::NoReplicas)
    }

    /// What Redis says, as the middle of a sentence: `redis …`.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::WrongType => "holds something else under this key (WRONGTYPE)",
            Self::OutOfMemory => "is out of memory (OOM)",
            Self::ReadOnly => "is a read-only replica (READONLY)",
            Self::Loading => "is loading its data (LOADING)",
            Self::MasterDown => "is a replica that has lost its master (MASTERDOWN)",
            Self::Credentials => "wants other credentials (NOAUTH)",
            Self::Denied => "denies this user the command or the key (NOPERM)",
            Self::Unsaved => "cannot save to its disk, and refuses writes (MISCONF)",
            Self::Busy => "is busy with a script that does not end (BUSY)",
            Self::NoReplicas => "has too few replicas in sync (NOREPLICAS)",
            Self::Cluster => "is a node of a cluster (MOVED)",
            Self::Other => "refuses the command",
        }
    }

    /// What to do, as the end of a sentence.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::WrongType => "remove that key, or choose another",
            Self::OutOfMemory => "raise its maxmemory, or let the queue become shorter",
            Self::ReadOnly | Self::MasterDown => "give the address of its master",
            Self::Loading => "wait until it is ready",
            Self::Credentials => {
                "give them as redis://user:password@host:port, or in STAMPEDE_REDIS_USER and STAMPEDE_REDIS_PASSWORD"
            }
            Self::Denied => "give its ACL user what docs/security.md lists",
            Self::Unsaved => "see its log, and make room on its disk",
            Self::Busy => "end the script with SCRIPT KILL",
            Self::NoReplicas => "bring its replicas back, or lower min-replicas-to-write",
            Self::Cluster => "give the address of a single server",
            Self::Other => "see its log",
        }
    }
}
