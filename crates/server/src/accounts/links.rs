//! One-time links.

use rusqlite::{OptionalExtension, params};
use vedette_event::Time;

use super::{AccountError, Accounts, Scopes, Secret, password, secret, users};

/// A link lives so long.
pub const LINK_HOURS: i64 = 24;

/// What a valid link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The user whose password it sets; none for the first account, which chooses its name.
    pub user: Option<String>,
    /// What that user may do.
    pub scopes: Scopes,
}

impl Accounts {
    /// A new link for the first account, which may do everything; none once an account exists. Replaces an earlier one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn setup_link(&self, now: Time) -> Result<Option<Secret>, AccountError> {
        let link = Secret::random("")?;
        self.with(|tx| {
            if users::any(tx)? {
                return Ok(None);
            }
            tx.execute("DELETE FROM links WHERE user IS NULL", [])?;
            insert(tx, &link, None, Scopes::ALL, now)?;
            Ok(Some(link))
        })
    }

    /// A link with which `user` sets a password: an invitation if there is no such user, a way back in if there is
    /// (the scopes then stay as they are). Replaces an earlier one for the user.
    ///
    /// # Errors
    /// If the name cannot be used or the file cannot be written.
    pub fn invite(&self, user: &str, scopes: Scopes, now: Time) -> Result<Secret, AccountError> {
        users::check_name(user)?;
        let link = Secret::random("")?;
        self.with(|tx| {
            tx.execute("DELETE FROM links WHERE user = ?1 OR expires <= ?2", params![user, now.micros()])?;
            insert(tx, &link, Some(user), scopes, now)?;
            Ok(link)
        })
    }

    /// What a link is for.
    ///
    /// # Errors
    /// [`AccountError::LinkInvalid`] if it is not valid (any more).
    pub fn link(&self, link: &str, now: Time) -> Result<Link, AccountError> {
        self.read(|db| find(db, link, now))
    }

    /// Uses a link up: makes the account or sets its password, and ends the user's sessions. Returns the user's name.
    ///
    /// # Errors
    /// If the link is not valid, or the name or the password are refused; then the link stays valid.
    pub fn redeem(&self, link: &str, user: &str, new_password: &str, now: Time) -> Result<String, AccountError> {
        let user = self.link(link, now)?.user.unwrap_or_else(|| user.trim().to_owned());
        users::check_name(&user)?;
        password::check_rules(&user, new_password)?;
        let hash = password::hash(new_password)?;
        self.with(|tx| {
            // Again, inside the transaction: of two who use it at once, one wins.
            let found = find(tx, link, now)?;
            tx.execute("DELETE FROM links WHERE hash = ?1", [secret::hash(link)])?;
            if found.user.is_none() {
                tx.execute("DELETE FROM links WHERE user IS NULL", [])?;
            }
            tx.execute(
                "INSERT INTO users (name, password, scopes, created) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET password = ?2",
                params![user, hash, found.scopes.to_string(), now.micros()],
            )?;
            tx.execute("DELETE FROM sessions WHERE user = ?1", [&user])?;
            Ok(user)
        })
    }
}

fn insert(
    db: &rusqlite::Connection,
    link: &Secret,
    user: Option<&str>,
    scopes: Scopes,
    now: Time,
) -> Result<(), AccountError> {
    db.execute(
        "INSERT INTO links (hash, user, scopes, expires) VALUES (?1, ?2, ?3, ?4)",
        params![
            secret::hash(link.reveal()),
            user,
            scopes.to_string(),
            now.plus_micros(LINK_HOURS * 3_600_000_000).micros()
        ],
    )?;
    Ok(())
}

fn find(db: &rusqlite::Connection, link: &str, now: Time) -> Result<Link, AccountError> {
    let found = db
        .query_row(
            "SELECT user, scopes FROM links WHERE hash = ?1 AND expires > ?2",
            params![secret::hash(link), now.micros()],
            |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, String>(1)?)),
        )
        .optional()?;
    let (user, scopes) = found.ok_or(AccountError::LinkInvalid)?;
    if user.is_none() && users::any(db)? {
        return Err(AccountError::LinkInvalid);
    }
    Ok(Link { user, scopes: users::scopes(&scopes)? })
}
