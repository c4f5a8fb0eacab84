//! The effective configuration as text, for `/api/v1/status/config`, `/api/v1/status/flags` and `check-config`.
//! Secrets show as `<hidden>`.

use super::Config;
use serde_json::Value;

impl Config {
    /// The configuration as TOML that [`Config::load`] would read back, but for hidden secrets. Sections and keys are
    /// in alphabetical order.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        write_section("", &self.to_json(), &mut text);
        text
    }

    /// Every key with its value as text: `("http.listen", "127.0.0.1:8086")`. Databases are `database[0].name` and so
    /// on. In alphabetical order of the keys.
    pub fn flat(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        flatten("", &self.to_json(), &mut pairs);
        pairs
    }

    fn to_json(&self) -> Value {
        // It can only fail on a path that is not UTF-8, which neither TOML nor a flag of type String can give.
        serde_json::to_value(self).expect("BUG: the configuration does not serialise")
    }
}

fn write_section(path: &str, value: &Value, text: &mut String) {
    let Value::Object(entries) = value else { return };
    for (key, value) in entries.iter().filter(|(_, value)| !is_section(value)) {
        text.push_str(&format!("{key} = {}\n", toml_value(value)));
    }
    let dot = if path.is_empty() { "" } else { "." };
    for (key, value) in entries.iter().filter(|(_, value)| is_section(value)) {
        let path = format!("{path}{dot}{key}");
        match value {
            Value::Array(blocks) => {
                for block in blocks {
                    text.push_str(&format!("\n[[{path}]]\n"));
                    write_section(&path, block, text);
                }
            }
            section => {
                text.push_str(&format!("\n[{path}]\n"));
                write_section(&path, section, text);
            }
        }
    }
}

/// Whether TOML writes it under a header.
fn is_section(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(Value::is_object),
        _ => false,
    }
}

/// A single value or a list of them. TOML escapes as JSON does, and the delete character besides.
fn toml_value(value: &Value) -> String {
    value.to_string().replace('\u{7f}', "\\u007f")
}

fn flatten(path: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    let dot = if path.is_empty() { "" } else { "." };
    match value {
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| flatten(&format!("{path}{dot}{key}"), value, pairs));
        }
        Value::Array(items) if is_section(value) => {
            items.iter().enumerate().for_each(|(at, value)| flatten(&format!("{path}[{at}]"), value, pairs));
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(plain).collect();
            pairs.push((path.to_string(), items.join(",")));
        }
        single => pairs.push((path.to_string(), plain(single))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}
