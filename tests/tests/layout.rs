//! The layout of the crates: no circle between the files of one, and none between the rooms of the core.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

#[test]
fn no_crate_has_a_circle_between_its_files() {
    for name in CRATES {
        assert_eq!(circle(&Sources::of_crate(name).arrows()), None, "{name}");
    }
}

#[test]
fn the_machine_of_the_core_imports_neither_the_wire_nor_the_configuration() {
    let room = |file: &str| {
        let folder = file.split("::").next().filter(|folder| ["config", "wire"].contains(folder));
        folder.unwrap_or("machine").to_owned()
    };
    let arrows = Sources::of_crate("failover-core").arrows();
    let arrows: BTreeSet<_> = arrows.iter().map(|(from, to)| (room(from), room(to))).collect();
    let between = arrows.iter().filter(|(from, to)| from != to);
    let expected = [("config", "machine"), ("config", "wire"), ("wire", "machine")];
    assert!(between.eq(&expected.map(|(from, to)| (from.to_owned(), to.to_owned()))), "{arrows:?}");
}

#[test]
fn a_circle_is_found_and_named() {
    let circle = |arrows: &[(&str, &str)]| {
        circle(&arrows.iter().map(|&(from, to)| (from.to_owned(), to.to_owned())).collect())
    };
    assert_eq!(circle(&[]), None);
    assert_eq!(circle(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]), None, "two ways are no circle");
    let found = circle(&[("a", "b"), ("a", "d"), ("b", "c"), ("d", "e"), ("e", "f"), ("f", "d")]);
    assert_eq!(found.as_deref(), Some("d -> e -> f -> d"));
}

#[test]
fn arrows_are_the_imports_and_the_paths_of_code() {
    let sources = Sources::of([
        ("crate", "mod a;\nmod b;\nmod room;\npub use crate::a::A;\npub use crate::room::{R as Q, S};\n"),
        ("a", "use crate::b::{self, B, c::D};\nuse crate::Q;\n"),
        (
            "b",
            "//! See [`A`](crate::A).\n// crate::a\nfn f() -> u8 {\n    crate::room::inner::<u8>() // crate::a\n}\n",
        ),
        ("room", "mod r;\nmod s;\npub(crate) use crate::room::r::{\n    R,\n    inner,\n};\npub struct S;\n"),
        ("room::r", "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n    use super::*;\n}\n"),
        ("room::s", "use crate::{\n    S,\n    a,\n};\n"),
    ]);
    let arrows = [("a", "b"), ("a", "room::r"), ("b", "room::r"), ("room::s", "a"), ("room::s", "room")];
    assert_eq!(sources.arrows(), arrows.map(|(from, to)| (from.to_owned(), to.to_owned())).into());
}

/// The code of a crate's files by the path of their module, which is `crate` for the first.
struct Sources(BTreeMap<String, String>);

impl Sources {
    fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(files.into_iter().map(|(module, text)| (module.to_owned(), code(text))).collect())
    }

    fn of_crate(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src");
        let files = files(&folder, "");
        assert!(files.iter().any(|(module, _)| module == "crate"), "{} is no crate", folder.display());
        Self::of(files.iter().map(|(module, text)| (&**module, &**text)))
    }

    /// Who imports from whom. What a root re-exports is imported from the file that has it.
    fn arrows(&self) -> BTreeSet<(String, String)> {
        let (mut imports, mut exports) = (vec![], BTreeMap::new());
        for (module, code) in &self.0 {
            let tokens = tokens(code);
            let relative = tokens.windows(2).any(|pair| matches!(pair, ["self" | "super", "::"]));
            assert!(!relative, "{module}: a path begins with `crate`");
            for place in 0..tokens.len() {
                let Some(["crate", "::"]) = tokens.get(place..place + 2) else { continue };
                let is_export = matches!(tokens[..place], [.., "pub" | ")", "use"]) && self.is_root(module);
                let mut paths = vec![];
                read_tree(&tokens, place + 2, &[], &mut paths);
                for (name, path) in paths {
                    if is_export {
                        exports.insert((module.as_str(), name), path);
                    } else {
                        imports.push((module, path));
                    }
                }
            }
        }
        let arrows = imports.into_iter().map(|(from, path)| (from.clone(), self.file_of(&path, &exports)));
        arrows.filter(|(from, to)| from != to).collect()
    }

    /// The file of the longest part of the path that is a module, or the one that its next name comes from.
    fn file_of(&self, path: &[&str], exports: &BTreeMap<(&str, &str), Vec<&str>>) -> String {
        let length = (1..=path.len()).rfind(|&length| self.0.contains_key(&path[..length].join("::")));
        let module = length.map_or("crate".to_owned(), |length| path[..length].join("::"));
        let name = path.get(length.unwrap_or(0));
        match name.and_then(|name| exports.get(&(&*module, *name))) {
            Some(path) => self.file_of(path, exports),
            None => module,
        }
    }

    fn is_root(&self, module: &str) -> bool {
        module == "crate" || self.0.keys().any(|other| other.starts_with(&format!("{module}::")))
    }
}

/// The first circle of these arrows, if there is one.
fn circle(arrows: &BTreeSet<(String, String)>) -> Option<String> {
    let mut done = BTreeSet::new();
    arrows.iter().find_map(|(from, _)| circle_from(from, arrows, &mut vec![], &mut done))
}

fn circle_from<'a>(
    file: &'a str,
    arrows: &'a BTreeSet<(String, String)>,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<String> {
    if let Some(start) = way.iter().position(|before| *before == file) {
        return Some([&way[start..], &[file]].concat().join(" -> "));
    }
    if !done.insert(file) {
        return None;
    }
    way.push(file);
    let mut next = arrows.iter().filter(|(from, _)| from == file);
    let found = next.find_map(|(_, to)| circle_from(to, arrows, way, done));
    way.pop();
    found
}

/// The files of a folder with the paths of their modules.
fn files(folder: &Path, module: &str) -> Vec<(String, String)> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().expect("a name").to_str().expect("a name in UTF-8");
        let inner = format!("{module}{}{stem}", if module.is_empty() { "" } else { "::" });
        if path.is_dir() {
            found.extend(files(&path, &inner));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = match stem {
                "lib" | "main" if module.is_empty() => "crate",
                "mod" => module,
                _ => &inner,
            };
            found.push((module.to_owned(), fs::read_to_string(&path).expect("a text")));
        }
    }
    found
}

/// The text without comments and tests.
fn code(text: &str) -> String {
    let (mut code, mut lines) = (String::new(), text.lines().peekable());
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" && lines.next_if(|line| line.starts_with("mod ")).is_some() {
            lines.by_ref().find(|line| *line == "}");
        } else if !line.trim_start().starts_with("//") {
            code += line.split(" // ").next().unwrap_or_default();
            code += "\n";
        }
    }
    code
}

/// Names, double colons, and single characters of any other kind but spaces.
fn tokens(code: &str) -> Vec<&str> {
    let (mut tokens, mut rest) = (vec![], code.trim_start());
    while let Some(first) = rest.chars().next() {
        let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = if name > 0 {
            name
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// Reads a tree of paths such as `a::{self, b::C, D as E}`: each path with the name that it gives. Returns its end.
fn read_tree<'a>(
    tokens: &[&'a str],
    at: usize,
    path: &[&'a str],
    found: &mut Vec<(&'a str, Vec<&'a str>)>,
) -> usize {
    let is_name = |token: &str| token.starts_with(|c: char| c.is_alphabetic() || c == '_');
    match tokens.get(at) {
        Some(&"{") => {
            let mut at = at + 1;
            while tokens.get(at).is_some_and(|token| *token != "}") {
                at = read_tree(tokens, at, path, found);
            }
            at + 1
        }
        Some(&("self" | "*")) => {
            found.push((path.last().unwrap_or(&"crate"), path.to_vec()));
            at + 1
        }
        Some(&name) if is_name(name) => {
            let path = [path, &[name]].concat();
            match tokens.get(at + 1..at + 3) {
                Some(["::", next]) if is_name(next) || matches!(*next, "{" | "*") => {
                    read_tree(tokens, at + 2, &path, found)
                }
                Some(["as", alias]) => {
                    found.push((alias, path));
                    at + 3
                }
                _ => {
                    found.push((name, path));
                    at + 1
                }
            }
        }
        _ => at + 1,
    }
}

/// The crates whose files are held to it.
const CRATES: [&str; 6] = [
    "failover-core",
    "failover-hyper",
    "failover-tokio",
    "failover-async-std",
    "failover-reqwest",
    "failover-gateway",
];
