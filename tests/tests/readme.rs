//! Whoever follows a README to the letter has a program that compiles.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::iter;
use std::path::Path;

use failover_tests::example;

#[test]
fn each_program_compiles_with_what_its_text_adds_and_nothing_else() {
    let mut programs = Vec::new();
    for file in iter::once("README.md".to_owned()).chain(PUBLISHED.map(|name| format!("{name}/README.md"))) {
        let found = Program::all(&file, &text(&file));
        assert!(
            found.iter().all(|program| !program.adds.is_empty()),
            "{file}: nothing is added for a program"
        );
        assert!(!found.is_empty(), "{file} has no program");
        programs.extend(found);
    }
    // In the documentation, the programs that begin with what is to be added are for strangers.
    for file in PUBLISHED.map(|name| format!("{name}/src/lib.rs")) {
        let docs: Vec<_> =
            text(&file).lines().map_while(|line| Some(line.strip_prefix("//!")?.to_owned())).collect();
        let docs: Vec<_> = docs.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        programs.extend(Program::all(&file, &docs.join("\n")).into_iter().filter(|it| !it.adds.is_empty()));
    }
    let folder = workspace(&programs);
    // One by one, since members that are built together share the features that any of them asks for.
    for (nth, program) in programs.iter().enumerate() {
        let mut cargo = example::cargo();
        cargo.args(["check", "--quiet", "--target-dir", "target", "-p", &package(nth)]);
        let checked = cargo.current_dir(&folder).output().unwrap();
        let complaint = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{}, program {nth}:\n{complaint}\n{}", program.file, program.code);
    }
}

#[test]
fn each_example_is_on_the_front_pages_and_is_run_by_a_test() {
    let suites = fs::read_dir(Path::new(ROOT).join("tests/tests")).unwrap();
    let suites: Vec<_> = suites.filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok()).collect();
    let front = text("README.md");
    let mut count = 0;
    for name in PUBLISHED {
        let Ok(examples) = fs::read_dir(Path::new(ROOT).join(name).join("examples")) else { continue };
        for path in examples.map(|entry| entry.unwrap().path()) {
            let is_example =
                path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").exists();
            if !is_example {
                continue;
            }
            count += 1;
            let example = path.file_stem().unwrap().to_str().unwrap();
            let link = format!("[`{example}`](");
            let row = front.lines().find(|line| line.starts_with('|') && line.contains(&link));
            assert!(row.is_some_and(|row| row.contains(&format!("`{name} --example "))), "{example}");
            assert!(text(&format!("{name}/README.md")).contains(&link), "{name}: {example}");
            let quoted = format!("\"{example}\"");
            assert!(suites.iter().any(|suite| suite.contains(&quoted)), "no test runs {example}");
        }
    }
    assert!(count > 0);
}

/// A block of Rust in a text, and the arguments of each `cargo add` that stands before it under the same heading.
struct Program {
    file: String,
    adds: Vec<String>,
    code: String,
}

impl Program {
    fn all(file: &str, text: &str) -> Vec<Self> {
        let (mut programs, mut adds, mut lines) = (Vec::new(), Vec::new(), text.lines());
        while let Some(line) = lines.next() {
            if let Some(info) = line.strip_prefix("```") {
                let block: Vec<_> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
                if info == "console" {
                    let added = block.iter().filter_map(|line| line.strip_prefix("$ cargo add "));
                    adds.extend(added.map(str::to_owned));
                } else if info.split(',').all(|word| matches!(word, "" | "no_run" | "rust")) {
                    programs.push(Self { file: file.to_owned(), adds: adds.clone(), code: program(&block) });
                }
            } else if line.starts_with('#') {
                adds.clear();
            }
        }
        programs
    }

    fn manifest(&self, name: &str, lock: &str) -> String {
        let mut manifest =
            format!("[package]\nname = \"{name}\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n");
        for (name, Added { features, default }) in added(&self.adds) {
            let newest = newest(lock, &name);
            let line =
                format!("version = \"{newest}\", default-features = {default}, features = {features:?}");
            writeln!(manifest, "{name} = {{ {line} }}").unwrap();
        }
        manifest
    }
}

struct Added {
    features: Vec<String>,
    default: bool,
}

fn added(adds: &[String]) -> BTreeMap<String, Added> {
    let mut all = BTreeMap::new();
    for add in adds {
        let (mut names, mut added) = (Vec::new(), Added { features: Vec::new(), default: true });
        let mut words = add.split_whitespace();
        while let Some(word) = words.next() {
            match word {
                "--features" => added.features.extend(words.next().unwrap().split(',').map(str::to_owned)),
                "--no-default-features" => added.default = false,
                flag if flag.starts_with('-') => panic!("cargo add {add}: what is {flag}?"),
                name => names.push(name.to_owned()),
            }
        }
        assert!(names.len() == 1 || added.features.is_empty(), "cargo add {add}: whose features?");
        for name in names {
            let Added { ref features, default } = added;
            all.insert(name, Added { features: features.clone(), default });
        }
    }
    all
}

/// The version that `cargo add` would write: the newest that is locked here.
fn newest(lock: &str, name: &str) -> String {
    let named = format!("name = \"{name}\"\nversion = \"");
    let versions = lock.split(&named).skip(1).map(|rest| rest.split('"').next().unwrap());
    let newest = versions.max_by_key(|version| {
        version.split('.').map(str::parse::<u64>).map(Result::unwrap).collect::<Vec<_>>()
    });
    newest.unwrap_or_else(|| panic!("{name} is not locked")).to_owned()
}

/// The block as rustdoc would compile it: with its hidden lines, and in a `main` if it has none.
fn program(block: &[&str]) -> String {
    let shown = block.iter().map(|line| match line.strip_prefix('#') {
        Some("") => "",
        Some(hidden) if hidden.starts_with(' ') => &hidden[1..],
        _ => line,
    });
    let code = shown.collect::<Vec<_>>().join("\n");
    if code.contains("fn main(") {
        code
    } else if code.trim_end().ends_with("(())") {
        format!(
            "fn main() {{ fn inner() -> Result<(), impl std::fmt::Debug> {{\n{code}\n}} inner().unwrap() }}\n"
        )
    } else {
        format!("fn main() {{\n{code}\n}}\n")
    }
}

/// A workspace that has each program in a package of its own, over the crates as they are here.
fn workspace(programs: &[Program]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    // The target folder stays.
    for nth in 0.. {
        if fs::remove_dir_all(folder.join(package(nth))).is_err() {
            break;
        }
    }
    // With this, the same versions are taken, so that there is nothing to download.
    let lock = text("Cargo.lock");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("Cargo.lock"), &lock).unwrap();
    let mut members = Vec::new();
    for (nth, program) in programs.iter().enumerate() {
        let name = package(nth);
        fs::create_dir_all(folder.join(&name).join("src")).unwrap();
        fs::write(folder.join(&name).join("src/main.rs"), &program.code).unwrap();
        fs::write(folder.join(&name).join("Cargo.toml"), program.manifest(&name, &lock)).unwrap();
        members.push(name);
    }
    let mut manifest = format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n\n[patch.crates-io]\n");
    for name in PUBLISHED {
        writeln!(manifest, "{name} = {{ path = \"{ROOT}/{name}\" }}").unwrap();
    }
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    folder.to_str().expect("the path is UTF-8").to_owned()
}

fn package(nth: usize) -> String {
    format!("program-{nth}")
}

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The libraries that are published.
const PUBLISHED: [&str; 5] =
    ["failover-core", "failover-hyper", "failover-tokio", "failover-async-std", "failover-reqwest"];
