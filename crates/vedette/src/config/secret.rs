//! Secrets in the configuration: the value itself, or where it is.

use std::{env, fmt, fs};

use serde::Deserialize;

/// A secret, `file:<path>` or `env:<name>`. Never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(String);

impl SecretRef {
    /// The secret.
    ///
    /// # Errors
    /// The file or variable is not there, or holds nothing; for people, without the secret.
    pub fn reveal(&self) -> Result<String, String> {
        let (what, value) = if let Some(path) = self.0.strip_prefix("file:") {
            let read =
                fs::read_to_string(path).map_err(|error| format!("cannot read the secret in {path}: {error}"))?;
            (format!("the secret in {path}"), read.trim_end_matches(['\r', '\n']).to_owned())
        } else if let Some(name) = self.0.strip_prefix("env:") {
            let read = env::var(name).map_err(|_| format!("the variable {name}, which holds a secret, is not set"))?;
            (format!("the secret in the variable {name}"), read)
        } else {
            ("the secret".to_owned(), self.0.clone())
        };
        match value.is_empty() {
            true => Err(format!("{what} is empty")),
            false => Ok(value),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretRef(…)")
    }
}
