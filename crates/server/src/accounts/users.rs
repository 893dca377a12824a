//! Users.

use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension, params};
use vedette_event::Time;

use super::{AccountError, Accounts, Scope, Scopes, password};

/// True if the text has the form of a user name.
pub(crate) fn is_name(text: &str) -> bool {
    check_name(text).is_ok()
}

/// A person's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// What they may do.
    pub scopes: Scopes,
    /// Since when.
    pub created: Time,
    /// When they last logged in.
    pub last_login: Option<Time>,
}

impl Accounts {
    /// True if an account exists.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn any_user(&self) -> Result<bool, AccountError> {
        self.read(any)
    }

    /// Every user, by name.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn users(&self) -> Result<Vec<User>, AccountError> {
        self.read(|db| {
            let mut rows = db.prepare_cached("SELECT name, scopes, created, last_login FROM users ORDER BY name")?;
            let mut rows = rows.query([])?;
            let mut users = Vec::new();
            while let Some(row) = rows.next()? {
                users.push(User {
                    name: row.get(0)?,
                    scopes: scopes(&row.get::<_, String>(1)?)?,
                    created: Time::from_micros(row.get(2)?),
                    last_login: row.get::<_, Option<i64>>(3)?.map(Time::from_micros),
                });
            }
            Ok(users)
        })
    }

    /// Removes a user with sessions, links and tokens.
    ///
    /// # Errors
    /// If there is no such user or it is the last administrator.
    pub fn remove_user(&self, name: &str) -> Result<(), AccountError> {
        self.with(|tx| {
            let gone: Option<String> =
                tx.query_row("SELECT scopes FROM users WHERE name = ?1", [name], |row| row.get(0)).optional()?;
            let gone = scopes(&gone.ok_or_else(|| AccountError::UnknownUser(name.to_owned()))?)?;
            tx.execute("DELETE FROM users WHERE name = ?1", [name])?;
            tx.execute("DELETE FROM links WHERE user = ?1", [name])?;
            tx.execute("DELETE FROM tokens WHERE owner = ?1", [name])?;
            let mut rest = tx.prepare("SELECT scopes FROM users")?;
            let rest: Vec<String> = rest.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let admin = |text: &String| scopes(text).is_ok_and(|scopes| scopes.allows(Scope::Admin));
            if gone.allows(Scope::Admin) && !rest.iter().any(admin) {
                return Err(AccountError::LastAdmin(name.to_owned()));
            }
            Ok(())
        })
    }

    /// Checks a password, counting failures against guessing. Returns the name as it was registered.
    ///
    /// # Errors
    /// [`AccountError::WrongPassword`] (which does not say what is wrong) or [`AccountError::Throttled`].
    pub fn check_password(
        &self,
        name: &str,
        attempt: &str,
        address: Option<IpAddr>,
        now: Time,
    ) -> Result<String, AccountError> {
        self.throttle.begin(name, address, now)?;
        let found: Option<(String, String)> = self.read(|db| {
            let found = db.query_row("SELECT name, password FROM users WHERE name = ?1", [name], |row| {
                Ok((row.get(0)?, row.get(1)?))
            });
            Ok(found.optional()?)
        })?;
        if !password::verify(attempt, found.as_ref().map(|(_, hash)| hash.as_str()))? {
            return Err(AccountError::WrongPassword);
        }
        let (name, _) = found.ok_or(AccountError::WrongPassword)?;
        self.throttle.succeeded(&name, address);
        Ok(name)
    }

    /// Sets a new password after checking the old one, and ends all the user's sessions.
    ///
    /// # Errors
    /// If the old one is wrong or the new one is refused.
    pub fn change_password(
        &self,
        name: &str,
        old: &str,
        new: &str,
        address: Option<IpAddr>,
        now: Time,
    ) -> Result<(), AccountError> {
        let name = self.check_password(name, old, address, now)?;
        password::check_rules(&name, new)?;
        let hash = password::hash(new)?;
        self.with(|tx| {
            tx.execute("UPDATE users SET password = ?2 WHERE name = ?1", params![name, hash])?;
            tx.execute("DELETE FROM sessions WHERE user = ?1", [&name])?;
            Ok(())
        })
    }
}

pub(super) fn any(db: &Connection) -> Result<bool, AccountError> {
    Ok(db.query_row("SELECT EXISTS (SELECT 1 FROM users)", [], |row| row.get(0))?)
}

pub(super) fn scopes(text: &str) -> Result<Scopes, AccountError> {
    text.parse().map_err(|_| AccountError::Hash(format!("account file: scopes `{text}`")))
}

pub(super) fn check_name(name: &str) -> Result<(), AccountError> {
    let first = name.chars().next().is_some_and(|first| first.is_ascii_alphanumeric());
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if first && rest && name.len() <= 64 { Ok(()) } else { Err(AccountError::BadName) }
}
