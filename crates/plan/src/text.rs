//! The grammar of placeholders: `${NAME}`, `${A.B}`, `${f(1, 2)}`, `${x or "none"}`. Pure; what a name means is decided elsewhere.

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Literal(&'a str),
    Placeholder(Placeholder<'a>),
}

/// What stands between `${` and `}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placeholder<'a> {
    /// As it is written, with its braces.
    pub(crate) written: &'a str,
    pub(crate) expression: Expression<'a>,
    /// What stands for it where it is missing.
    pub(crate) or: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression<'a> {
    /// `a` or `a.b`.
    Name(&'a str, Option<&'a str>),
    Call(&'a str, Vec<&'a str>),
}

/// A fault, and the part of the text that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed<'a> {
    pub(crate) written: &'a str,
    pub(crate) why: String,
}

/// Takes a text apart. `$$` stands for a `$` before a brace.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Malformed<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find("${") {
        if rest[..begin].ends_with('$') {
            // The second $ is left out.
            pieces.push(Piece::Literal(&rest[..begin]));
            pieces.push(Piece::Literal("{"));
            rest = &rest[begin + 2..];
            continue;
        }
        if begin > 0 {
            pieces.push(Piece::Literal(&rest[..begin]));
        }
        let Some(end) = end(&rest[begin..]) else {
            return Err(Malformed {
                written: &rest[begin..],
                why: "this placeholder is not closed: write }".to_owned(),
            });
        };
        let written = &rest[begin..=begin + end];
        pieces.push(Piece::Placeholder(placeholder(written)?));
        rest = &rest[begin + end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

/// Where a placeholder is closed: not within quotes.
fn end(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '}' && !quoted).then_some(at)
    })
}

fn placeholder(written: &str) -> Result<Placeholder<'_>, Malformed<'_>> {
    let wrong = |why: &str| Malformed { written, why: why.to_owned() };
    let inner = written[2..written.len() - 1].trim();
    let (inner, or) = match inner.split_once(" or ") {
        Some((name, default)) => {
            let default = default.trim();
            let quoted = default.strip_prefix('"').and_then(|default| default.strip_suffix('"'));
            let Some(default) = quoted.filter(|default| !default.contains('"')) else {
                return Err(wrong("what follows `or` stands in quotes: ${x or \"none\"}"));
            };
            (name.trim(), Some(default))
        }
        None => (inner, None),
    };
    let expression = match inner.split_once('(') {
        Some((function, arguments)) => {
            let Some(arguments) = arguments.strip_suffix(')') else {
                return Err(wrong("the function's parentheses are not closed"));
            };
            let arguments =
                if arguments.trim().is_empty() { Vec::new() } else { arguments.split(',').map(str::trim).collect() };
            Expression::Call(function.trim(), arguments)
        }
        None => match inner.split_once('.') {
            Some((of, member)) => Expression::Name(of, Some(member)),
            None => Expression::Name(inner, None),
        },
    };
    let name = match &expression {
        Expression::Name(name, member) => {
            if member.is_some_and(|member| member.is_empty() || member.contains(char::is_whitespace)) {
                return Err(wrong("a name is missing behind the dot"));
            }
            name
        }
        Expression::Call(name, _) => name,
    };
    if !is_name(name) {
        return Err(wrong("a placeholder holds a name or a function: ${order}, ${account.uid}, ${int(1, 9)}"));
    }
    Ok(Placeholder { written, expression, or })
}

/// Letters, digits, `_` and `-`, beginning with a letter or `_`.
pub(crate) fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Placeholder<'_> {
        match pieces(text).unwrap().remove(0) {
            Piece::Placeholder(placeholder) => placeholder,
            literal @ Piece::Literal(_) => panic!("{literal:?}"),
        }
    }

    #[test]
    fn names_functions_and_defaults() {
        assert_eq!(one("${order}").expression, Expression::Name("order", None));
        assert_eq!(one("${ account.uid }").expression, Expression::Name("account", Some("uid")));
        assert_eq!(one("${int(1, 9)}").expression, Expression::Call("int", vec!["1", "9"]));
        assert_eq!(one("${uuid()}").expression, Expression::Call("uuid", vec![]));
        let default = one("${nonce or \"no}ne\"}");
        assert_eq!((default.expression, default.or), (Expression::Name("nonce", None), Some("no}ne")));
        assert_eq!(
            pieces("a $1 $${b} ${c}d").unwrap(),
            [
                Piece::Literal("a $1 $"),
                Piece::Literal("{"),
                Piece::Literal("b} "),
                Piece::Placeholder(one("${c}")),
                Piece::Literal("d")
            ]
        );
    }

    #[test]
    fn what_is_malformed_is_named() {
        let why = |text: &str| pieces(text).unwrap_err().why;
        insta::assert_snapshot!(why("a ${b"), @"this placeholder is not closed: write }");
        insta::assert_snapshot!(why("${}"), @"a placeholder holds a name or a function: ${order}, ${account.uid}, ${int(1, 9)}");
        insta::assert_snapshot!(why("${1 + 2}"), @"a placeholder holds a name or a function: ${order}, ${account.uid}, ${int(1, 9)}");
        insta::assert_snapshot!(why("${a.}"), @"a name is missing behind the dot");
        insta::assert_snapshot!(why("${int(1}"), @"the function's parentheses are not closed");
        insta::assert_snapshot!(why("${a or none}"), @r#"what follows `or` stands in quotes: ${x or "none"}"#);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"(\$\{|\}|"| or |\(|\)|,|\.|[a-z]|\PC){0,20}"#) {
            let _ = pieces(&text);
        }
    }
}
