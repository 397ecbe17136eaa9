//! Just enough of Rust's lexical rules to see the code of a file without its comments and literals, and to find where
//! its functions begin and end. Line numbers stay true: what is blanked out keeps its line breaks.

/// A function's name, its signature up to the body, and its lines, both counted from 1.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) signature: String,
    pub(crate) first_line: usize,
    pub(crate) last_line: usize,
}

impl Function {
    pub(crate) fn lines(&self) -> usize {
        self.last_line - self.first_line + 1
    }
}

/// Replaces comments and the insides of string and character literals by blanks.
pub(crate) fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = match next {
            '/' => comment(rest),
            '"' => string(rest),
            '\'' => character(rest),
            'r' | 'b' if !out.ends_with(is_word) => raw_string(rest),
            _ => 0,
        };
        if skipped == 0 {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            out.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    out
}

/// Letters, digits and `_`: what a word of Rust is made of.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn comment(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if !text.starts_with("/*") {
        return 0;
    }
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal, told from a lifetime by its closing quote.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |end| end + 4),
        Some(_) => chars.next().filter(|&(_, c)| c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

/// `r"…"`, `r#"…"#`, `br"…"`; also `b"…"` and `b'…'`, whose prefix is skipped with them.
fn raw_string(text: &str) -> usize {
    let prefix = text.find(|c| c != 'r' && c != 'b').unwrap_or(text.len()).min(2);
    let hashes = text[prefix..].bytes().take_while(|&b| b == b'#').count();
    let body = prefix + hashes;
    let after = &text[body..];
    if text[..prefix].contains('r') && after.starts_with('"') {
        let close = format!("\"{}", "#".repeat(hashes));
        return after[1..]
            .find(&close)
            .map_or(text.len(), |end| body + 1 + end + close.len());
    }
    match after.chars().next() {
        Some('"') if text.starts_with('b') && hashes == 0 => body + string(after),
        Some('\'') if text.starts_with('b') && hashes == 0 => match character(after) {
            0 => 0,
            length => body + length,
        },
        _ => 0,
    }
}

/// The functions of blanked code that have a body, nested ones included.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let name: String = code[at + 3..].chars().take_while(|&c| is_word(c)).collect();
        if code[..at].ends_with(is_word) || name.is_empty() {
            continue;
        }
        let Some(open) = code[at..].find(['{', ';']).map(|open| at + open) else {
            continue;
        };
        if code[open..].starts_with('{') {
            let line = |position: usize| code[..position].matches('\n').count() + 1;
            let close = matching_brace(code, open);
            let signature = code[at..open].to_owned();
            found.push(Function {
                name,
                signature,
                first_line: line(at),
                last_line: line(close),
            });
        }
    }
    found
}

fn matching_brace(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return open + at;
        }
    }
    code.len()
}

/// The part of a file before its inline test module: what a reader of the code meets.
pub(crate) fn without_tests(text: &str) -> &str {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    &text[..end]
}

#[test]
fn literals_and_comments_are_blanked_and_lines_stay() {
    let text =
        "a // fn x\n\"fn { \\\" y\" 'c' '\\'' &'a b /* { /* */ \n } */ r#\"fn \"z\" {\"# b\"}\" br\"{\" b'{' robin b";
    let code = blank(text);
    assert_eq!(code.len(), text.len());
    assert_eq!(
        code.split_whitespace().collect::<Vec<_>>(),
        ["a", "&'a", "b", "robin", "b"]
    );
    assert_eq!(code.matches('\n').count(), 2);
}

#[test]
fn a_function_ends_at_its_closing_brace() {
    let code = "fn a() {\n  if x { y }\n}\nfn decl();\nfn b(f: F) -> G\nwhere\n{\n}\n";
    let found = functions(code);
    let lines: Vec<_> = found
        .iter()
        .map(|f| (f.name.as_str(), f.first_line, f.last_line))
        .collect();
    assert_eq!(lines, [("a", 1, 3), ("b", 5, 8)]);
}
