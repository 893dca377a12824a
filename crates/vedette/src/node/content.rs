//! What comes with the binary: rules, and the console if it was built.

use vedette_server::Asset;
use vedette_sigma::Documents;

/// The console's files; none if it was not built when the binary was.
pub const CONSOLE: &[Asset] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// Name below `content/rules` and text of every file there, rules and their tests.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// True for the name of a test file.
pub fn is_test(name: &str) -> bool {
    name.ends_with(".test.yml")
}

/// The built-in rules, which name fields as the built-in parsers do.
pub fn rules() -> Documents {
    let mut all = Documents::native();
    FILES.iter().filter(|(name, _)| !is_test(name)).for_each(|(name, text)| all.text(&format!("builtin:{name}"), text));
    all
}
