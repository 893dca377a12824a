//! Sessions of browsers.

use std::net::IpAddr;

use rusqlite::{OptionalExtension, params};
use vedette_event::Time;

use super::{AccountError, Accounts, Scopes, Secret, secret, users};

/// A session ends after so long, however busy.
pub const SESSION_HOURS: i64 = 12;
const MAX_SESSIONS_PER_USER: i64 = 16;

/// Somebody who is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub user: String,
    /// What they may do.
    pub scopes: Scopes,
    /// Until when.
    pub expires: Time,
}

impl Accounts {
    /// Begins a session of a user whose password was checked; a session that the browser still had (`old`) ends.
    /// Returns the secret for its cookie.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn begin_session(
        &self,
        name: &str,
        address: Option<IpAddr>,
        old: Option<&str>,
        now: Time,
    ) -> Result<(Secret, Session), AccountError> {
        let cookie = Secret::random("")?;
        let expires = now.plus_micros(SESSION_HOURS * 3_600_000_000);
        self.with(|tx| {
            if let Some(old) = old {
                tx.execute("DELETE FROM sessions WHERE hash = ?1", [secret::hash(old)])?;
            }
            tx.execute("DELETE FROM sessions WHERE expires <= ?1", [now.micros()])?;
            tx.execute(
                "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE user = ?1
                     ORDER BY created DESC LIMIT -1 OFFSET ?2)",
                params![name, MAX_SESSIONS_PER_USER - 1],
            )?;
            tx.execute(
                "INSERT INTO sessions (hash, user, created, expires, address) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    secret::hash(cookie.reveal()),
                    name,
                    now.micros(),
                    expires.micros(),
                    address.map(|address| address.to_string())
                ],
            )?;
            tx.execute("UPDATE users SET last_login = ?2 WHERE name = ?1", params![name, now.micros()])?;
            let scopes: String = tx.query_row("SELECT scopes FROM users WHERE name = ?1", [name], |row| row.get(0))?;
            let scopes = users::scopes(&scopes)?;
            Ok((cookie, Session { user: name.to_owned(), scopes, expires }))
        })
    }

    /// The session of a cookie, if it is one and has not ended.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn session(&self, cookie: &str, now: Time) -> Result<Option<Session>, AccountError> {
        self.read(|db| {
            let found = db
                .prepare_cached(
                    "SELECT users.name, scopes, expires FROM sessions JOIN users ON users.name = sessions.user
                     WHERE hash = ?1 AND expires > ?2",
                )?
                .query_row(params![secret::hash(cookie), now.micros()], |row| {
                    Ok((row.get(0)?, row.get::<_, String>(1)?, Time::from_micros(row.get(2)?)))
                })
                .optional()?;
            found
                .map(|(user, scopes, expires)| Ok(Session { user, scopes: users::scopes(&scopes)?, expires }))
                .transpose()
        })
    }

    /// Ends a session.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn log_out(&self, cookie: &str) -> Result<(), AccountError> {
        self.with(|tx| {
            tx.execute("DELETE FROM sessions WHERE hash = ?1", [secret::hash(cookie)])?;
            Ok(())
        })
    }
}
