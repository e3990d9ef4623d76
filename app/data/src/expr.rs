//! Predicates on columns in SQL syntax: `"W1 - W2 > 0.8 AND CLASS = 'QSO'"`.
//!
//! What SQL's WHERE has for one table: comparisons, `AND OR NOT`, `BETWEEN`, `IN (...)`, `LIKE`
//! (`%` and `_`; `ILIKE` without regard to case), `IS [NOT] NULL`, `+ - * / %`, functions of
//! numbers and text. Names are found without regard to case, an exact match first; `"quoted"`
//! names may hold anything.
//!
//! Logic is three-valued as in SQL, and NaN counts as null: FITS, CSV and VOTable say "no value"
//! in different ways, and a predicate must not select other rows because of the format. Division
//! by zero and the logarithm of a negative number are null.
//!
//! Integers are compared and added as integers (128 bits), so 64-bit ids are exact, also against
//! a number with a decimal point. A literal beside an `f32` column is rounded to `f32` first:
//! `mag = 11.9` finds what is shown as 11.9.
//!
//! Each node is evaluated for all rows at once; 1 M rows of `a - b > 500 AND c = 'QSO'` take
//! about 20 ms. polars' own SQL was not taken: it needs the lazy engine (4 minutes of compile
//! time), and its errors name neither place nor column.

use std::borrow::Cow;
use std::cmp::Ordering;

use polars::prelude::*;

use crate::{Error, Result, RowSet, Table};

/// A parsed predicate or numeric expression.
#[derive(Clone, Debug)]
pub struct Expr {
    text: String,
    node: Node,
}

impl Expr {
    /// Parse.
    ///
    /// # Errors
    /// [`crate::Error::Expr`] with the place and what was expected.
    pub fn parse(text: &str) -> Result<Self> {
        let tokens = tokens(text)?;
        if tokens.len() == 1 {
            return Err(Error::Expr("is empty; write for example \"W1 - W2 > 0.8 AND CLASS = 'QSO'\"".into()));
        }
        let mut p = Parser { tokens, at: 0, depth: 0 };
        let node = p.or()?;
        match p.peek() {
            Token::End => Ok(Self { text: text.into(), node }),
            _ => Err(p.expected("AND, OR or the end")),
        }
    }
    /// Rows for which it is true (null is not true).
    ///
    /// # Errors
    /// [`crate::Error::NoColumn`], [`crate::Error::Expr`].
    pub fn rows(&self, table: &Table) -> Result<RowSet> {
        let n = table.rows();
        Ok(match eval(&self.node, table)? {
            Value::Bools(v) => RowSet::from_fn(n, |i| v[i] == TRUE),
            Value::Const(Lit::Bool(true)) => RowSet::full(n),
            Value::Const(Lit::Bool(false) | Lit::Null) => RowSet::empty(n),
            other => {
                return Err(Error::Expr(format!(
                    "'{}' is {}, not a condition; compare it with something",
                    self.text.trim(),
                    other.kind()
                )));
            }
        })
    }
    /// Value of a numeric expression for each row; NaN where null. For features and axes
    /// (`"g - r"`).
    ///
    /// # Errors
    /// As [`Expr::rows`].
    pub fn numbers(&self, table: &Table) -> Result<Vec<f64>> {
        let n = table.rows();
        Ok(match eval(&self.node, table)? {
            Value::Bools(v) => v
                .into_iter()
                .map(|b| match b {
                    TRUE => 1.0,
                    FALSE => 0.0,
                    _ => f64::NAN,
                })
                .collect(),
            Value::Const(Lit::Bool(b)) => vec![f64::from(u8::from(b)); n],
            Value::Const(Lit::Null) => vec![f64::NAN; n],
            v => v.floats(n).ok_or_else(|| Error::Expr(format!("'{}' is text, not a number", self.text.trim())))?.into_owned(),
        })
    }
    /// The text it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// Names of the columns it uses, as written, each once.
    pub fn columns(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.node.columns(&mut out);
        out
    }
}

// ---------------------------------------------------------------------------------------- parse

#[derive(Clone, Debug, PartialEq)]
enum Lit {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
}

#[derive(Clone, Debug)]
enum Node {
    Lit(Lit),
    Column(String),
    Not(Box<Node>),
    Neg(Box<Node>),
    Binary(Op, Box<Node>, Box<Node>),
    IsNull(Box<Node>),
    In(Box<Node>, Vec<Lit>),
    Like(Box<Node>, String, bool),
    Call(&'static str, Vec<Node>),
}

impl Node {
    fn columns(&self, out: &mut Vec<String>) {
        match self {
            Self::Lit(_) => {}
            Self::Column(name) => {
                if !out.contains(name) {
                    out.push(name.clone());
                }
            }
            Self::Not(a) | Self::Neg(a) | Self::IsNull(a) | Self::In(a, _) | Self::Like(a, ..) => a.columns(out),
            Self::Binary(_, a, b) => {
                a.columns(out);
                b.columns(out);
            }
            Self::Call(_, args) => args.iter().for_each(|a| a.columns(out)),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Lit(Lit),
    Sign(&'static str),
    End,
}

/// Functions and how many arguments they take.
const FUNCTIONS: [(&str, usize); 24] = [
    ("abs", 1),
    ("log10", 1),
    ("log", 1),
    ("ln", 1),
    ("sqrt", 1),
    ("exp", 1),
    ("power", 2),
    ("pow", 2),
    ("lower", 1),
    ("upper", 1),
    ("length", 1),
    ("floor", 1),
    ("ceiling", 1),
    ("round", 1),
    ("mod", 2),
    ("sin", 1),
    ("cos", 1),
    ("tan", 1),
    ("asin", 1),
    ("acos", 1),
    ("atan", 1),
    ("atan2", 2),
    ("radians", 1),
    ("degrees", 1),
];

fn tokens(text: &str) -> Result<Vec<(Token, usize)>> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        let place = i + 1;
        if c.is_whitespace() {
            i += 1;
            continue;
        }
        if c == '\'' || c == '"' {
            let mut s = String::new();
            i += 1;
            loop {
                match chars.get(i) {
                    None => {
                        let what = if c == '\'' {
                            "text in quotes is not closed: a ' is missing"
                        } else {
                            "quoted name is not closed: a \" is missing"
                        };
                        return Err(Error::Expr(format!("position {place}: the {what}")));
                    }
                    Some(&q) if q == c => {
                        if chars.get(i + 1) == Some(&c) {
                            s.push(c);
                            i += 2;
                            continue;
                        }
                        i += 1;
                        break;
                    }
                    Some(&other) => {
                        s.push(other);
                        i += 1;
                    }
                }
            }
            out.push((if c == '\'' { Token::Lit(Lit::Text(s)) } else { Token::Quoted(s) }, place));
            continue;
        }
        if c.is_ascii_digit() || (c == '.' && chars.get(i + 1).is_some_and(char::is_ascii_digit)) {
            let start = i;
            while i < chars.len() && (chars[i].is_ascii_digit() || chars[i] == '.') {
                i += 1;
            }
            let mut float = chars[start..i].contains(&'.');
            if i < chars.len() && matches!(chars[i], 'e' | 'E') {
                let mut j = i + 1;
                if j < chars.len() && matches!(chars[j], '+' | '-') {
                    j += 1;
                }
                if j < chars.len() && chars[j].is_ascii_digit() {
                    while j < chars.len() && chars[j].is_ascii_digit() {
                        j += 1;
                    }
                    i = j;
                    float = true;
                }
            }
            let s: String = chars[start..i].iter().collect();
            let lit = if float {
                s.parse().ok().map(Lit::Float)
            } else {
                s.parse().ok().map(Lit::Int).or_else(|| s.parse().ok().map(Lit::Float))
            };
            match lit {
                Some(lit) => out.push((Token::Lit(lit), place)),
                None => return Err(Error::Expr(format!("position {place}: '{s}' is not a number"))),
            }
            continue;
        }
        if c.is_alphabetic() || c == '_' {
            let start = i;
            while i < chars.len()
                && (chars[i].is_alphanumeric()
                    || matches!(chars[i], '_' | '$')
                    || (chars[i] == '.' && chars.get(i + 1).is_some_and(|n| n.is_alphanumeric())))
            {
                i += 1;
            }
            out.push((Token::Word(chars[start..i].iter().collect()), place));
            continue;
        }
        let two: String = chars[i..(i + 2).min(chars.len())].iter().collect();
        let sign = match two.as_str() {
            "<>" | "!=" => "<>",
            "<=" => "<=",
            ">=" => ">=",
            "==" => "==",
            "&&" => "&&",
            "||" => "||",
            _ => match c {
                '<' => "<",
                '>' => ">",
                '=' => "=",
                '+' => "+",
                '-' | '−' => "-",
                '*' => "*",
                '/' => "/",
                '%' => "%",
                '(' => "(",
                ')' => ")",
                ',' => ",",
                '≤' => "<=",
                '≥' => ">=",
                '≠' => "<>",
                _ => {
                    return Err(Error::Expr(format!(
                        "position {place}: '{c}' has no meaning here; names with such letters go in \"double quotes\""
                    )));
                }
            },
        };
        i += if sign.len() == 2 && two.is_ascii() && !matches!(c, '≤' | '≥' | '≠') { 2 } else { 1 };
        out.push((
            Token::Sign(match sign {
                "==" => "=",
                other => other,
            }),
            place,
        ));
    }
    out.push((Token::End, chars.len() + 1));
    Ok(out)
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }
    fn next(&mut self) -> Token {
        let t = self.tokens[self.at].0.clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        t
    }
    fn expected(&self, what: &str) -> Error {
        let (token, place) = &self.tokens[self.at];
        let found = match token {
            Token::Word(w) => format!("'{w}'"),
            Token::Quoted(w) => format!("\"{w}\""),
            Token::Lit(Lit::Text(t)) => format!("the text '{t}'"),
            Token::Lit(Lit::Int(v)) => v.to_string(),
            Token::Lit(Lit::Float(v)) => v.to_string(),
            Token::Lit(_) => "a value".into(),
            Token::Sign(s) => format!("'{s}'"),
            Token::End => "the end".into(),
        };
        Error::Expr(format!("position {place}: expected {what}, found {found}"))
    }
    fn word(&mut self, word: &str) -> bool {
        let yes = matches!(self.peek(), Token::Word(w) if w.eq_ignore_ascii_case(word));
        if yes {
            self.next();
        }
        yes
    }
    fn sign(&mut self, sign: &str) -> bool {
        let yes = matches!(self.peek(), Token::Sign(s) if *s == sign);
        if yes {
            self.next();
        }
        yes
    }
    fn or(&mut self) -> Result<Node> {
        self.depth += 1;
        if self.depth > 100 {
            return Err(Error::Expr("has more than 100 parentheses inside each other".into()));
        }
        let mut a = self.and()?;
        while self.word("OR") || self.sign("||") {
            a = Node::Binary(Op::Or, a.into(), self.and()?.into());
        }
        self.depth -= 1;
        Ok(a)
    }
    fn and(&mut self) -> Result<Node> {
        let mut a = self.not()?;
        while self.word("AND") || self.sign("&&") {
            a = Node::Binary(Op::And, a.into(), self.not()?.into());
        }
        Ok(a)
    }
    fn not(&mut self) -> Result<Node> {
        let mut flip = false;
        while self.word("NOT") {
            flip = !flip;
        }
        let a = self.comparison()?;
        Ok(if flip { Node::Not(a.into()) } else { a })
    }
    fn comparison(&mut self) -> Result<Node> {
        let mut a = self.sum()?;
        loop {
            let op = match self.peek() {
                Token::Sign("=") => Op::Eq,
                Token::Sign("<>") => Op::Ne,
                Token::Sign("<") => Op::Lt,
                Token::Sign("<=") => Op::Le,
                Token::Sign(">") => Op::Gt,
                Token::Sign(">=") => Op::Ge,
                Token::Word(_) => {
                    let start = self.at;
                    if self.word("IS") {
                        let not = self.word("NOT");
                        if self.word("NULL") {
                            a = Node::IsNull(a.into());
                        } else if self.word("TRUE") {
                            a = Node::Call("is true", vec![a]);
                        } else if self.word("FALSE") {
                            a = Node::Call("is true", vec![Node::Not(a.into())]);
                        } else {
                            return Err(self.expected("NULL"));
                        }
                        if not {
                            a = Node::Not(a.into());
                        }
                        continue;
                    }
                    let not = self.word("NOT");
                    let b = if self.word("BETWEEN") {
                        let low = self.sum()?;
                        if !self.word("AND") {
                            return Err(self.expected("AND and the upper bound of BETWEEN"));
                        }
                        let high = self.sum()?;
                        Node::Binary(
                            Op::And,
                            Node::Binary(Op::Ge, a.clone().into(), low.into()).into(),
                            Node::Binary(Op::Le, a.into(), high.into()).into(),
                        )
                    } else if self.word("IN") {
                        Node::In(a.into(), self.list()?)
                    } else if matches!(self.peek(), Token::Word(w) if w.eq_ignore_ascii_case("LIKE") || w.eq_ignore_ascii_case("ILIKE"))
                    {
                        let fold = matches!(self.peek(), Token::Word(w) if w.eq_ignore_ascii_case("ILIKE"));
                        self.next();
                        match self.peek().clone() {
                            Token::Lit(Lit::Text(pattern)) => {
                                self.next();
                                Node::Like(a.into(), pattern, fold)
                            }
                            _ => return Err(self.expected("a pattern in quotes behind LIKE, for example 'NGC%'")),
                        }
                    } else if not {
                        return Err(self.expected("BETWEEN, IN or LIKE behind NOT"));
                    } else {
                        self.at = start;
                        return Ok(a);
                    };
                    a = if not { Node::Not(b.into()) } else { b };
                    continue;
                }
                _ => return Ok(a),
            };
            self.next();
            a = Node::Binary(op, a.into(), self.sum()?.into());
        }
    }
    fn list(&mut self) -> Result<Vec<Lit>> {
        if !self.sign("(") {
            return Err(self.expected("'(' and a list of values behind IN"));
        }
        let mut out = Vec::new();
        loop {
            let negative = self.sign("-");
            match (self.peek().clone(), negative) {
                (Token::Lit(Lit::Int(v)), true) => out.push(Lit::Int(-v)),
                (Token::Lit(Lit::Float(v)), true) => out.push(Lit::Float(-v)),
                (Token::Lit(lit), false) => out.push(lit),
                (Token::Word(w), false) if w.eq_ignore_ascii_case("NULL") => out.push(Lit::Null),
                (Token::Word(w), false) if w.eq_ignore_ascii_case("TRUE") => out.push(Lit::Bool(true)),
                (Token::Word(w), false) if w.eq_ignore_ascii_case("FALSE") => out.push(Lit::Bool(false)),
                _ => return Err(self.expected("a number or a text in 'single quotes'")),
            }
            self.next();
            if self.sign(",") {
                continue;
            }
            if self.sign(")") {
                return Ok(out);
            }
            return Err(self.expected("',' or ')'"));
        }
    }
    fn sum(&mut self) -> Result<Node> {
        let mut a = self.product()?;
        loop {
            let op = match self.peek() {
                Token::Sign("+") => Op::Add,
                Token::Sign("-") => Op::Sub,
                _ => return Ok(a),
            };
            self.next();
            a = Node::Binary(op, a.into(), self.product()?.into());
        }
    }
    fn product(&mut self) -> Result<Node> {
        let mut a = self.unary()?;
        loop {
            let op = match self.peek() {
                Token::Sign("*") => Op::Mul,
                Token::Sign("/") => Op::Div,
                Token::Sign("%") => Op::Rem,
                _ => return Ok(a),
            };
            self.next();
            a = Node::Binary(op, a.into(), self.unary()?.into());
        }
    }
    fn unary(&mut self) -> Result<Node> {
        let mut negative = false;
        loop {
            if self.sign("-") {
                negative = !negative;
            } else if !self.sign("+") {
                break;
            }
        }
        let a = self.primary()?;
        Ok(match (negative, a) {
            (false, a) => a,
            (true, Node::Lit(Lit::Int(v))) => Node::Lit(Lit::Int(-v)),
            (true, Node::Lit(Lit::Float(v))) => Node::Lit(Lit::Float(-v)),
            (true, a) => Node::Neg(a.into()),
        })
    }
    fn primary(&mut self) -> Result<Node> {
        match self.peek().clone() {
            Token::Lit(lit) => {
                self.next();
                Ok(Node::Lit(lit))
            }
            Token::Quoted(name) => {
                self.next();
                Ok(Node::Column(name))
            }
            Token::Sign("(") => {
                self.next();
                let a = self.or()?;
                if !self.sign(")") {
                    return Err(self.expected("')'"));
                }
                Ok(a)
            }
            Token::Word(w) => {
                let upper = w.to_ascii_uppercase();
                match upper.as_str() {
                    "NULL" | "TRUE" | "FALSE" => {
                        self.next();
                        return Ok(Node::Lit(match upper.as_str() {
                            "NULL" => Lit::Null,
                            t => Lit::Bool(t == "TRUE"),
                        }));
                    }
                    "AND" | "OR" | "NOT" | "IN" | "LIKE" | "ILIKE" | "BETWEEN" | "IS" => {
                        return Err(self.expected("a column, a number or a text"));
                    }
                    _ => {}
                }
                let call = matches!(self.tokens.get(self.at + 1), Some((Token::Sign("("), _)));
                if !call {
                    self.next();
                    return Ok(Node::Column(w));
                }
                let lower = w.to_ascii_lowercase();
                let Some((name, count)) = FUNCTIONS.iter().find(|(n, _)| *n == lower) else {
                    let place = self.tokens[self.at].1;
                    let have = FUNCTIONS.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ");
                    return Err(Error::Expr(format!("position {place}: there is no function '{w}'; there are {have}")));
                };
                self.next();
                self.next();
                let mut args = vec![self.or()?];
                while self.sign(",") {
                    args.push(self.or()?);
                }
                if args.len() != *count {
                    return Err(self.expected(&format!("{count} argument(s) of {name}")));
                }
                if !self.sign(")") {
                    return Err(self.expected("')'"));
                }
                Ok(Node::Call(name, args))
            }
            _ => Err(self.expected("a column, a number or a text in 'single quotes'")),
        }
    }
}

// ----------------------------------------------------------------------------------- evaluation

const FALSE: u8 = 0;
const TRUE: u8 = 1;
const NULL: u8 = 2;

fn tri(b: bool) -> u8 {
    u8::from(b)
}

enum Value<'a> {
    Const(Lit),
    /// Integers and, where some are null, which.
    Ints(Vec<i128>, Option<Vec<bool>>),
    /// NaN is null. The flag: every value is an `f32`'s.
    Floats(Vec<f64>, bool),
    Text(Texts<'a>),
    Bools(Vec<u8>),
}

/// Texts of a column as they lie there, or changed ones.
enum Texts<'a> {
    Column(&'a StringChunked),
    Made(Vec<Option<String>>),
}

impl Texts<'_> {
    /// `f` of every row.
    fn map<T>(&self, mut f: impl FnMut(Option<&str>) -> T) -> Vec<T> {
        match self {
            Self::Column(c) => c.iter().map(f).collect(),
            Self::Made(v) => v.iter().map(|t| f(t.as_deref())).collect(),
        }
    }
    fn all(&self) -> Vec<Option<&str>> {
        match self {
            Self::Column(c) => c.iter().collect(),
            Self::Made(v) => v.iter().map(Option::as_deref).collect(),
        }
    }
}

impl Value<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Const(Lit::Text(_)) | Self::Text(_) => "text",
            Self::Const(Lit::Bool(_)) | Self::Bools(_) => "a condition",
            Self::Const(Lit::Null) => "null",
            _ => "a number",
        }
    }
    /// As doubles; none for text and conditions.
    fn floats(&self, n: usize) -> Option<Cow<'_, [f64]>> {
        Some(match self {
            Self::Const(Lit::Int(v)) => vec![*v as f64; n].into(),
            Self::Const(Lit::Float(v)) => vec![*v; n].into(),
            Self::Const(Lit::Null) => vec![f64::NAN; n].into(),
            Self::Floats(v, _) => Cow::Borrowed(v),
            Self::Ints(v, nulls) => match nulls {
                Some(nulls) => {
                    v.iter().zip(nulls).map(|(v, null)| if *null { f64::NAN } else { *v as f64 }).collect::<Vec<_>>().into()
                }
                None => v.iter().map(|v| *v as f64).collect::<Vec<_>>().into(),
            },
            _ => return None,
        })
    }
    fn is_number(&self) -> bool {
        matches!(self, Self::Const(Lit::Int(_) | Lit::Float(_) | Lit::Null) | Self::Ints(..) | Self::Floats(..))
    }
    fn is_int(&self) -> bool {
        matches!(self, Self::Const(Lit::Int(_)) | Self::Ints(..))
    }
    fn bools(&self, n: usize) -> Option<Cow<'_, [u8]>> {
        Some(match self {
            Self::Bools(v) => Cow::Borrowed(v),
            Self::Const(Lit::Bool(b)) => vec![tri(*b); n].into(),
            Self::Const(Lit::Null) => vec![NULL; n].into(),
            _ => return None,
        })
    }
    /// The integer of row `i`; none for null.
    fn int(&self, i: usize) -> Option<i128> {
        match self {
            Self::Const(Lit::Int(v)) => Some(*v),
            Self::Ints(v, nulls) => (!nulls.as_ref().is_some_and(|n| n[i])).then(|| v[i]),
            _ => None,
        }
    }
}

fn column<'a>(name: &str, table: &'a Table) -> Result<Value<'a>> {
    let column = table.column(name)?;
    let ints = |it: &mut dyn Iterator<Item = Option<i128>>| {
        let mut values = Vec::with_capacity(column.len());
        let mut nulls = if column.null_count() > 0 { Some(Vec::with_capacity(column.len())) } else { None };
        for v in it {
            values.push(v.unwrap_or(0));
            if let Some(nulls) = &mut nulls {
                nulls.push(v.is_none());
            }
        }
        Value::Ints(values, nulls)
    };
    Ok(match column.dtype() {
        DataType::Int8 => ints(&mut column.i8()?.iter().map(|v| v.map(i128::from))),
        DataType::UInt8 => ints(&mut column.u8()?.iter().map(|v| v.map(i128::from))),
        DataType::Int16 => ints(&mut column.i16()?.iter().map(|v| v.map(i128::from))),
        DataType::UInt16 => ints(&mut column.u16()?.iter().map(|v| v.map(i128::from))),
        DataType::Int32 => ints(&mut column.i32()?.iter().map(|v| v.map(i128::from))),
        DataType::UInt32 => ints(&mut column.u32()?.iter().map(|v| v.map(i128::from))),
        DataType::Int64 => ints(&mut column.i64()?.iter().map(|v| v.map(i128::from))),
        DataType::UInt64 => ints(&mut column.u64()?.iter().map(|v| v.map(i128::from))),
        DataType::Float32 => Value::Floats(column.f32()?.iter().map(|v| v.map_or(f64::NAN, f64::from)).collect(), true),
        DataType::Float64 => Value::Floats(column.f64()?.iter().map(|v| v.unwrap_or(f64::NAN)).collect(), false),
        DataType::Boolean => Value::Bools(column.bool()?.iter().map(|v| v.map_or(NULL, tri)).collect()),
        DataType::String => Value::Text(Texts::Column(column.str()?)),
        DataType::List(_) => return Err(Error::Expr(format!("column '{name}' holds arrays, which cannot be compared"))),
        other => return Err(Error::Expr(format!("column '{name}' is of type {other}, which cannot be compared"))),
    })
}

fn eval<'a>(node: &Node, table: &'a Table) -> Result<Value<'a>> {
    let n = table.rows();
    Ok(match node {
        Node::Lit(lit) => Value::Const(lit.clone()),
        Node::Column(name) => column(name, table)?,
        Node::Not(a) => {
            let v = eval(a, table)?;
            let b = v.bools(n).ok_or_else(|| Error::Expr(format!("NOT needs a condition, but its operand is {}", v.kind())))?;
            Value::Bools(b.iter().map(|b| if *b == NULL { NULL } else { 1 - b }).collect())
        }
        Node::Neg(a) => match eval(a, table)? {
            Value::Ints(mut v, nulls) => {
                v.iter_mut().for_each(|v| *v = v.wrapping_neg());
                Value::Ints(v, nulls)
            }
            Value::Floats(mut v, single) => {
                v.iter_mut().for_each(|v| *v = -*v);
                Value::Floats(v, single)
            }
            Value::Const(Lit::Int(v)) => Value::Const(Lit::Int(-v)),
            Value::Const(Lit::Float(v)) => Value::Const(Lit::Float(-v)),
            Value::Const(Lit::Null) => Value::Const(Lit::Null),
            other => return Err(Error::Expr(format!("'-' needs a number, but its operand is {}", other.kind()))),
        },
        Node::Binary(op @ (Op::And | Op::Or), a, b) => {
            let (a, b) = (eval(a, table)?, eval(b, table)?);
            let word = if *op == Op::And { "AND" } else { "OR" };
            let need = |v: &Value| Error::Expr(format!("{word} needs conditions on both sides, but one is {}", v.kind()));
            let x = a.bools(n).ok_or_else(|| need(&a))?;
            let y = b.bools(n).ok_or_else(|| need(&b))?;
            let and = *op == Op::And;
            Value::Bools(
                x.iter()
                    .zip(y.iter())
                    .map(|(x, y)| match (*x, *y) {
                        (FALSE, _) | (_, FALSE) if and => FALSE,
                        (TRUE, _) | (_, TRUE) if !and => TRUE,
                        (NULL, _) | (_, NULL) => NULL,
                        (x, _) => x,
                    })
                    .collect(),
            )
        }
        Node::Binary(op @ (Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Rem), a, b) => {
            arithmetic(*op, &eval(a, table)?, &eval(b, table)?, n)?
        }
        Node::Binary(op, a, b) => compare(*op, &eval(a, table)?, &eval(b, table)?, n)?,
        Node::IsNull(a) => Value::Bools(match eval(a, table)? {
            Value::Const(lit) => vec![tri(lit == Lit::Null); n],
            Value::Ints(_, None) => vec![FALSE; n],
            Value::Ints(_, Some(nulls)) => nulls.into_iter().map(tri).collect(),
            Value::Floats(v, _) => v.into_iter().map(|v| tri(v.is_nan())).collect(),
            Value::Text(v) => v.map(|v| tri(v.is_none())),
            Value::Bools(v) => v.into_iter().map(|v| tri(v == NULL)).collect(),
        }),
        Node::In(a, list) => {
            let v = eval(a, table)?;
            is_in(&v, list, n)?
        }
        Node::Like(a, pattern, fold) => {
            let v = eval(a, table)?;
            let fold_text = |s: &str| if *fold { s.to_lowercase() } else { s.to_owned() };
            let pattern: Vec<char> = fold_text(pattern).chars().collect();
            match v {
                Value::Text(v) => Value::Bools(v.map(|t| match t {
                    Some(t) if *fold => tri(like(&pattern, &t.to_lowercase())),
                    Some(t) => tri(like(&pattern, t)),
                    None => NULL,
                })),
                Value::Const(Lit::Text(t)) => Value::Const(Lit::Bool(like(&pattern, &fold_text(&t)))),
                Value::Const(Lit::Null) => Value::Const(Lit::Null),
                other => return Err(Error::Expr(format!("LIKE needs text, but its left side is {}", other.kind()))),
            }
        }
        Node::Call("is true", args) => {
            let v = eval(&args[0], table)?;
            let b = v.bools(n).ok_or_else(|| Error::Expr(format!("IS TRUE needs a condition, not {}", v.kind())))?;
            Value::Bools(b.iter().map(|b| tri(*b == TRUE)).collect())
        }
        Node::Call(name, args) => call(name, args, table, n)?,
    })
}

fn arithmetic<'a>(op: Op, a: &Value, b: &Value, n: usize) -> Result<Value<'a>> {
    for v in [a, b] {
        if !v.is_number() {
            return Err(Error::Expr(format!("'+ - * / %' need numbers, but one side is {}", v.kind())));
        }
    }
    if a.is_int() && b.is_int() && op != Op::Div {
        let f = |x: i128, y: i128| match op {
            Op::Add => x.checked_add(y),
            Op::Sub => x.checked_sub(y),
            Op::Mul => x.checked_mul(y),
            _ => x.checked_rem(y),
        };
        if let (Value::Const(Lit::Int(x)), Value::Const(Lit::Int(y))) = (a, b) {
            return Ok(Value::Const(f(*x, *y).map_or(Lit::Null, Lit::Int)));
        }
        let mut values = Vec::with_capacity(n);
        let mut nulls = Vec::with_capacity(n);
        for i in 0..n {
            let v = a.int(i).zip(b.int(i)).and_then(|(x, y)| f(x, y));
            values.push(v.unwrap_or(0));
            nulls.push(v.is_none());
        }
        let nulls = nulls.contains(&true).then_some(nulls);
        return Ok(Value::Ints(values, nulls));
    }
    let f = |x: f64, y: f64| match op {
        Op::Add => x + y,
        Op::Sub => x - y,
        Op::Mul => x * y,
        Op::Div if y == 0.0 => f64::NAN,
        Op::Div => x / y,
        _ => x % y,
    };
    let scalar = |v: &Value| match v {
        Value::Const(Lit::Int(v)) => Some(*v as f64),
        Value::Const(Lit::Float(v)) => Some(*v),
        _ => None,
    };
    let none = || Error::Expr("needs numbers".into());
    Ok(match (scalar(a), scalar(b)) {
        (Some(x), Some(y)) => Value::Const(Lit::Float(f(x, y))),
        (None, Some(y)) => Value::Floats(a.floats(n).ok_or_else(none)?.iter().map(|x| f(*x, y)).collect(), false),
        (Some(x), None) => Value::Floats(b.floats(n).ok_or_else(none)?.iter().map(|y| f(x, *y)).collect(), false),
        (None, None) => {
            let (x, y) = (a.floats(n).ok_or_else(none)?, b.floats(n).ok_or_else(none)?);
            Value::Floats(x.iter().zip(y.iter()).map(|(x, y)| f(*x, *y)).collect(), false)
        }
    })
}

/// An integer beside a double, exactly.
fn int_float(x: i128, y: f64) -> Option<Ordering> {
    if y.is_nan() {
        return None;
    }
    if y.abs() >= 1e30 {
        return Some(if y > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let floor = y.floor();
    Some(x.cmp(&(floor as i128)).then(if y > floor { Ordering::Less } else { Ordering::Equal }))
}

fn holds(op: Op, o: Ordering) -> bool {
    match op {
        Op::Eq => o == Ordering::Equal,
        Op::Ne => o != Ordering::Equal,
        Op::Lt => o == Ordering::Less,
        Op::Le => o != Ordering::Greater,
        Op::Gt => o == Ordering::Greater,
        _ => o != Ordering::Less,
    }
}

fn answer(op: Op, o: Option<Ordering>) -> u8 {
    o.map_or(NULL, |o| tri(holds(op, o)))
}

fn compare<'a>(op: Op, a: &Value, b: &Value, n: usize) -> Result<Value<'a>> {
    let mixed = || {
        let hint = match (a, b) {
            (Value::Text(_), Value::Const(_)) | (Value::Const(_), Value::Text(_)) => "; texts are written in 'single quotes'",
            (_, Value::Const(Lit::Text(_))) | (Value::Const(Lit::Text(_)), _) => "; numbers are written without quotes",
            _ => "",
        };
        Error::Expr(format!("{} cannot be compared with {}{hint}", a.kind(), b.kind()))
    };
    if matches!(a, Value::Const(Lit::Null)) || matches!(b, Value::Const(Lit::Null)) {
        return Ok(Value::Bools(vec![NULL; n]));
    }
    let out: Vec<u8> = match (a, b) {
        (Value::Const(Lit::Text(x)), Value::Const(Lit::Text(y))) => return Ok(Value::Const(Lit::Bool(holds(op, x.cmp(y))))),
        (Value::Text(v), Value::Const(Lit::Text(t))) => v.map(|v| answer(op, v.map(|v| v.cmp(t.as_str())))),
        (Value::Const(Lit::Text(t)), Value::Text(v)) => v.map(|v| answer(op, v.map(|v| t.as_str().cmp(v)))),
        (Value::Text(x), Value::Text(y)) => {
            x.all().into_iter().zip(y.all()).map(|(x, y)| answer(op, x.zip(y).map(|(x, y)| x.cmp(y)))).collect()
        }
        _ if a.bools(0).is_some() || b.bools(0).is_some() => {
            // A condition beside TRUE, FALSE, 1 or 0.
            let as_bools = |v: &Value| match v {
                Value::Const(Lit::Int(i @ (0 | 1))) => Some(vec![*i as u8; n]),
                v => v.bools(n).map(Cow::into_owned),
            };
            let (x, y) = (as_bools(a).ok_or_else(mixed)?, as_bools(b).ok_or_else(mixed)?);
            x.iter().zip(&y).map(|(x, y)| if *x == NULL || *y == NULL { NULL } else { tri(holds(op, x.cmp(y))) }).collect()
        }
        _ if !a.is_number() || !b.is_number() => return Err(mixed()),
        (Value::Const(x), Value::Const(y)) => {
            let o = match (x, y) {
                (Lit::Int(x), Lit::Int(y)) => Some(x.cmp(y)),
                (Lit::Int(x), Lit::Float(y)) => int_float(*x, *y),
                (Lit::Float(x), Lit::Int(y)) => int_float(*y, *x).map(Ordering::reverse),
                (Lit::Float(x), Lit::Float(y)) => x.partial_cmp(y),
                _ => None,
            };
            return Ok(Value::Const(o.map_or(Lit::Null, |o| Lit::Bool(holds(op, o)))));
        }
        (Value::Ints(v, None), Value::Const(Lit::Int(c))) => v.iter().map(|v| tri(holds(op, v.cmp(c)))).collect(),
        _ if a.is_int() && b.is_int() => (0..n).map(|i| answer(op, a.int(i).zip(b.int(i)).map(|(x, y)| x.cmp(&y)))).collect(),
        (Value::Floats(v, single), Value::Const(c)) => {
            let c = near(c, *single);
            v.iter().map(|v| answer(op, v.partial_cmp(&c))).collect()
        }
        (Value::Const(c), Value::Floats(v, single)) => {
            let c = near(c, *single);
            v.iter().map(|v| answer(op, c.partial_cmp(v))).collect()
        }
        (Value::Floats(x, _), Value::Floats(y, _)) => x.iter().zip(y).map(|(x, y)| answer(op, x.partial_cmp(y))).collect(),
        (_, Value::Floats(y, _)) => (0..n).map(|i| answer(op, a.int(i).and_then(|x| int_float(x, y[i])))).collect(),
        (Value::Floats(x, _), _) => {
            (0..n).map(|i| answer(op, b.int(i).and_then(|y| int_float(y, x[i])).map(Ordering::reverse))).collect()
        }
        (_, Value::Const(Lit::Float(y))) => (0..n).map(|i| answer(op, a.int(i).and_then(|x| int_float(x, *y)))).collect(),
        (Value::Const(Lit::Float(x)), _) => {
            (0..n).map(|i| answer(op, b.int(i).and_then(|y| int_float(y, *x)).map(Ordering::reverse))).collect()
        }
        _ => return Err(mixed()),
    };
    Ok(Value::Bools(out))
}

/// A literal as a double, rounded to `f32` first where the other side is one.
fn near(c: &Lit, single: bool) -> f64 {
    let c = match c {
        Lit::Int(v) => *v as f64,
        Lit::Float(v) => *v,
        _ => f64::NAN,
    };
    if single { f64::from(c as f32) } else { c }
}

fn is_in<'a>(v: &Value, list: &[Lit], n: usize) -> Result<Value<'a>> {
    let has_null = list.contains(&Lit::Null);
    let verdict = |found: bool| match (found, has_null) {
        (true, _) => TRUE,
        (false, true) => NULL,
        (false, false) => FALSE,
    };
    let wrong = |lit: &Lit| Error::Expr(format!("IN compares {} with {}", v.kind(), Value::Const(lit.clone()).kind()));
    match v {
        Value::Text(texts) => {
            let mut set = std::collections::HashSet::new();
            for lit in list {
                match lit {
                    Lit::Text(t) => {
                        set.insert(t.as_str());
                    }
                    Lit::Null => {}
                    other => return Err(wrong(other)),
                }
            }
            Ok(Value::Bools(texts.map(|t| t.map_or(NULL, |t| verdict(set.contains(t))))))
        }
        Value::Ints(..) if list.iter().all(|l| matches!(l, Lit::Int(_) | Lit::Null)) => {
            let set: std::collections::HashSet<i128> =
                list.iter().filter_map(|l| if let Lit::Int(v) = l { Some(*v) } else { None }).collect();
            Ok(Value::Bools((0..n).map(|i| v.int(i).map_or(NULL, |v| verdict(set.contains(&v)))).collect()))
        }
        _ => {
            let mut out = vec![FALSE; n];
            for lit in list {
                let one = compare(Op::Eq, v, &Value::Const(lit.clone()), n)?;
                let one = one.bools(n).ok_or_else(|| wrong(lit))?;
                for (o, x) in out.iter_mut().zip(one.iter()) {
                    *o = match (*o, *x) {
                        (TRUE, _) | (_, TRUE) => TRUE,
                        (NULL, _) | (_, NULL) => NULL,
                        _ => FALSE,
                    };
                }
            }
            Ok(Value::Bools(out))
        }
    }
}

/// SQL's LIKE: `%` any letters, `_` one.
fn like(pattern: &[char], text: &str) -> bool {
    // Greedy with one point to come back to: linear but for the last `%`.
    let mut p = 0;
    let mut rest = text.chars();
    let mut back: Option<(usize, std::str::Chars)> = None;
    loop {
        if p < pattern.len() && pattern[p] == '%' {
            p += 1;
            back = Some((p, rest.clone()));
            continue;
        }
        let mut ahead = rest.clone();
        match ahead.next() {
            None => {
                if p == pattern.len() {
                    return true;
                }
            }
            Some(c) if p < pattern.len() && (pattern[p] == '_' || pattern[p] == c) => {
                p += 1;
                rest = ahead;
                continue;
            }
            Some(_) => {}
        }
        match &mut back {
            Some((at, from)) => {
                if from.next().is_none() {
                    return false;
                }
                p = *at;
                rest = from.clone();
            }
            None => return false,
        }
    }
}

fn call<'a>(name: &str, args: &[Node], table: &'a Table, n: usize) -> Result<Value<'a>> {
    let values: Vec<Value<'a>> = args.iter().map(|a| eval(a, table)).collect::<Result<_>>()?;
    if matches!(name, "lower" | "upper" | "length") {
        let change = |t: &str| if name == "lower" { t.to_lowercase() } else { t.to_uppercase() };
        return Ok(match &values[0] {
            Value::Text(v) if name == "length" => {
                let nulls = v.map(|t| t.is_none());
                let nulls = nulls.contains(&true).then_some(nulls);
                Value::Ints(v.map(|t| t.map_or(0, |t| t.chars().count() as i128)), nulls)
            }
            Value::Text(v) => Value::Text(Texts::Made(v.map(|t| t.map(change)))),
            Value::Const(Lit::Text(t)) if name == "length" => Value::Const(Lit::Int(t.chars().count() as i128)),
            Value::Const(Lit::Text(t)) => Value::Const(Lit::Text(change(t))),
            Value::Const(Lit::Null) => Value::Const(Lit::Null),
            other => return Err(Error::Expr(format!("{name} needs text, not {}", other.kind()))),
        });
    }
    for v in &values {
        if !v.is_number() {
            return Err(Error::Expr(format!("{name} needs numbers, not {}", v.kind())));
        }
    }
    if name == "abs" {
        match &values[0] {
            Value::Ints(v, nulls) => return Ok(Value::Ints(v.iter().map(|v| v.abs()).collect(), nulls.clone())),
            Value::Floats(v, single) => return Ok(Value::Floats(v.iter().map(|v| v.abs()).collect(), *single)),
            _ => {}
        }
    }
    let finite = |v: f64| if v.is_infinite() { f64::NAN } else { v };
    let one = |f: fn(f64) -> f64| -> Result<Value<'a>> {
        let x = values[0].floats(n).ok_or_else(|| Error::Expr(format!("{name} needs a number")))?;
        Ok(Value::Floats(x.iter().map(|v| f(*v)).collect(), false))
    };
    let two = |f: fn(f64, f64) -> f64| -> Result<Value<'a>> {
        let x = values[0].floats(n).ok_or_else(|| Error::Expr(format!("{name} needs a number")))?;
        let y = values[1].floats(n).ok_or_else(|| Error::Expr(format!("{name} needs a number")))?;
        Ok(Value::Floats(x.iter().zip(y.iter()).map(|(x, y)| f(*x, *y)).collect(), false))
    };
    let v = match name {
        "abs" => one(f64::abs)?,
        "log10" => one(f64::log10)?,
        "log" | "ln" => one(f64::ln)?,
        "sqrt" => one(f64::sqrt)?,
        "exp" => one(f64::exp)?,
        "floor" => one(f64::floor)?,
        "ceiling" => one(f64::ceil)?,
        "round" => one(f64::round)?,
        "sin" => one(f64::sin)?,
        "cos" => one(f64::cos)?,
        "tan" => one(f64::tan)?,
        "asin" => one(f64::asin)?,
        "acos" => one(f64::acos)?,
        "atan" => one(f64::atan)?,
        "radians" => one(f64::to_radians)?,
        "degrees" => one(f64::to_degrees)?,
        "atan2" => two(f64::atan2)?,
        "mod" => return arithmetic(Op::Rem, &values[0], &values[1], n),
        _ => two(f64::powf)?,
    };
    // log10(0) is no value, as in the databases that ADQL runs on.
    Ok(match v {
        Value::Floats(v, s) if matches!(name, "log10" | "log" | "ln") => Value::Floats(v.into_iter().map(finite).collect(), s),
        v => v,
    })
}
