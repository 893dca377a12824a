//! API tokens of programs.

use rusqlite::{OptionalExtension, Row, params};
use vedette_event::Time;

use super::{AccountError, Accounts, Scopes, Secret, secret, users};

/// Every token begins so, that secret scanners find it.
pub const TOKEN_PREFIX: &str = "vdt_";
const MAX_DAYS: i64 = 3650;
const MAX_TOKENS_PER_OWNER: i64 = 1000;

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// Who made it.
    pub owner: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Since when.
    pub created: Time,
    /// Until when.
    pub expires: Time,
    /// When it was last used, to the minute.
    pub last_used: Option<Time>,
}

impl Accounts {
    /// Makes a token; its secret is shown only now.
    ///
    /// # Errors
    /// If name, scopes or lifetime cannot be used.
    pub fn create_token(
        &self,
        owner: &str,
        name: &str,
        scopes: Scopes,
        days: i64,
        now: Time,
    ) -> Result<(Secret, Token), AccountError> {
        let bad = |message: String| Err(AccountError::BadToken(message));
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return bad("a token has a name of 1 to 100 characters that says what it is for".to_owned());
        }
        if scopes.is_empty() {
            return bad("a token has at least one scope: read, write, ingest or admin".to_owned());
        }
        if !(1..=MAX_DAYS).contains(&days) {
            return bad(format!("a token lives 1 to {MAX_DAYS} days"));
        }
        let token = Secret::random(TOKEN_PREFIX)?;
        let expires = now.plus_micros(days * 86_400_000_000);
        self.with(|tx| {
            tx.execute("DELETE FROM tokens WHERE owner = ?1 AND expires <= ?2", params![owner, now.micros()])?;
            let count: i64 = tx.query_row("SELECT count(*) FROM tokens WHERE owner = ?1", [owner], |row| row.get(0))?;
            if count >= MAX_TOKENS_PER_OWNER {
                return bad(format!("`{owner}` has {count} tokens; revoke some first"));
            }
            tx.execute(
                "INSERT INTO tokens (hash, owner, name, scopes, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![secret::hash(token.reveal()), owner, name, scopes.to_string(), now.micros(), expires.micros()],
            )?;
            let id = tx.last_insert_rowid();
            let name = name.to_owned();
            Ok((token, Token { id, owner: owner.to_owned(), name, scopes, created: now, expires, last_used: None }))
        })
    }

    /// The token with that secret, if there is one and it has not expired.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn token(&self, bearer: &str, now: Time) -> Result<Option<Token>, AccountError> {
        if !bearer.starts_with(TOKEN_PREFIX) || bearer.len() > 100 {
            return Ok(None);
        }
        let found = self.read(|db| {
            let found = db
                .prepare_cached(&format!("SELECT {COLUMNS} FROM tokens WHERE hash = ?1 AND expires > ?2"))?
                .query_row(params![secret::hash(bearer), now.micros()], |row| Ok(token(row)))
                .optional()?;
            found.transpose()
        })?;
        let Some(found) = found else { return Ok(None) };
        let minute = 60_000_000;
        if found.last_used.is_none_or(|last| last.plus_micros(minute) <= now) {
            self.with(|tx| {
                tx.execute("UPDATE tokens SET last_used = ?2 WHERE id = ?1", params![found.id, now.micros()])?;
                Ok(())
            })?;
        }
        Ok(Some(found))
    }

    /// Every token, or those of one owner.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn tokens(&self, owner: Option<&str>) -> Result<Vec<Token>, AccountError> {
        self.read(|db| {
            let mut rows =
                db.prepare_cached(&format!("SELECT {COLUMNS} FROM tokens WHERE ?1 IS NULL OR owner = ?1 ORDER BY id"))?;
            let mut rows = rows.query([owner])?;
            let mut tokens = Vec::new();
            while let Some(row) = rows.next()? {
                tokens.push(token(row)?);
            }
            Ok(tokens)
        })
    }

    /// Revokes a token; with an owner, only one of theirs.
    ///
    /// # Errors
    /// If there is no such token.
    pub fn revoke_token(&self, id: i64, owner: Option<&str>) -> Result<(), AccountError> {
        self.with(|tx| {
            let gone =
                tx.execute("DELETE FROM tokens WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)", params![id, owner])?;
            if gone == 0 { Err(AccountError::UnknownToken(id)) } else { Ok(()) }
        })
    }
}

const COLUMNS: &str = "id, owner, name, scopes, created, expires, last_used";

fn token(row: &Row<'_>) -> Result<Token, AccountError> {
    Ok(Token {
        id: row.get(0)?,
        owner: row.get(1)?,
        name: row.get(2)?,
        scopes: users::scopes(&row.get::<_, String>(3)?)?,
        created: Time::from_micros(row.get(4)?),
        expires: Time::from_micros(row.get(5)?),
        last_used: row.get::<_, Option<i64>>(6)?.map(Time::from_micros),
    })
}
