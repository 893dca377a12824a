//! People and programs: who may come in.
//!
//! One SQLite file (`users.db`). Passwords are kept as argon2id, every other secret (links, sessions, tokens) is 256
//! random bits of which only a hash is kept. There is no default password: the first account is made with a one-time
//! link that the command line prints, further ones with links that an administrator makes.

mod file;
mod links;
mod password;
mod scope;
mod secret;
mod sessions;
mod throttle;
mod tokens;
mod users;

pub use file::Accounts;
pub use links::{LINK_HOURS, Link};
pub use password::MIN_PASSWORD;
pub use scope::{Scope, Scopes};
pub use secret::Secret;
pub use sessions::{SESSION_HOURS, Session};
pub use throttle::Throttle;
pub use tokens::{TOKEN_PREFIX, Token};
pub use users::User;
pub(crate) use users::is_name;

/// Why an account, link, session or token was not made or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The file could not be opened: another program's, a newer Vedette's, or the system refuses.
    #[error(transparent)]
    File(#[from] vedette_statefile::OpenError),
    /// SQLite refused.
    #[error("account file: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The system gives no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
    /// A password could not be hashed, or the stored hash cannot be read.
    #[error("password hash: {0}")]
    Hash(String),
    /// The link is unknown, was used, has expired, or the first account exists.
    #[error("this link is not valid: it was used, has expired, or was replaced by a newer one")]
    LinkInvalid,
    /// The user name cannot be used.
    #[error("a user name is 1 to 64 letters, digits, dots, dashes or underscores and starts with a letter or digit")]
    BadName,
    /// The password does not follow the rules.
    #[error("{0}")]
    WeakPassword(String),
    /// There is no such user.
    #[error("there is no user `{0}`")]
    UnknownUser(String),
    /// The last administrator would be gone.
    #[error("`{0}` is the last administrator; make another one first")]
    LastAdmin(String),
    /// Name or password are wrong.
    #[error("user name or password are wrong")]
    WrongPassword,
    /// Too many failures.
    #[error("too many failed attempts; try again in {seconds} s")]
    Throttled {
        /// How long to wait.
        seconds: u64,
    },
    /// A token's name, scopes or expiry cannot be used.
    #[error("{0}")]
    BadToken(String),
    /// There is no such token.
    #[error("there is no token {0}")]
    UnknownToken(i64),
}
