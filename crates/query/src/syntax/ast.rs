//! The syntax tree of the search box and the pipes.

/// A place in the query text, in bytes. All spans are equal, so that trees compare by meaning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl PartialEq for Span {
    fn eq(&self, _: &Span) -> bool {
        true
    }
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Span { start, end }
    }

    pub(crate) fn to(self, end: Span) -> Self {
        Span { start: self.start, end: end.end }
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start..self.end
    }
}

/// A whole query: a search, then stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Ast {
    /// The search box.
    pub search: Search,
    /// What follows each `|`.
    pub stages: Vec<Stage>,
}

/// A name as written, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// The field or column name.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// A search box predicate.
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// Every event: an empty box or `*`.
    All,
    /// A free word or phrase in the original text.
    Text(Pattern),
    /// A test of one field.
    Field(Name, Test),
    /// None of these.
    Not(Box<Search>),
    /// All of these.
    And(Vec<Search>),
    /// Any of these.
    Or(Vec<Search>),
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `field:*`: the event has it.
    Exists,
    /// `field:value`: a value, pattern or network.
    Is(Pattern),
    /// `field>=10`: one of `<`, `<=`, `>`, `>=`.
    Compare(Binary, Pattern),
    /// `field:[a TO b]` with square brackets for included and braces for excluded ends.
    Range(Bound, Bound),
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// `*`
    Open,
    /// `[value` or `value]`
    Included(Pattern),
    /// `{value` or `value}`
    Excluded(Pattern),
}

/// A value with wildcards.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Pattern {
    /// Literal text and wildcards; two texts are never neighbours.
    pub pieces: Vec<Piece>,
    /// Its place.
    pub span: Span,
}

/// A piece of a [`Pattern`].
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Literal text, never empty.
    Text(String),
    /// `*`: any text, also none.
    Any,
    /// `?`: exactly one character.
    One,
}

impl Pattern {
    /// The literal text, if there is no wildcard.
    pub fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// One stage and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What it does.
    pub kind: StageKind,
    /// Its place.
    pub span: Span,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq)]
pub enum StageKind {
    /// `where <expr>`
    Where(Expr),
    /// `search <search box>`
    Search(Search),
    /// `extend <name> = <expr>, …`
    Extend(Vec<Assign>),
    /// `project <name> [= <expr>], …`
    Project(Vec<Assign>),
    /// `project-away <name>, …`
    ProjectAway(Vec<Name>),
    /// `project-rename <new> = <old>, …`
    ProjectRename(Vec<(Name, Name)>),
    /// `summarize <aggregate>, … [by <expr>, …]`
    Summarize {
        /// The aggregates; none means the distinct groups.
        aggregates: Vec<Aggregate>,
        /// The groups.
        by: Vec<Assign>,
    },
    /// `sort <expr> [asc|desc], …`
    Sort(Vec<SortKey>),
    /// `take <n>`
    Take(u64),
    /// `top <n> by <expr> [asc|desc], …`
    Top(u64, Vec<SortKey>),
    /// `distinct <expr>, …`
    Distinct(Vec<Assign>),
    /// `count`
    Count,
    /// `join` and `lookup`
    Join(Join),
}

/// `[name =] expr`
#[derive(Clone, Debug, PartialEq)]
pub struct Assign {
    /// The name given to it.
    pub name: Option<Name>,
    /// What it is.
    pub value: Expr,
}

/// `[name =] function(arguments)`
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The name given to it.
    pub name: Option<Name>,
    /// The function, lower case.
    pub function: Name,
    /// Its arguments.
    pub arguments: Vec<Expr>,
    /// The whole.
    pub span: Span,
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// What to order by.
    pub value: Expr,
    /// The way.
    pub order: Order,
}

/// The way of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest first, absent values first.
    Ascending,
    /// Largest first, absent values last. The default, as in Kusto.
    Descending,
}

/// `join [kind=…] (query) on …` or `lookup [kind=…] table on …`
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Which rows remain.
    pub kind: JoinKind,
    /// The right side.
    pub right: JoinRight,
    /// The keys, left and right.
    pub on: Vec<On>,
}

/// Which rows of a join remain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Pairs only.
    Inner,
    /// Every left row.
    LeftOuter,
}

/// The right side of a join.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinRight {
    /// A query over the same events and time range.
    Query(Box<Ast>),
    /// A table given with the request.
    Table(Name),
}

/// A pair of join keys.
#[derive(Clone, Debug, PartialEq)]
pub struct On {
    /// The left column.
    pub left: Name,
    /// The right column.
    pub right: Name,
}

/// An expression and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its place.
    pub span: Span,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A field or column.
    Field(String),
    /// A constant.
    Literal(Literal),
    /// All of these.
    And(Vec<Expr>),
    /// Any of these.
    Or(Vec<Expr>),
    /// Not this.
    Not(Box<Expr>),
    /// Minus this.
    Negate(Box<Expr>),
    /// Two sides.
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `value in (…)`, `!in`, `in~`, `!in~`.
    In {
        /// What is looked for.
        value: Box<Expr>,
        /// The members.
        list: Vec<Expr>,
        /// `!in`
        negated: bool,
        /// `in~`: without regard to case.
        fold: bool,
    },
    /// `value in cidr("…", …)`
    InNetwork {
        /// The address.
        value: Box<Expr>,
        /// The networks.
        networks: Vec<(String, Span)>,
        /// `!in`
        negated: bool,
    },
    /// `value has_any (…)` and `has_all`.
    HasList {
        /// The text.
        value: Box<Expr>,
        /// The terms.
        list: Vec<Expr>,
        /// `has_all`
        all: bool,
    },
    /// `value between (low .. high)`, both ends included.
    Between {
        /// The value.
        value: Box<Expr>,
        /// The smallest.
        low: Box<Expr>,
        /// The largest.
        high: Box<Expr>,
        /// `!between`
        negated: bool,
    },
    /// `name(arguments)`, the name in lower case.
    Call(Name, Vec<Expr>),
    /// `value[index]`, from 0; negative from the end.
    Index(Box<Expr>, i64),
    /// `*`, as in `arg_max(@timestamp, *)`.
    Star,
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Absent.
    Null,
    /// A timespan in microseconds.
    Timespan(i64),
}

/// An operator with two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `=~`
    EqFold,
    /// `!~`
    NeFold,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `contains`, and so on: a text test, its negation, and whether case counts.
    Text(TextTest, bool, bool),
}

/// A text operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextTest {
    /// `contains`
    Contains,
    /// `has`
    Has,
    /// `hasprefix`
    HasPrefix,
    /// `startswith`
    StartsWith,
    /// `endswith`
    EndsWith,
    /// `matches regex`
    Regex,
}

impl Binary {
    /// As written.
    pub fn symbol(self) -> String {
        let plain = match self {
            Binary::Eq => "==",
            Binary::Ne => "!=",
            Binary::EqFold => "=~",
            Binary::NeFold => "!~",
            Binary::Lt => "<",
            Binary::Le => "<=",
            Binary::Gt => ">",
            Binary::Ge => ">=",
            Binary::Add => "+",
            Binary::Sub => "-",
            Binary::Mul => "*",
            Binary::Div => "/",
            Binary::Mod => "%",
            Binary::Text(TextTest::Regex, negated, _) => {
                return if negated { "!matches regex" } else { "matches regex" }.into();
            }
            Binary::Text(test, negated, sensitive) => {
                let (not, suffix) = (if negated { "!" } else { "" }, if sensitive { "_cs" } else { "" });
                return format!("{not}{}{suffix}", test.word());
            }
        };
        plain.to_owned()
    }
}

impl TextTest {
    fn word(self) -> &'static str {
        match self {
            TextTest::Contains => "contains",
            TextTest::Has => "has",
            TextTest::HasPrefix => "hasprefix",
            TextTest::StartsWith => "startswith",
            TextTest::EndsWith => "endswith",
            TextTest::Regex => "matches",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<(TextTest, bool)> {
        let (word, sensitive) = word.strip_suffix("_cs").map_or((word, false), |word| (word, true));
        let test = match word {
            "contains" => TextTest::Contains,
            "has" => TextTest::Has,
            "hasprefix" => TextTest::HasPrefix,
            "startswith" => TextTest::StartsWith,
            "endswith" => TextTest::EndsWith,
            _ => return None,
        };
        Some((test, sensitive))
    }
}
