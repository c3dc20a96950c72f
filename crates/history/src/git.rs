//! What is checked out in the folder where the driver runs.

use serde::{Deserialize, Serialize};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// A large folder on a slow disk is not waited for.
const WITHIN: Duration = Duration::from_secs(2);

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// Its id, hexadecimal.
    pub commit: String,
    /// Whether files that git knows were changed beside it.
    pub dirty: bool,
}

impl Git {
    /// The commit of the working folder; absent where there is no git, no repository, or no answer in time.
    pub async fn find() -> Option<Self> {
        let commit = timeout(WITHIN, ask(&["rev-parse", "--verify", "HEAD"])).await.ok()??;
        let is_commit = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let changes = timeout(WITHIN, ask(&["status", "--porcelain", "--untracked-files=no"])).await.ok()??;
        is_commit.then_some(Self { commit, dirty: !changes.is_empty() })
    }

    /// Its first digits, and an asterisk where files were changed.
    pub fn short(&self) -> String {
        format!("{}{}", self.commit.get(..7).unwrap_or(&self.commit), if self.dirty { "*" } else { "" })
    }
}

/// What git says, where it can say it.
async fn ask(arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    // It locks nothing: somebody may be working there.
    git.args(arguments).env("GIT_OPTIONAL_LOCKS", "0").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = git.output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_in_short() {
        let git = |dirty| Git { commit: "0123456789abcdef0123456789abcdef01234567".to_owned(), dirty }.short();
        assert_eq!((git(false), git(true)), ("0123456".to_owned(), "0123456*".to_owned()));
    }

    #[tokio::test]
    async fn what_git_cannot_say_is_no_error() {
        assert_eq!(ask(&["no-such-command"]).await, None);
    }
}
