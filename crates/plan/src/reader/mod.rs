//! From the tree to the plan: each key by what it expects. Faults are gathered, and reading goes on behind each.

mod data;
mod experiments;
mod load;
mod notify;
mod pipeline;
mod request;
mod scalar;
mod span_map;
mod step;
mod table;
mod texts;
mod threshold;
mod users;

use crate::input::Input;
use crate::model::{Data, Plan};
use crate::names::Names;
use crate::problem::{Place, Problem, Problems, meant};
use crate::secrets::Secrets;
use crate::yaml::{self, Node};
use std::collections::BTreeMap;

/// The version of the format.
const VERSION: &str = "1";

const KEYS: &str = "stampede name target hosts params pipeline data setup teardown users load vary repeat search \
    thresholds notify";

/// A larger file is no plan.
const LARGEST: usize = 4 << 20;

/// What is known of a plan while it is read.
struct Reader<'a> {
    input: &'a Input<'a>,
    problems: Vec<Problem>,
    params: BTreeMap<String, String>,
    hosts: BTreeMap<String, String>,
    names: Names,
    data: Vec<Data>,
    /// Where each table's rows come from.
    data_places: Vec<Place>,
    /// The files that are named, and where.
    files: Vec<(Place, String)>,
    secrets: Secrets,
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(input: &Input<'_>) -> Result<Self, Problems> {
        let told = |problems| Problems::new(&input.name, input.text, problems, &Secrets::default());
        let at = |message: &str| {
            vec![Problem {
                place: Place { line: 1, column: 1, length: 1 },
                message: message.to_owned(),
                hint: String::new(),
            }]
        };
        if input.text.len() > LARGEST {
            return Err(told(at(
                "this file is larger than 4 MiB: no plan needs that; put data into files of its own (csv:)",
            )));
        }
        let root = yaml::parse(input.text).map_err(told)?;
        let Some(root) = root else { return Err(told(at("this file is empty: begin with `stampede: 1`"))) };
        let mut reader = Reader::new(input, Names::of(&root));
        let plan = reader.plan(&root);
        if reader.problems.is_empty() { Ok(plan) } else { Err(reader.told()) }
    }
}

/// Reads a file of parameters: `name: value`, line by line.
///
/// # Errors
/// All that is wrong with it.
pub fn params(name: &str, text: &str) -> Result<Vec<(String, String)>, Problems> {
    let told = |problems| Problems::new(name, text, problems, &Secrets::default());
    let Some(root) = yaml::parse(text).map_err(told)? else { return Ok(Vec::new()) };
    let input = Input::new(name, text);
    let mut reader = Reader::new(&input, Names::default());
    let pairs: Vec<(String, String)> = match reader.table(&root, "a file of parameters") {
        Some(table) => {
            table.rest().filter_map(|(key, value)| Some((key.name.clone(), reader.constant(value)?))).collect()
        }
        None => Vec::new(),
    };
    if reader.problems.is_empty() { Ok(pairs) } else { Err(reader.told()) }
}

impl<'a> Reader<'a> {
    fn new(input: &'a Input<'a>, names: Names) -> Self {
        let (params, hosts) = (BTreeMap::new(), BTreeMap::new());
        Self {
            input,
            problems: Vec::new(),
            params,
            hosts,
            names,
            data: Vec::new(),
            data_places: Vec::new(),
            files: Vec::new(),
            secrets: Secrets::default(),
        }
    }
}

impl Reader<'_> {
    fn plan(&mut self, root: &Node) -> Plan {
        let mut plan = Plan::default();
        let Some(mut table) = self.table(root, "a plan") else { return plan };
        self.version(table.take("stampede"), root.place);
        self.params(table.take("params"));
        plan.name = table.take("name").and_then(|node| self.constant(node));
        self.read_hosts(table.take("hosts"));
        let target = table.take("target");
        plan.target = target.and_then(|node| self.address(node));
        plan.pipeline = table.take("pipeline").and_then(|node| self.pipeline(node));
        self.read_data(table.take("data"));
        plan.setup = table.take("setup").map(|node| self.setup(node)).unwrap_or_default();
        let users = table.take_pair("users");
        plan.users = users.map(|(_, node)| self.users(node)).unwrap_or_default();
        plan.teardown = table.take("teardown").map(|node| self.teardown(node)).unwrap_or_default();
        plan.search = table.take("search").and_then(|node| self.search(node));
        let (vary, repeat) = (table.take("vary"), table.take_pair("repeat"));
        plan.vary = self.vary(vary, repeat);
        plan.load = table.take("load").map(|node| self.load(node, plan.search.as_ref())).unwrap_or_default();
        if let Some(amount) = &self.input.amount {
            plan.load.amount = amount.clone();
        }
        plan.thresholds = table.take("thresholds").map(|node| self.thresholds(node)).unwrap_or_default();
        plan.notify = table.take("notify").map(|node| self.notify(node)).unwrap_or_default();
        self.finish(table, KEYS);
        (plan.data, plan.kept, plan.params) = (self.data.clone(), self.names.kept.clone(), self.params.clone());
        (plan.secrets, plan.files) = (self.secrets.clone(), self.files.clone());
        self.check_whole(&plan, target.is_some());
        plan
    }

    fn version(&mut self, node: Option<&Node>, place: Place) {
        match node.map(|node| (node, self.constant(node))) {
            None => self
                .fault(Place { length: 1, ..place }, "the version of the format is missing: begin with `stampede: 1`"),
            Some((node, Some(version))) if version != VERSION => {
                self.fault(node.place, format!("{version:?} is no version that is read here: write `stampede: 1`"));
            }
            Some(_) => {}
        }
    }

    /// Parameters of the file, then those set from outside.
    fn params(&mut self, node: Option<&Node>) {
        if let Some(table) = node.and_then(|node| self.table(node, "params")) {
            for (key, value) in table.rest() {
                if !crate::text::is_name(&key.name) {
                    self.fault(
                        key.place,
                        format!("{:?} is no name: letters, digits, _ and -, a letter first", key.name),
                    );
                }
                if let Some(value) = self.constant(value) {
                    self.params.insert(key.name.clone(), value);
                }
            }
        }
        for (name, value) in &self.input.set {
            if self.params.contains_key(name) {
                self.params.insert(name.clone(), value.clone());
                continue;
            }
            let remedy = meant(name, self.params.keys().map(String::as_str))
                .unwrap_or_else(|| format!("it has {}", listed(self.params.keys().map(String::as_str))));
            let message = format!("the plan has no parameter `{name}` that could be set to {value:?}: {remedy}");
            self.fault(Place::default(), message);
        }
        for (name, value) in &self.params {
            if stamp::is_secret_name(name) {
                self.secrets.add_long(value);
            }
        }
    }

    /// Everything that was found.
    fn told(self) -> Problems {
        Problems::new(&self.input.name, self.input.text, self.problems, &self.secrets)
    }

    fn fault(&mut self, place: Place, message: impl Into<String>) {
        self.fault_with(place, message.into(), String::new());
    }

    fn refuse<T>(&mut self, place: Place, message: impl Into<String>) -> Option<T> {
        self.fault(place, message);
        None
    }

    fn fault_with(&mut self, place: Place, message: String, hint: String) {
        self.problems.push(Problem { place, message, hint });
    }
}

/// Names, for people.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
