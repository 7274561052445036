//! Rust, read just well enough: words and marks without comments, strings and characters, and the paths in them.

/// The words and marks of a file, each with whether it stands in a module of tests.
pub(crate) struct Source {
    tokens: Vec<Token>,
    /// How deep the file's own module lies: 1 for `task/mod.rs`, 2 for `task/kind.rs`.
    depth: usize,
}

struct Token {
    text: String,
    /// How many modules were opened around it in this file.
    inner: usize,
    in_tests: bool,
}

/// The room that a file belongs to: the first part of its path.
pub(crate) fn room_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

impl Source {
    pub(crate) fn read(path: &str, text: &str) -> Self {
        let file_of_tests = path.split('/').any(|part| part == "tests" || part == "tests.rs");
        let is_folder = path.ends_with("/mod.rs") || matches!(path, "lib.rs" | "main.rs");
        let depth = path.split('/').count() - usize::from(is_folder);
        let mut tokens = Vec::<Token>::new();
        // For each open brace: the module that it opened, if it did.
        let mut braces: Vec<Option<String>> = Vec::new();
        for text in tokenize(text) {
            match text.as_str() {
                "{" => {
                    let opens_module = tokens.len() >= 2 && tokens[tokens.len() - 2].text == "mod";
                    braces.push(opens_module.then(|| tokens[tokens.len() - 1].text.clone()));
                }
                "}" => drop(braces.pop()),
                _ => {}
            }
            let in_tests = file_of_tests || braces.iter().flatten().any(|module| module == "tests");
            tokens.push(Token { text, inner: braces.iter().flatten().count(), in_tests });
        }
        Self { tokens, depth }
    }

    pub(crate) fn has_word(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token.text == word)
    }

    /// Whether `of::name` stands anywhere but in tests.
    pub(crate) fn calls(&self, of: &str, name: &str) -> bool {
        self.tokens.windows(3).any(|three| {
            !three[0].in_tests && three[0].text == of && three[1].text == "::" && three[2].text == name
        })
    }

    /// Whether something of that crate is used.
    pub(crate) fn uses_crate(&self, name: &str) -> bool {
        self.tokens.iter().enumerate().any(|(at, token)| {
            let before = at.checked_sub(1).map(|before| self.tokens[before].text.as_str());
            token.text == name && (before == Some("use") || self.is(at + 1, "::")) && before != Some("::")
        })
    }

    /// The rooms that are used: what comes after `crate::`, `gristmill::`, or as many `super::` as lead there.
    pub(crate) fn rooms(&self) -> Vec<String> {
        let mut rooms = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            let after_path = at > 0 && self.is(at - 1, "::");
            let mut end = at + 1;
            match token.text.as_str() {
                "crate" | "gristmill" if !after_path => {}
                "super" if !after_path => {
                    let mut ups = 1;
                    while self.is(end, "::") && self.is(end + 1, "super") {
                        (ups, end) = (ups + 1, end + 2);
                    }
                    if ups != self.depth + token.inner {
                        continue;
                    }
                }
                _ => continue,
            }
            if self.is(end, "::") {
                self.first_parts(end + 1, &mut rooms);
            }
        }
        rooms.sort();
        rooms.dedup();
        rooms
    }

    /// The first parts of the path at `at`, which may be several in braces.
    fn first_parts(&self, at: usize, parts: &mut Vec<String>) {
        if !self.is(at, "{") {
            parts.extend(self.tokens.get(at).map(|token| token.text.clone()));
            return;
        }
        let (mut open, mut at) = (1, at + 1);
        while open > 0
            && let Some(token) = self.tokens.get(at)
        {
            let first = open == 1 && (self.is(at - 1, "{") || self.is(at - 1, ","));
            match token.text.as_str() {
                "{" => open += 1,
                "}" => open -= 1,
                word if first => parts.push(word.to_owned()),
                _ => {}
            }
            at += 1;
        }
    }

    fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.text == text)
    }
}

/// Words, `::` and single marks; comments, strings and characters are left out.
fn tokenize(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let find = |from: usize, end: &str| {
        let end: Vec<char> = end.chars().collect();
        (from..chars.len())
            .find(|start| chars[*start..].starts_with(&end))
            .map_or(chars.len(), |i| i + end.len())
    };
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        match chars[i] {
            '/' if at(i + 1) == '/' => i = find(i, "\n"),
            '/' if at(i + 1) == '*' => {
                let mut open = 1;
                i += 2;
                while open > 0 && i < chars.len() {
                    match (chars[i], at(i + 1)) {
                        ('/', '*') => (open, i) = (open + 1, i + 2),
                        ('*', '/') => (open, i) = (open - 1, i + 2),
                        _ => i += 1,
                    }
                }
            }
            '"' => {
                i += 1;
                while i < chars.len() && chars[i] != '"' {
                    i += if chars[i] == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            '\'' if at(i + 1) == '\\' => i = find(i + 3, "'"),
            '\'' if at(i + 2) == '\'' => i += 3,
            c if c.is_alphabetic() || c == '_' => {
                let start = i;
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                let word: String = chars[start..i].iter().collect();
                let hashes = (i..).take_while(|index| at(*index) == '#').count();
                if matches!(word.as_str(), "r" | "br" | "cr") && at(i + hashes) == '"' {
                    i = find(i + hashes + 1, &format!("\"{}", "#".repeat(hashes)));
                } else {
                    tokens.push(word);
                }
            }
            ':' if at(i + 1) == ':' => {
                tokens.push("::".to_owned());
                i += 2;
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    tokens
}
