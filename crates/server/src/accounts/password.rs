//! Passwords: rules, hashing, checking.

use std::sync::OnceLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use super::AccountError;

/// A password has at least so many characters. Length is what counts (NIST SP 800-63B); no rules on what they are.
pub const MIN_PASSWORD: usize = 12;
const MAX_PASSWORD_BYTES: usize = 1024;

/// Checks a new password against the rules.
pub(super) fn check_rules(user: &str, password: &str) -> Result<(), AccountError> {
    let weak = |message: String| Err(AccountError::WeakPassword(message));
    let length = password.chars().count();
    if length < MIN_PASSWORD {
        return weak(format!("a password has at least {MIN_PASSWORD} characters, this one has {length}"));
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return weak(format!("a password has at most {MAX_PASSWORD_BYTES} bytes"));
    }
    if password.to_lowercase() == user.to_lowercase() {
        return weak("the password equals the user name".to_owned());
    }
    let mut characters: Vec<char> = password.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    if characters.len() < 4 {
        return weak("the password repeats fewer than four different characters".to_owned());
    }
    Ok(())
}

/// argon2id with the crate's defaults (19 MiB, 2 passes), which are OWASP's; as a PHC string.
pub(super) fn hash(password: &str) -> Result<String, AccountError> {
    let hash =
        Argon2::default().hash_password(password.as_bytes()).map_err(|error| AccountError::Hash(error.to_string()))?;
    Ok(hash.to_string())
}

/// Checks a password. Without a hash (no such user) it takes as long and says no.
pub(super) fn verify(password: &str, hash: Option<&str>) -> Result<bool, AccountError> {
    static NOBODY: OnceLock<Option<String>> = OnceLock::new();
    let nobody = || NOBODY.get_or_init(|| self::hash("nobody has this password").ok()).as_deref();
    let (against, real) = match hash {
        Some(hash) => (hash, true),
        None => match nobody() {
            Some(hash) => (hash, false),
            None => return Ok(false),
        },
    };
    if password.len() > MAX_PASSWORD_BYTES {
        return Ok(false);
    }
    let parsed = PasswordHash::new(against).map_err(|error| AccountError::Hash(error.to_string()))?;
    let right = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
    Ok(right && real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_say_what_is_wrong() {
        let cases = [
            ("short", "a password has at least 12 characters, this one has 5"),
            ("äöüäöüäöüäö", "a password has at least 12 characters, this one has 11"),
            ("Grace.Hopper.1906", "the password equals the user name"),
            ("aaaaaaaaaaaaaaaa", "the password repeats fewer than four different characters"),
            ("correct horse battery", ""),
        ];
        for (password, message) in cases {
            let result = check_rules("grace.hopper.1906", password);
            assert_eq!(result.err().map(|error| error.to_string()).unwrap_or_default(), message);
        }
    }

    #[test]
    fn argon2id_and_nobody() {
        let phc = hash("correct horse battery").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(verify("correct horse battery", Some(&phc)).unwrap());
        assert!(!verify("correct horse batterx", Some(&phc)).unwrap());
        assert!(!verify("nobody has this password", None).unwrap());
    }
}
