//! Finding the server programs, and saying how to install them.

use crate::StackError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server program that the stack needs.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The lowest major version that will do.
    pub(crate) major: u32,
    /// The argument that makes it print its version.
    pub(crate) version_flag: &'static str,
    /// What stands right before the version in that output.
    pub(crate) version_mark: &'static str,
    /// Where newer versions come from.
    pub(crate) home: &'static str,
    /// Its package where apt, dnf, apk, pacman or brew is the package manager.
    pub(crate) packages: [&'static str; 5],
}

const INSTALLERS: [(&str, &str); 5] = [
    ("apt-get", "sudo apt-get install -y"),
    ("dnf", "sudo dnf install -y"),
    ("apk", "sudo apk add"),
    ("pacman", "sudo pacman -S --noconfirm"),
    ("brew", "brew install"),
];

impl Program {
    /// The executable, once it is known to be new enough.
    pub(crate) fn find(&self) -> Result<PathBuf, StackError> {
        let missing = || StackError::Missing { program: self.name, remedy: self.remedy() };
        let path = search(self.name).ok_or_else(missing)?;
        let output = Command::new(&path)
            .arg(self.version_flag)
            .output()
            .map_err(|source| StackError::Spawn { program: path.clone(), source })?;
        // A version that cannot be read is given the benefit of the doubt: the server's own log will tell.
        if let Some(found) = version(&String::from_utf8_lossy(&output.stdout), self.version_mark)
            && found
                .split('.')
                .next()
                .and_then(|major| major.parse::<u32>().ok())
                .is_some_and(|major| major < self.major)
        {
            return Err(StackError::TooOld {
                program: self.name,
                found: found.to_owned(),
                needed: self.major,
                remedy: format!("this system's package may be no newer; {} tells where to get it", self.home),
            });
        }
        Ok(path)
    }

    fn remedy(&self) -> String {
        let known = INSTALLERS.iter().zip(self.packages).find(|((tool, _), _)| search(tool).is_some());
        match known {
            Some(((_, install), package)) => format!("install it with `{install} {package}`, or run ./scripts/setup"),
            None => format!("install the package that holds {}, version {} or later", self.name, self.major),
        }
    }
}

fn version<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let after = text.split_once(mark)?.1;
    let end = after.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(after.len());
    Some(&after[..end]).filter(|version| !version.is_empty())
}

/// Searches PATH, and then the folders for servers, which are not on every user's PATH (Debian keeps mosquitto there).
fn search(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/opt/homebrew/bin"];
    std::env::split_paths(&path)
        .chain(servers.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_servers_print() {
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(version(redis, " v="), Some("7.0.15"));
        assert_eq!(
            version("mosquitto version 2.0.11\n\nmosquitto is an MQTT broker.", "mosquitto version "),
            Some("2.0.11")
        );
        assert_eq!(version("something else", " v="), None);
    }

    #[test]
    fn a_missing_program_is_named_with_its_remedy() {
        let absent = Program {
            name: "no-such-server",
            major: 7,
            version_flag: "--version",
            version_mark: "v=",
            home: "https://example.org",
            packages: ["no-such-package"; 5],
        };
        let error = absent.find().unwrap_err().to_string();
        assert!(error.starts_with("no-such-server is not installed: install "), "{error}");
    }
}
