//! Reads Rust text just well enough to judge it: what is code, what is comment or string, where
//! functions begin and end. It is no parser; the rules in `tidy_rules` need no more.

/// Code with comments and the insides of strings blanked, line by line as in the file.
pub(crate) fn code_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => block_end(&chars, at),
            '"' => string_end(&chars, at),
            'r' | 'b' if starts_raw(&chars, at) => raw_end(&chars, at),
            '\'' => char_end(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        let blank = |c: &char| if *c == '\n' { '\n' } else { ' ' };
        out.extend(chars[at..end].iter().map(blank));
        at = end;
    }
    out
}

/// The same, with every item under `#[cfg(test)]` blanked too.
pub(crate) fn shipped_code(text: &str) -> String {
    let code = code_only(text);
    let mut out = String::with_capacity(code.len());
    let mut rest = code.as_str();
    while let Some(start) = rest.find("#[cfg(test)]") {
        let (before, item) = rest.split_at(start);
        let end = item_end(item);
        out.push_str(before);
        out.extend(item[..end].chars().filter(|&c| c == '\n'));
        rest = &item[end..];
    }
    out.push_str(rest);
    out
}

/// One function: its name, first line (from 1) and number of lines.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// Every function with a body in `code` (which must be [`code_only`]).
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (start, word) in words(code) {
        if word != "fn" {
            continue;
        }
        let Some((_, name)) = words(&code[start + 2..]).next() else {
            continue;
        };
        let end = start + item_end(&code[start..]);
        if code[start..end].ends_with('}') {
            found.push(Function {
                name: name.to_owned(),
                line: 1 + code[..start].matches('\n').count(),
                lines: 1 + code[start..end].matches('\n').count(),
            });
        }
    }
    found
}

/// Every identifier and number with its byte offset.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + code[rest..].find(is_word)?;
        let length = code[start..].find(|c| !is_word(c));
        let end = length.map_or(code.len(), |length| start + length);
        rest = end;
        Some((start, &code[start..end]))
    })
}

/// The line (from 1) of a byte offset.
pub(crate) fn line_of(code: &str, offset: usize) -> usize {
    1 + code[..offset].matches('\n').count()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The end of the item that begins here: its closing brace, or its semicolon when it has no body.
fn item_end(item: &str) -> usize {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            ';' if depth == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

fn line_end(chars: &[char], at: usize) -> usize {
    let length = chars[at..].iter().position(|&c| c == '\n');
    length.map_or(chars.len(), |length| at + length)
}

fn block_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

fn starts_raw(chars: &[char], at: usize) -> bool {
    if at > 0 && is_word(chars[at - 1]) {
        return false;
    }
    let after_b = at + usize::from(chars[at] == 'b');
    if chars.get(after_b) != Some(&'r') {
        return false;
    }
    let hashes = chars[after_b + 1..].iter().take_while(|&&c| c == '#');
    chars.get(after_b + 1 + hashes.count()) == Some(&'"')
}

fn raw_end(chars: &[char], at: usize) -> usize {
    let open = at + chars[at..].iter().position(|&c| c == '"').unwrap();
    let hashes = chars[at..open].iter().filter(|&&c| c == '#').count();
    let closes = |i: &usize| {
        let tail = chars.get(i + 1..i + 1 + hashes);
        chars[*i] == '"' && tail.is_some_and(|tail| tail.iter().all(|&c| c == '#'))
    };
    let close = (open + 1..chars.len()).find(closes);
    close.map_or(chars.len(), |close| close + 1 + hashes)
}

/// A character literal's end; a lifetime is left alone.
fn char_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let close = chars[at + 3..].iter().position(|&c| c == '\'');
            close.map_or(chars.len(), |close| at + 3 + close + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

#[test]
fn comments_strings_and_characters_are_no_code() {
    let text = "a // b\n/* c /* d */ */ e \"f\\\"g\" 'h' '\\'' r#\"i\"j\"# &'k l b\"m\"";
    let code = code_only(text);
    let left: Vec<&str> = words(&code).map(|(_, word)| word).collect();
    assert_eq!(left, ["a", "e", "k", "l", "b"]);
    assert_eq!(code.matches('\n').count(), text.matches('\n').count());
}

#[test]
fn what_is_under_cfg_test_is_not_shipped() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { [1; 2]; } }\nfn c() {}\n";
    let code = shipped_code(text);
    let names: Vec<String> = functions(&code).into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(code.matches('\n').count(), text.matches('\n').count());
}

#[test]
fn a_function_is_measured_from_its_name_to_its_brace() {
    let found = functions("trait T { fn a(); }\nfn b(x: [u8; 2])\n{\n  if x {}\n}\n");
    assert_eq!(found.len(), 1);
    let first = &found[0];
    assert_eq!((first.name.as_str(), first.line, first.lines), ("b", 2, 4));
}
