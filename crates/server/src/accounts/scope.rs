use std::{fmt, str::FromStr};

/// One thing an account or token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Look at everything.
    Read,
    /// Work on alerts.
    Write,
    /// Send events.
    Ingest,
    /// Manage accounts and tokens.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 4] = [Scope::Read, Scope::Write, Scope::Ingest, Scope::Admin];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Ingest => "ingest",
            Scope::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Scope::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a scope: read, write, ingest or admin"))
    }
}

/// A set of scopes. `write` includes `read`; `admin` includes both and may give out every scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Everything.
    pub const ALL: Scopes = Scopes(0b1111);

    /// True if it may do that.
    pub fn allows(self, scope: Scope) -> bool {
        let has = |scope: Scope| self.0 & 1 << scope as u8 != 0;
        match scope {
            Scope::Read => has(Scope::Read) || has(Scope::Write) || has(Scope::Admin),
            Scope::Write => has(Scope::Write) || has(Scope::Admin),
            Scope::Ingest | Scope::Admin => has(scope),
        }
    }

    /// True if it may do nothing.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if whoever has these scopes may hand out those.
    pub fn may_give(self, other: Scopes) -> bool {
        self.allows(Scope::Admin) || other.iter().all(|scope| self.allows(scope))
    }

    /// The scopes in it.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |&scope| self.0 & 1 << scope as u8 != 0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Scopes(scopes.into_iter().fold(0, |set, scope| set | 1 << scope as u8))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Scopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').filter(|name| !name.is_empty()).map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_includes_what() {
        let cases = [
            ("read", "read"),
            ("write", "read,write"),
            ("ingest", "ingest"),
            ("admin", "read,write,admin"),
            ("read,ingest", "read,ingest"),
        ];
        for (given, allowed) in cases {
            let given: Scopes = given.parse().unwrap();
            let allows: Scopes = Scope::ALL.into_iter().filter(|&scope| given.allows(scope)).collect();
            assert_eq!(allows.to_string(), allowed);
        }
        let [write, ingest, admin]: [Scopes; 3] = ["write", "ingest", "admin"].map(|name| name.parse().unwrap());
        assert!(!write.may_give(ingest) && !write.may_give(admin) && admin.may_give(ingest));
        assert!("read,root".parse::<Scopes>().is_err());
    }
}
