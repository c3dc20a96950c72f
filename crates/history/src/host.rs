//! The machine that the driver runs on, so that figures of two machines are not compared.

use crate::digest::of_parts;
use serde::{Deserialize, Serialize};
use std::fs;

/// A machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Host {
    /// Tells machines apart: the beginning of a hash of the machine's own id, or else its name, and of all that follows, hexadecimal.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The model of its processor.
    pub processor: String,
    /// How many of them there are.
    pub processors: u32,
    /// The kernel's release.
    pub kernel: String,
    /// How many processors a container may use at a time; absent where it has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<f64>,
}

impl Host {
    /// This machine, as far as it can be found out.
    pub fn find() -> Self {
        let kernel = rustix::system::uname();
        let text = |path: &str| fs::read_to_string(path).ok();
        let machine = text("/etc/machine-id").map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        Self {
            id: String::new(),
            name: kernel.nodename().to_string_lossy().into_owned(),
            processor: text("/proc/cpuinfo").as_deref().and_then(processor).unwrap_or_default(),
            processors: u32::try_from(processors).unwrap_or(u32::MAX),
            kernel: kernel.release().to_string_lossy().into_owned(),
            cpu_limit: text("/sys/fs/cgroup/cpu.max").as_deref().and_then(limit),
        }
        .with_id(machine.as_deref())
    }

    fn with_id(self, machine: Option<&str>) -> Self {
        let limit = self.cpu_limit.map(|limit| limit.to_string()).unwrap_or_default();
        let parts =
            [machine.unwrap_or(&self.name), &self.processor, &self.processors.to_string(), &self.kernel, &limit];
        Self { id: of_parts(&parts), ..self }
    }

    /// In one line.
    pub fn told(&self) -> String {
        let limit = self.cpu_limit.map_or_else(String::new, |limit| format!(", limited to {limit}"));
        let name = if self.name.is_empty() { &self.id } else { &self.name };
        format!("{name}: {} × {}{limit}, kernel {}", self.processors, self.processor, self.kernel)
    }
}

fn processor(info: &str) -> Option<String> {
    let name = info.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(name.trim_start().strip_prefix(':')?.trim().to_owned())
}

/// `cpu.max` of a control group: quota and period in µs, or `max`.
fn limit(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_machine_has_the_same_id_and_another_part_another_one() {
        let host = Host { name: "a".to_owned(), processors: 4, ..Host::default() };
        let id = |host: &Host, machine| host.clone().with_id(machine).id;
        assert_eq!(id(&host, Some("m")), id(&host, Some("m")));
        let others = [
            id(&host, None),
            id(&Host { processors: 8, ..host.clone() }, Some("m")),
            id(&Host { cpu_limit: Some(2.0), ..host.clone() }, Some("m")),
            id(&Host { kernel: "6.1".to_owned(), ..host.clone() }, Some("m")),
        ];
        assert!(others.iter().all(|other| *other != id(&host, Some("m")) && other.len() == 12), "{others:?}");
        assert_eq!(Host::find().id, Host::find().id);
    }

    #[test]
    fn limits_of_control_groups() {
        assert_eq!((limit("max 100000\n"), limit("150000 100000\n"), limit("")), (None, Some(1.5), None));
        assert_eq!(processor("processor : 0\nmodel name\t: A CPU\n").as_deref(), Some("A CPU"));
    }
}
