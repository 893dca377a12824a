//! What comes with the binary: rules, and the console if it was built.

use vedette_server::Asset;
use vedette_sigma::Loaded;

/// The console's files; none if it was not built when the binary was.
pub const CONSOLE: &[Asset] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// Name below `content/rules` and text of every file there, rules and their tests.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// True for the name of a test file.
pub fn is_test(name: &str) -> bool {
    name.ends_with(".test.yml")
}

/// The built-in rules.
pub fn rules() -> Loaded {
    let mut all = Loaded::default();
    for (name, text) in FILES.iter().filter(|(name, _)| !is_test(name)) {
        let loaded = vedette_sigma::load_str(&format!("builtin:{name}"), text);
        all.rules.extend(loaded.rules);
        all.refused.extend(loaded.refused);
    }
    all
}
