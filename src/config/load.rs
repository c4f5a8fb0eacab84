//! Puts the configuration together from its layers, and says what is wrong with any of them.
//!
//! In:      the text of a file, the environment, flags. Out: a [`Config`] that was checked, or every fault at once.
//! The `config` crate merges; what a key is and whether it may be there is decided here, against the tree of defaults.

use super::check;
use super::fault::{ConfigError, Fault, Place, line_of};
use super::tree::{BLOCKS, Tree, leaves, lookup, lookup_mut, prune, split_block, table, unknown_key};
use super::{Config, Token};
use config::{ConfigError as Cause, FileFormat, Value, ValueKind};
use sealine_model::split_policy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What a variable's name starts with. Two underscores: Kubernetes sets `SEALINE_PORT` and the like by itself.
const ENV_PREFIX: &str = "SEALINE__";

/// What the command line may set; `None` leaves it to the other layers.
#[derive(Debug, Default, Clone)]
pub struct Flags {
    /// `--data-dir`
    pub data_dir: Option<String>,
    /// `--http`
    pub http: Option<String>,
    /// `--udp`
    pub udp: Option<String>,
}

impl Flags {
    /// The flags that were given: flag, key, value.
    fn given(&self) -> impl Iterator<Item = (&'static str, &'static str, &String)> {
        [
            ("--data-dir", "data_dir", &self.data_dir),
            ("--http", "http.listen", &self.http),
            ("--udp", "udp.listen", &self.udp),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| value.as_ref().map(|value| (flag, key, value)))
    }
}

impl Config {
    /// Loads the configuration: the defaults, then `file`, then `SEALINE__…` of `environment`, then `flags`.
    ///
    /// Errors: the file cannot be read or is not TOML; else all faults of all layers together, in the order of the
    /// file, then of the environment, then of the flags.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &Flags,
    ) -> Result<Config, ConfigError> {
        let file = file.map(read).transpose()?;
        Layers::new(file, environment, flags).merge()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the configuration is read before there is a vfs, and says where data lies"
)]
fn read(path: &Path) -> Result<FileLayer, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
    FileLayer::parse(path, text)
}

/// What a file said.
struct FileLayer {
    path: PathBuf,
    text: String,
    tree: Tree,
}

impl FileLayer {
    fn parse(path: &Path, text: String) -> Result<Self, ConfigError> {
        let source = config::File::from_str(&text, FileFormat::Toml);
        match config::Config::builder().add_source(source).build() {
            Ok(parsed) => Ok(FileLayer { path: path.to_path_buf(), text, tree: table(parsed.cache) }),
            Err(Cause::FileParse { cause, .. }) => Err(ConfigError::Parse { path: path.to_path_buf(), source: cause }),
            Err(other) => Err(ConfigError::Parse { path: path.to_path_buf(), source: Box::new(other) }),
        }
    }
}

/// All that was said, by whom, and what was wrong with it so far.
struct Layers<'a> {
    file: Option<FileLayer>,
    /// From key to variable and value.
    environment: BTreeMap<String, (String, String)>,
    flags: &'a Flags,
    /// The defaults, as the tree that every other layer must fit into.
    defaults: Tree,
    faults: Vec<Fault>,
}

impl<'a> Layers<'a> {
    fn new(
        file: Option<FileLayer>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &'a Flags,
    ) -> Self {
        let mut layers = Layers {
            file: None,
            environment: BTreeMap::new(),
            flags,
            defaults: tree_of(&Config::default()),
            faults: Vec::new(),
        };
        layers.take_file(file);
        layers.take_environment(environment);
        layers
    }

    /// Keeps the keys of the file that exist.
    fn take_file(&mut self, file: Option<FileLayer>) {
        let Some(mut file) = file else { return };
        let mut known = self.defaults.clone();
        let blocks = BLOCKS.map(|name| (name, known.remove(name).and(file.tree.remove(name))));
        let mut unknown = Vec::new();
        prune(&mut file.tree, &known, "", &mut unknown);
        for (name, blocks) in blocks {
            let Some(mut blocks) = blocks else { continue };
            match &mut blocks.kind {
                ValueKind::Array(array) => {
                    let known = self.block_keys(name);
                    for (at, block) in array.iter_mut().enumerate() {
                        let place = format!("{name}[{at}]");
                        match &mut block.kind {
                            ValueKind::Table(block) => prune(block, &known, &format!("{place}."), &mut unknown),
                            _ => unknown.push((place, format!("want a block that starts with [[{name}]]"))),
                        }
                    }
                    array.retain(|block| matches!(block.kind, ValueKind::Table(_)));
                    file.tree.insert(name.to_string(), blocks);
                }
                _ => unknown.push((name.to_string(), format!("want blocks that start with [[{name}]]"))),
            }
        }
        for (key, message) in unknown {
            let line = line_of(&file.text, &key);
            self.faults.push(Fault { place: Place::File { path: file.path.clone(), line }, key, message });
        }
        self.file = Some(file);
    }

    /// What may stand in a block, with what it is by default.
    fn block_keys(&self, block: &str) -> Tree {
        if block == "token" {
            return tree_of(&Token::default());
        }
        let mut keys: Tree = ["retention", "naming"]
            .into_iter()
            .filter_map(|section| Some((section.to_string(), self.defaults.get(section)?.clone())))
            .collect();
        keys.insert("name".to_string(), Value::from(""));
        keys
    }

    /// Keeps the variables whose key exists.
    fn take_environment(&mut self, environment: impl IntoIterator<Item = (OsString, OsString)>) {
        let keys: Vec<String> = leaves(&self.defaults).into_iter().filter(|key| !BLOCKS.contains(&&**key)).collect();
        for (name, value) in environment {
            let Some(variable) = name.to_str().filter(|name| name.starts_with(ENV_PREFIX)) else { continue };
            let key = variable[ENV_PREFIX.len()..].to_lowercase().replace("__", ".");
            let message = match value.into_string() {
                Ok(value) if keys.contains(&key) => {
                    self.environment.insert(key, (variable.to_string(), value));
                    continue;
                }
                Ok(_) => match BLOCKS.iter().find(|block| key.split('.').next() == Some(block)) {
                    Some(block) => format!("{block}s are described in the file only"),
                    None => unknown_key(&key, keys.iter()),
                },
                Err(_) => "the value is not UTF-8".to_string(),
            };
            let place = Place::Environment { variable: variable.to_string() };
            self.faults.push(Fault { place, key, message });
        }
    }

    /// One configuration out of all layers, or all that is wrong.
    fn merge(mut self) -> Result<Config, ConfigError> {
        let config = match self.merged_tree() {
            Ok(tree) => self.read_values(tree),
            Err(cause) => Err(cause),
        };
        match config {
            Ok(config) => {
                let wrong = check::check(&config);
                let keys: Vec<String> = wrong.iter().map(|(key, _)| key.clone()).collect();
                for (key, message) in wrong {
                    // A value that could not be read was replaced by its default, which is not the user's fault.
                    if !self.faults.iter().any(|fault| fault.key == key) && !self.is_inherited_fault(&key, &keys) {
                        self.fault(key, message);
                    }
                }
                if self.faults.is_empty() {
                    return Ok(config);
                }
            }
            Err(cause) => self.fault("configuration".to_string(), cause.to_string()),
        }
        self.faults.sort();
        Err(ConfigError::Faults(self.faults))
    }

    /// Every layer over the one before it, and each database block over the general sections, a policy's over its
    /// database's.
    fn merged_tree(&self) -> Result<Tree, Cause> {
        let mut builder = config::Config::builder().add_source(source(self.defaults.clone())?);
        if let Some(file) = &self.file {
            builder = builder.add_source(source(file.tree.clone())?);
        }
        for (key, (_, value)) in &self.environment {
            builder = builder.set_override(key, value.as_str())?;
        }
        for (_, key, value) in self.flags.given() {
            builder = builder.set_override(key, value.as_str())?;
        }
        let mut tree = table(builder.build()?.cache);
        for name in BLOCKS {
            let mut general = self.block_keys(name);
            for (section, value) in &mut general {
                if let Some(merged) = tree.get(section) {
                    *value = merged.clone();
                }
            }
            let Some(Value { kind: ValueKind::Array(blocks), .. }) = tree.get_mut(name) else { continue };
            // Databases before their policies, which are filled in from them.
            let mut order: Vec<usize> = (0..blocks.len()).collect();
            order.sort_by_key(|at| parent_block(name, blocks, *at).is_some());
            for at in order {
                let general = match parent_block(name, blocks, at) {
                    Some(parent) => table(blocks[parent].clone()),
                    None => general.clone(),
                };
                let own = config::Config::builder().add_source(source(general)?);
                blocks[at] = own.add_source(source(table(blocks[at].clone()))?).build()?.cache;
            }
        }
        Ok(tree)
    }

    /// Turns the tree into types. A value that does not fit is noted and replaced by its default until all fit.
    fn read_values(&mut self, mut tree: Tree) -> Result<Config, Cause> {
        loop {
            let cause = match Value::from(tree.clone()).try_deserialize::<Config>() {
                Ok(config) => return Ok(config),
                Err(cause) => cause,
            };
            let (Some(key), message) = explain(&cause) else { return Err(cause) };
            if !self.reset(&mut tree, &key) {
                return Err(cause);
            }
            // What a block took over from a general section is that section's fault.
            if split_block(&key).is_none() || self.is_in_file(&key) {
                self.fault(key, message);
            }
        }
    }

    /// Whether a block has `key` from a general section, or a policy from its database, and it was found wrong there:
    /// before, or with `others`.
    fn is_inherited_fault(&self, key: &str, others: &[String]) -> bool {
        let Some((block, at, inside)) = split_block(key).filter(|_| !self.is_in_file(key)) else { return false };
        let blocks = self.file.as_ref().and_then(|file| Some(&file.tree.get(block)?.kind));
        let parent = match blocks {
            Some(ValueKind::Array(blocks)) => parent_block(block, blocks, at),
            _ => None,
        };
        let of_parent = parent.map(|at| format!("{block}[{at}].{inside}"));
        let is_wrong = |key: &str| self.faults.iter().any(|f| f.key == key) || others.iter().any(|other| other == key);
        self.faults.iter().any(|fault| fault.key == inside) || of_parent.is_some_and(|key| is_wrong(&key))
    }

    fn is_in_file(&self, key: &str) -> bool {
        self.file.as_ref().is_some_and(|file| lookup(&file.tree, key).is_some())
    }

    /// Puts the default back under `key`. Whether that changed anything: if not, trying again would not end.
    fn reset(&self, tree: &mut Tree, key: &str) -> bool {
        let (default, known) = match split_block(key) {
            Some((block, _, inside)) => (inside, self.block_keys(block)),
            None => (key, self.defaults.clone()),
        };
        let default = lookup(&known, default).cloned();
        match (lookup_mut(tree, key), default) {
            (Some(value), Some(default)) if value.kind != default.kind => {
                *value = default;
                true
            }
            _ => false,
        }
    }

    fn fault(&mut self, key: String, message: String) {
        self.faults.push(Fault { place: self.place_of(&key), key, message });
    }

    /// The last layer that set `key`.
    fn place_of(&self, key: &str) -> Place {
        if let Some((name, ..)) = self.flags.given().find(|(_, k, _)| *k == key) {
            return Place::Flag { name };
        }
        if let Some((variable, _)) = self.environment.get(key) {
            return Place::Environment { variable: variable.clone() };
        }
        match &self.file {
            // A block's value may come from the general section, which has a fault of its own then.
            Some(file) if lookup(&file.tree, key).is_some() || split_block(key).is_some() => {
                Place::File { path: file.path.clone(), line: line_of(&file.text, key) }
            }
            _ => Place::Default,
        }
    }
}

/// Of a retention policy's block, `database/policy`, the block of its database, where there is one.
fn parent_block(block: &str, blocks: &[Value], at: usize) -> Option<usize> {
    let name = |value: &Value| match &value.kind {
        ValueKind::Table(block) => block.get("name")?.clone().into_string().ok(),
        _ => None,
    };
    let own = name(blocks.get(at)?).filter(|_| block == "database")?;
    let (database, _policy) = (split_policy(&own).0, split_policy(&own).1?);
    blocks.iter().position(|block| name(block).as_deref() == Some(database))
}

/// The key and the sentence of what serde or the `config` crate found.
fn explain(cause: &Cause) -> (Option<String>, String) {
    match cause {
        Cause::At { error, key, .. } => (key.as_deref().map(our_key), explain(error).1),
        Cause::Type { unexpected, expected, key, .. } => {
            (key.as_deref().map(our_key), format!("got {unexpected}, want {expected}"))
        }
        // serde's own wording for a value of a wrong type, brought to ours.
        other => (None, other.to_string().replace("invalid type: ", "got ").replace(", expected ", ", want ")),
    }
}

/// The crate's key as ours: it writes `database[0]name`, and `list[2]` where we say that the list is wrong.
fn our_key(key: &str) -> String {
    let key = key.strip_suffix(']').and_then(|key| key.rsplit_once('[')).map_or(key, |(list, _)| list);
    key.replace("].", "]").replace(']', "].")
}

/// Defaults as a tree. By way of JSON, since the `config` crate's own way loses empty lists.
fn tree_of(defaults: &impl Serialize) -> Tree {
    let json = serde_json::to_value(defaults).expect("BUG: the defaults do not serialise");
    table(Value::deserialize(json).expect("BUG: the defaults do not fit into a tree"))
}

/// The tree as a source of the `config` crate.
fn source(tree: Tree) -> Result<config::Config, Cause> {
    tree.into_iter()
        .try_fold(config::Config::builder(), |builder, (key, value)| builder.set_override(key, value))?
        .build()
}
