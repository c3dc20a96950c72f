//! The schema for editors says the same as the reader, as far as a schema can.

use crate::yaml::{self, Node, Value};
use serde_json::{Value as Json, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Faults that are no part of a tree any more, or that a schema cannot see.
const BEYOND_A_SCHEMA: &[&str] =
    &["empty", "second_document", "no_yaml", "placeholder_in_braces", "key_twice", "tag", "merge_key"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A tree as an editor sees it: scalars without quotes have types.
fn as_json(node: &Node) -> Json {
    match &node.value {
        Value::Scalar { text, plain: true } => match text.as_str() {
            "" | "~" | "null" => Json::Null,
            text => {
                serde_json::from_str(text).ok().filter(|value: &Json| !value.is_string()).unwrap_or_else(|| json!(text))
            }
        },
        Value::Scalar { text, .. } => json!(text),
        Value::List(list) => list.iter().map(as_json).collect(),
        Value::Map(map) => map.iter().map(|(key, value)| (key.name.clone(), as_json(value))).collect(),
    }
}

fn files(folder: PathBuf) -> Vec<(String, Result<Json, ()>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&file).unwrap();
            let tree = yaml::parse(&text).map_err(|_| ()).and_then(|node| node.as_ref().map(as_json).ok_or(()));
            files.push((file.file_stem().unwrap().to_string_lossy().into_owned(), tree));
        }
    }
    assert!(!files.is_empty());
    files
}

#[test]
fn schema_and_reader_agree() {
    let schema = fs::read_to_string(root().join("docs/plan.schema.json")).unwrap();
    let schema = jsonschema::draft7::new(&serde_json::from_str(&schema).unwrap()).unwrap();
    let all = |kind: &str| files(root().join("crates/plan/tests/files").join(kind));
    for (name, tree) in all("good").into_iter().chain(all("meaning")).chain(files(root().join("examples"))) {
        let tree = tree.unwrap();
        if let Err(error) = schema.validate(&tree) {
            panic!("{name}: {error} at {}", error.instance_path());
        }
    }
    for (name, tree) in all("shape") {
        let beyond = BEYOND_A_SCHEMA.contains(&name.as_str());
        assert_eq!(tree.is_ok_and(|tree| !schema.is_valid(&tree)), !beyond, "{name}");
    }
}
