//! The shape of the project, held by tests: which way dependencies point, and a few habits of the
//! house that no compiler checks.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use imprest_tests::workspace_root;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// The crates in rows. A crate may depend on crates of lower rows only (docs/architecture.md).
const ROWS: &[(&str, u8)] = &[
    ("imprest", 5),
    ("imprest-cli", 5),
    ("imprest-desk", 4),
    ("imprest-backup", 3),
    ("imprest-connect", 3),
    ("imprest-gateway", 3),
    ("imprest-practice", 3),
    ("imprest-rails", 3),
    ("imprest-report", 3),
    ("imprest-workers", 3),
    ("imprest-chain", 2),
    ("imprest-ledger", 2),
    ("imprest-vault", 2),
    ("imprest-domain", 1),
];

/// Arrows within a row, each with the page that says why.
const SAME_ROW: &[(&str, &str)] = &[
    // docs/decisions/0003-grant-lives-in-the-ledger.md
    ("imprest-vault", "imprest-ledger"),
];

/// Packages beside the rows; they may use anything, and nothing in the rows may use them.
const BESIDE: &[&str] =
    &["imprest-bench", "imprest-fuzz", "imprest-model", "imprest-soak", "imprest-tests", "xtask"];

/// Packages for tests: any crate may use them while it is tested, and in no other way.
const FOR_TESTS: &[&str] = &["imprest-faults"];

/// Crates in which money is counted or reported, where a float would sooner or later lose some.
const EXACT: &[&str] =
    &["domain", "ledger", "rails", "chain", "report", "vault", "backup", "gateway", "desk"];

/// The longest a source file may be, in lines.
const LINES_AT_MOST: usize = 900;

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(workspace_root().join("Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo describes the workspace")
}

#[test]
fn every_crate_has_its_row() {
    let rows: BTreeMap<&str, u8> = ROWS.iter().copied().collect();
    for package in metadata().workspace_packages() {
        let name = package.name.as_str();
        assert!(
            rows.contains_key(name) || BESIDE.contains(&name) || FOR_TESTS.contains(&name),
            "{name} is in no row: give it one here and in docs/architecture.md"
        );
    }
}

#[test]
fn arrows_point_down() {
    let rows: BTreeMap<&str, u8> = ROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in metadata().workspace_packages() {
        let from = package.name.as_str();
        let Some(own_row) = rows.get(from) else { continue };
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            let down = match rows.get(to) {
                Some(row) => row < own_row || SAME_ROW.contains(&(from, to)),
                None if FOR_TESTS.contains(&to) => dependency.kind == DependencyKind::Development,
                None => !BESIDE.contains(&to),
            };
            if !down {
                wrong.push(format!("{from} → {to} ({:?})", dependency.kind));
            }
        }
    }
    assert!(wrong.is_empty(), "these arrows do not point down: {wrong:?}");
}

#[test]
fn nothing_under_crates_reaches_the_window() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().expect("the dependencies are resolved");
    let normal: HashMap<&PackageId, Vec<&PackageId>> = resolve
        .nodes
        .iter()
        .map(|node| {
            let dependencies = node.deps.iter().filter(|dependency| {
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            });
            (&node.id, dependencies.map(|dependency| &dependency.pkg).collect())
        })
        .collect();
    let crates = workspace_root().join("crates");
    for package in metadata.workspace_packages() {
        if !package.manifest_path.as_std_path().starts_with(&crates) {
            continue;
        }
        let (mut seen, mut ahead) = (BTreeSet::new(), vec![&package.id]);
        while let Some(id) = ahead.pop() {
            if seen.insert(id) {
                ahead.extend(normal.get(id).into_iter().flatten());
            }
        }
        for id in seen {
            let name = metadata[id].name.as_str();
            let window = ["tauri", "wry", "tao"].contains(&name) || name.starts_with("tauri-");
            assert!(!window, "{} reaches {name}; only the shell may", package.name);
        }
    }
}

#[test]
fn names_say_what_a_thing_is() {
    let vague = ["manager", "service", "helper", "util"];
    let says_nothing = |name: &str| {
        name.split(['-', '_', '.']).any(|word| vague.contains(&word.trim_end_matches('s')))
    };
    for package in metadata().workspace_packages() {
        assert!(!says_nothing(&package.name), "the crate {} needs a telling name", package.name);
    }
    for file in sources(&["rs", "ts", "svelte", "mjs"]) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        assert!(!says_nothing(&name), "{} needs a telling name", file.display());
    }
}

#[test]
fn files_stay_readable() {
    for file in sources(&["rs", "ts", "svelte", "mjs"]) {
        if file.components().any(|part| part.as_os_str() == "generated") {
            continue;
        }
        let lines = read(&file).lines().count();
        assert!(lines <= LINES_AT_MOST, "{} has {lines} lines; split it", file.display());
    }
}

#[test]
fn money_is_never_a_float() {
    for name in EXACT {
        let folder = workspace_root().join("crates").join(name).join("src");
        for file in files_under(&folder).into_iter().filter(|file| has_ending(file, &["rs"])) {
            for (number, line) in without_comments(&read(&file)).lines().enumerate() {
                // A float that is thrown away unread is only a trait's way of offering one.
                let line = line.replace("_: f64", "").replace("_: f32", "");
                let float = words(&line).any(|word| word == "f32" || word == "f64");
                assert!(!float, "{}:{} uses a float", file.display(), number + 1);
            }
        }
    }
}

#[test]
fn no_test_is_switched_off() {
    // Put together here, so that this file does not find itself.
    let attributes = [concat!("#[", "ignore"), concat!("(true, ", "ignore")];
    for file in sources(&["rs"]) {
        let text = read(&file);
        for attribute in attributes {
            assert!(!text.contains(attribute), "{} switches a test off", file.display());
        }
    }
}

#[test]
fn no_test_file_is_forgotten() {
    let manifest = read(&workspace_root().join("tests/Cargo.toml"));
    for file in files_under(&workspace_root().join("tests/tests")) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if has_ending(&file, &["rs"]) && file.parent().is_some_and(|p| p.ends_with("tests/tests")) {
            let entry = format!("path = \"tests/{name}\"");
            assert!(manifest.contains(&entry), "tests/Cargo.toml does not list {name}");
        }
    }
}

#[test]
fn the_commands_that_the_pages_name_exist() {
    let known: BTreeSet<&str> = xtask::COMMANDS.iter().map(|command| command.name).collect();
    let mut found = 0;
    for page in pages() {
        let text = read(&page);
        for rest in text.split("cargo xtask ").skip(1) {
            let name = rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
            // A capital is a placeholder and a dash an option of xtask itself.
            if !name.is_empty() {
                assert!(known.contains(name), "{} names `cargo xtask {name}`", page.display());
                found += 1;
            }
        }
    }
    assert!(found >= 3, "the pages name the commands for running, demonstrating and testing");
}

#[test]
fn the_links_between_pages_lead_somewhere() {
    for page in pages() {
        let folder = page.parent().unwrap_or(Path::new("")).to_path_buf();
        for rest in read(&page).split("](").skip(1) {
            let link = rest.split([')', '#']).next().unwrap_or_default();
            let elsewhere = link.is_empty() || link.contains("://") || link.contains(' ');
            assert!(
                elsewhere || folder.join(link).exists(),
                "{} links to {link}, which is not there",
                page.display()
            );
        }
    }
}

/// The pages that people read.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md"].iter().map(|name| workspace_root().join(name)).collect();
    let docs = files_under(&workspace_root().join("docs"));
    pages.extend(docs.into_iter().filter(|file| has_ending(file, &["md"])));
    pages
}

/// Every source file of the project's own with one of these endings.
fn sources(endings: &[&str]) -> Vec<PathBuf> {
    ["crates", "src-tauri", "tests", "ui", "xtask", "assets"]
        .iter()
        .flat_map(|folder| files_under(&workspace_root().join(folder)))
        .filter(|file| has_ending(file, endings))
        .collect()
}

/// All files in a folder and below, without what is installed or built.
fn files_under(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries.map(|entry| entry.expect("the folder can be read")) {
        let path = entry.path();
        if entry.file_type().expect("a file has a type").is_dir() {
            if !["node_modules", "dist", "target"].iter().any(|name| entry.file_name() == *name) {
                files.extend(files_under(&path));
            }
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn has_ending(file: &Path, endings: &[&str]) -> bool {
    file.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted))
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// The text without line comments, with its lines kept.
///
/// Block comments are left in: telling them from a string such as a media type takes a parser, and
/// a float named in one is easily moved to a line comment.
fn without_comments(text: &str) -> String {
    let code = text.lines().map(|line| {
        let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
        comment.map_or(line, |(at, _)| &line[..at])
    });
    code.collect::<Vec<_>>().join("\n")
}

#[test]
fn comments_are_told_from_code() {
    let text = "let a: u8; // f64\nlet b: f32;\nlet c = \"https://f64.example\";\n/// f32\n";
    let code = without_comments(text);
    assert_eq!(code.lines().count(), 3, "the last line is empty now");
    let found: Vec<&str> = words(&code).filter(|word| word.starts_with('f')).collect();
    assert_eq!(found, ["f32", "f64"], "the address in the string is kept, the comments are not");
}
