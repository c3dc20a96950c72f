//! The names of kept values: which there are, and where each can be seen.

use crate::model::{Kept, Scope};
use crate::problem::{Place, like};
use crate::yaml::{Node, Value};

/// Where something is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Keeper {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    /// The kind of user; absent in set-up.
    kind: Option<String>,
    /// The task; absent outside of tasks.
    task: Option<String>,
    /// The step's name; absent where it is kept of every answer.
    by: Option<String>,
    place: Place,
    pub(crate) optional: bool,
    /// The number of the value: those of one name in one scope have the same.
    pub(crate) slot: usize,
}

/// Where a name is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Here<'a> {
    pub(crate) section: Section,
    pub(crate) kind: Option<&'a str>,
    pub(crate) task: Option<&'a str>,
    /// Where the step stands.
    pub(crate) place: Place,
}

/// A part of a plan that has steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Setup,
    OnStart,
    Task,
    OnStop,
    Teardown,
}

/// A name that cannot be seen from here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Unseen {
    /// Nothing keeps it; perhaps another was meant.
    Nowhere(Option<String>),
    /// It is kept where it cannot be seen: why.
    Elsewhere(String),
}

/// Everything that is kept anywhere in a plan.
#[derive(Debug, Default)]
pub(crate) struct Names {
    keepers: Vec<Keeper>,
    pub(crate) kept: Vec<Kept>,
}

impl Names {
    /// Looks through a whole plan.
    pub(crate) fn of(root: &Node) -> Self {
        let mut names = Self::default();
        for step in list(get(root, "setup")) {
            names.step(step, Scope::Load, None, None);
        }
        for (kind, node) in map(get(root, "users")) {
            names.keeps(get(node, "keep"), Scope::User, None, (Some(kind), None));
            for step in list(get(node, "on_start")) {
                names.step(step, Scope::User, Some(kind), None);
            }
            for (task, node) in map(get(node, "tasks")) {
                for step in list(get(node, "steps")) {
                    names.step(step, Scope::Round, Some(kind), Some(task));
                }
            }
        }
        names
    }

    fn step(&mut self, step: &Node, scope: Scope, kind: Option<&str>, task: Option<&str>) {
        self.keeps(get(step, "keep"), scope, Some(&step_name(step)), (kind, task));
    }

    fn keeps(
        &mut self,
        node: Option<&Node>,
        scope: Scope,
        by: Option<&str>,
        (kind, task): (Option<&str>, Option<&str>),
    ) {
        let Some(Node { value: Value::Map(map), .. }) = node else { return };
        for (key, value) in map {
            let (kind, task) = (kind.map(str::to_owned), task.map(str::to_owned));
            let same = |keeper: &&Keeper| {
                keeper.name == key.name && (keeper.scope, &keeper.kind, &keeper.task) == (scope, &kind, &task)
            };
            let slot = self.keepers.iter().find(same).map(|keeper| keeper.slot);
            let slot = slot.unwrap_or_else(|| {
                self.kept.push(Kept { name: key.name.clone(), scope });
                self.kept.len() - 1
            });
            let optional = scalar(Some(value)).is_some_and(|text| text.trim_start().starts_with("optional "));
            let (name, by, place) = (key.name.clone(), by.map(str::to_owned), key.place);
            self.keepers.push(Keeper { name, scope, kind, task, by, place, optional, slot });
        }
    }

    /// The value under a name, and whether it may be missing.
    pub(crate) fn find(&self, name: &str, here: Here<'_>) -> Result<&Keeper, Unseen> {
        let seen = self.keepers.iter().filter(|keeper| keeper.is_seen(here));
        // The one that ends first hides those that outlive it.
        seen.filter(|keeper| keeper.name == name)
            .max_by_key(|keeper| keeper.scope)
            .ok_or_else(|| self.unseen(name, here))
    }

    /// The number of a value that is kept by the step at this place.
    pub(crate) fn slot_at(&self, place: Place) -> Option<usize> {
        self.keepers.iter().find(|keeper| keeper.place == place).map(|keeper| keeper.slot)
    }

    fn unseen(&self, name: &str, here: Here<'_>) -> Unseen {
        let Some(keeper) = self.keepers.iter().find(|keeper| keeper.name == name) else {
            let near = like(name, self.keepers.iter().map(|keeper| keeper.name.as_str()));
            let keeper = near.and_then(|near| self.keepers.iter().find(|keeper| keeper.name == near));
            return Unseen::Nowhere(keeper.map(|keeper| {
                format!("did you mean `{}`, kept by {} (line {})?", keeper.name, keeper.by(), keeper.place.line)
            }));
        };
        let ends = "kept values end with their round";
        Unseen::Elsewhere(match (keeper.kind.as_deref(), here.kind, &keeper.task, here.task) {
            (Some(_), None, ..) => {
                format!("`{name}` is kept by users, and this belongs to none: only what set-up keeps can be seen here")
            }
            (Some(kind), Some(other), ..) if kind != other => {
                format!("`{name}` is kept by users `{kind}`, and these are `{other}`: each has its own")
            }
            (.., Some(task), Some(other)) if task != other => {
                format!("`{name}` is kept in task `{task}`, and this is task `{other}`: {ends}")
            }
            (.., Some(task), None) => format!("`{name}` is kept in task `{task}`, and this is outside of it: {ends}"),
            _ => format!("`{name}` is kept only later, by {} (line {})", keeper.by(), keeper.place.line),
        })
    }
}

impl Keeper {
    fn is_seen(&self, here: Here<'_>) -> bool {
        let earlier = self.place < here.place;
        match self.scope {
            Scope::Load => here.section != Section::Setup || earlier,
            Scope::User if self.kind.as_deref() != here.kind => false,
            // What is kept of every answer is there from the second one on.
            Scope::User => self.by.is_none() || here.section != Section::OnStart || earlier,
            Scope::Round => self.kind.as_deref() == here.kind && self.task.as_deref() == here.task && earlier,
        }
    }

    fn by(&self) -> String {
        self.by.as_ref().map_or_else(|| "every answer".to_owned(), |step| format!("step `{step}`"))
    }
}

/// The methods that a step may have.
pub(crate) const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

/// What a step is called: its name, or its method and path.
pub(crate) fn step_name(step: &Node) -> String {
    let called = scalar(get(step, "name")).map(str::to_owned);
    called.unwrap_or_else(|| {
        let request = METHODS.iter().find_map(|method| Some(format!("{method} {}", scalar(get(step, method))?)));
        // It stands in reports.
        request.map_or_else(|| "?".to_owned(), |request| crate::secrets::without_logins(&request))
    })
}

pub(crate) fn get<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Value::Map(map) = &node.value else { return None };
    map.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
}

fn list(node: Option<&Node>) -> &[Node] {
    match node {
        Some(Node { value: Value::List(list), .. }) => list,
        _ => &[],
    }
}

fn map(node: Option<&Node>) -> impl Iterator<Item = (&str, &Node)> {
    let map: &[_] = match node {
        Some(Node { value: Value::Map(map), .. }) => map,
        _ => &[],
    };
    map.iter().map(|(key, value)| (key.name.as_str(), value))
}

fn scalar(node: Option<&Node>) -> Option<&str> {
    match node {
        Some(Node { value: Value::Scalar { text, .. }, .. }) => Some(text),
        _ => None,
    }
}
