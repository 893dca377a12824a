//! A pattern's grammar (STIX 2.1, section 9.2 to 9.8).

use super::{
    Refusal,
    lex::{Token, lex},
};

/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 64;

/// An observation expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Observations {
    /// `[…]`
    One(Comparison),
    /// `… OR …`
    Any(Vec<Observations>),
    /// `… AND …`, `… FOLLOWEDBY …`
    Several,
    /// `… WITHIN …`, `… REPEATS …`
    Repeated,
    /// `… START … STOP …`
    Timed,
}

/// A comparison expression, within the brackets of one observation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Any(Vec<Comparison>),
    All(Vec<Comparison>),
    /// A property of an object type, an operator, and values: several for `IN`.
    Test {
        object: String,
        property: String,
        operator: String,
        values: Vec<String>,
    },
}

pub(super) fn parse(pattern: &str) -> Result<Observations, Refusal> {
    let tokens = lex(pattern)?;
    let end = pattern.chars().count() + 1;
    let mut parser = Parser { tokens, next: 0, end, depth: 0 };
    let parsed = parser.observations()?;
    if parser.peek().is_some() {
        return parser.wrong("nothing should follow");
    }
    Ok(parsed)
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn wrong<T>(&self, message: &str) -> Result<T, Refusal> {
        let at = self.tokens.get(self.next).map_or(self.end, |(_, at)| *at);
        Err(Refusal::Syntax(message.to_owned(), at))
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Sign(next)) if *next == sign);
        self.next += usize::from(is_it);
        is_it
    }

    /// Keywords are written in capitals.
    fn keyword(&mut self, keyword: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Word(next)) if next == keyword);
        self.next += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, sign: &str) -> Result<(), Refusal> {
        if self.sign(sign) { Ok(()) } else { self.wrong(&format!("`{sign}` should be here")) }
    }

    fn deeper(&mut self) -> Result<(), Refusal> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { self.wrong("nested more than 64 deep") } else { Ok(()) }
    }

    /// FOLLOWEDBY binds loosest, then OR, then AND.
    fn observations(&mut self) -> Result<Observations, Refusal> {
        let mut parsed = self.any_observation()?;
        while self.keyword("FOLLOWEDBY") {
            self.any_observation()?;
            parsed = Observations::Several;
        }
        Ok(parsed)
    }

    fn any_observation(&mut self) -> Result<Observations, Refusal> {
        let mut any = vec![self.all_observations()?];
        while self.keyword("OR") {
            any.push(self.all_observations()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Observations::Any(any) })
    }

    fn all_observations(&mut self) -> Result<Observations, Refusal> {
        let mut parsed = self.observation()?;
        while self.keyword("AND") {
            self.observation()?;
            parsed = Observations::Several;
        }
        Ok(parsed)
    }

    fn observation(&mut self) -> Result<Observations, Refusal> {
        let mut parsed = if self.sign("(") {
            self.deeper()?;
            let parsed = self.observations()?;
            self.depth -= 1;
            self.expect(")")?;
            parsed
        } else if self.sign("[") {
            let parsed = self.any()?;
            self.expect("]")?;
            Observations::One(parsed)
        } else {
            return self.wrong("`[` or `(` should be here");
        };
        loop {
            if self.keyword("WITHIN") {
                self.number()?;
                if !self.keyword("SECONDS") {
                    return self.wrong("`SECONDS` should be here");
                }
                parsed = Observations::Repeated;
            } else if self.keyword("REPEATS") {
                self.number()?;
                if !self.keyword("TIMES") {
                    return self.wrong("`TIMES` should be here");
                }
                parsed = Observations::Repeated;
            } else if self.keyword("START") {
                self.value()?;
                if !self.keyword("STOP") {
                    return self.wrong("`STOP` should be here");
                }
                self.value()?;
                parsed = Observations::Timed;
            } else {
                return Ok(parsed);
            }
        }
    }

    fn any(&mut self) -> Result<Comparison, Refusal> {
        let mut any = vec![self.all()?];
        while self.keyword("OR") {
            any.push(self.all()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Comparison::Any(any) })
    }

    fn all(&mut self) -> Result<Comparison, Refusal> {
        let mut all = vec![self.test()?];
        while self.keyword("AND") {
            all.push(self.test()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Comparison::All(all) })
    }

    fn test(&mut self) -> Result<Comparison, Refusal> {
        if self.sign("(") {
            self.deeper()?;
            let parsed = self.any()?;
            self.depth -= 1;
            self.expect(")")?;
            return Ok(parsed);
        }
        let exists = self.keyword("NOT") | self.keyword("EXISTS");
        let (object, property) = self.path()?;
        if exists {
            return Ok(Comparison::Test { object, property, operator: "EXISTS".to_owned(), values: Vec::new() });
        }
        let negated = self.keyword("NOT");
        let operator = match self.peek() {
            Some(Token::Sign(sign @ ("=" | "==" | "!=" | ">" | "<" | ">=" | "<="))) => (*sign).to_owned(),
            Some(Token::Word(word))
                if matches!(word.as_str(), "IN" | "LIKE" | "MATCHES" | "ISSUBSET" | "ISSUPERSET") =>
            {
                word.clone()
            }
            _ => return self.wrong("an operator should be here"),
        };
        self.next += 1;
        let values = if operator == "IN" { self.values()? } else { vec![self.value()?] };
        let operator = match operator.as_str() {
            _ if negated => "NOT".to_owned(),
            "==" => "=".to_owned(),
            _ => operator,
        };
        Ok(Comparison::Test { object, property, operator, values })
    }

    /// `object-type:property.'with quotes'[*].more`
    fn path(&mut self) -> Result<(String, String), Refusal> {
        let Some(Token::Word(object)) = self.peek().cloned() else {
            return self.wrong("an object's type should be here");
        };
        self.next += 1;
        self.expect(":")?;
        let mut property = String::new();
        loop {
            match self.peek().cloned() {
                Some(Token::Word(step) | Token::Text(step)) => property.push_str(&step),
                _ => return self.wrong("a property should be here"),
            }
            self.next += 1;
            while self.sign("[") {
                // Any element or one: for a look-up an element is found wherever it is.
                let is_index =
                    matches!(self.peek(), Some(Token::Word(_))) || matches!(self.peek(), Some(Token::Sign("*")));
                if !is_index {
                    return self.wrong("`*` or a number should be here");
                }
                self.next += 1;
                self.expect("]")?;
            }
            if !self.sign(".") {
                return Ok((object, property));
            }
            property.push('.');
        }
    }

    fn values(&mut self) -> Result<Vec<String>, Refusal> {
        self.expect("(")?;
        let mut values = vec![self.value()?];
        while self.sign(",") {
            values.push(self.value()?);
        }
        self.expect(")")?;
        Ok(values)
    }

    /// A constant, as text.
    fn value(&mut self) -> Result<String, Refusal> {
        let value = match self.peek() {
            Some(Token::Text(text) | Token::Typed(text)) => text.clone(),
            Some(Token::Word(word)) if word == "true" || word == "false" || is_number(word) => word.clone(),
            _ => return self.wrong("a value should be here"),
        };
        let is_word = matches!(self.peek(), Some(Token::Word(_)));
        self.next += 1;
        // The digits behind a number's point.
        if is_word && self.sign(".") {
            let Some(Token::Word(digits)) = self.peek().cloned() else { return self.wrong("digits should be here") };
            self.next += 1;
            return Ok(format!("{value}.{digits}"));
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<(), Refusal> {
        if matches!(self.peek(), Some(Token::Word(word)) if is_number(word)) {
            self.value().map(drop)
        } else {
            self.wrong("a number should be here")
        }
    }
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
