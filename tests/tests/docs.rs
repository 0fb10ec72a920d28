//! The book: its summary has every page, and every link leads somewhere, also those in what programs and the chart say.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// What is read on its own, outside of the book.
const BESIDE: [&str; 4] = [
    "README.md",
    "CONTRIBUTING.md",
    "tests/local-cluster/README.md",
    "examples/ml-platform/README.md",
];
/// Where programs and the chart name pages.
const SPEAKERS: [&str; 7] = [
    "charts",
    "cli/src",
    "cluster/src",
    "examples",
    "recommender/src",
    "updater/src",
    "webhook/src",
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// All files in a folder, however deep, relative to the repository.
fn files(folder: &str) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![repository().join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(repository()).unwrap().to_owned());
            }
        }
    }
    files
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_default()
}

#[derive(Default)]
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let (mut page, mut prose, mut fenced) = (Self::default(), String::new(), false);
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                if line.starts_with('#') {
                    page.anchors.insert(anchor(line.trim_start_matches('#')));
                }
                prose += line;
                prose.push('\n');
            }
        }
        // Every other piece is code.
        for piece in prose.split('`').step_by(2) {
            let targets = piece.split("](").skip(1);
            let targets = targets.filter_map(|rest| rest.split_once(')'));
            page.links
                .extend(targets.map(|(target, _)| target.to_owned()));
        }
        page
    }
}

/// A heading's anchor, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars();
    let kept = kept.filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn pages() -> BTreeMap<PathBuf, Page> {
    let docs = files("docs").into_iter();
    let docs = docs.filter(|path| path.extension().is_some_and(|e| e == "md"));
    let all = docs.chain(BESIDE.map(PathBuf::from));
    all.map(|path| (path.clone(), Page::parse(&read(&path))))
        .collect()
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
        plain
    })
}

/// Why a link on a page leads nowhere.
fn fault(pages: &BTreeMap<PathBuf, Page>, on: &Path, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => on.to_owned(),
        file => plain(&on.parent().unwrap().join(file)),
    };
    if on.starts_with("docs") && !target.starts_with("docs") {
        return Some("leads out of the book; name the file instead".into());
    }
    if !repository().join(&target).exists() {
        return Some(format!("there is no {}", target.display()));
    }
    let there = |page: &Page| page.anchors.contains(anchor);
    let lost = !anchor.is_empty() && !pages.get(&target).is_some_and(there);
    lost.then(|| format!("{} has no such heading", target.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut faults = Vec::new();
    for (path, page) in &pages {
        for link in &page.links {
            if let Some(why) = fault(&pages, path, link) {
                faults.push(format!("{}: {link}: {why}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let links: usize = pages.values().map(|page| page.links.len()).sum();
    assert!(links > 100, "only {links} links were found");
}

#[test]
fn the_summary_has_every_page() {
    let pages = pages();
    let summary = Path::new("docs/SUMMARY.md");
    let listed = pages[summary].links.iter();
    let listed: BTreeSet<_> = listed.map(|link| Path::new("docs").join(link)).collect();
    let there = pages
        .keys()
        .filter(|path| path.starts_with("docs") && *path != summary);
    let missing: Vec<_> = there.filter(|path| !listed.contains(*path)).collect();
    assert!(missing.is_empty(), "put into docs/SUMMARY.md: {missing:?}");
}

/// In messages, comments and values: `docs/page.md`, alone, with `#anchor`, or with `, "Heading"`.
#[test]
fn pages_that_programs_name_are_there() {
    let pages = pages();
    let (mut faults, mut found) = (Vec::new(), 0);
    for path in SPEAKERS.iter().flat_map(|folder| files(folder)) {
        let text = read(&path).replace("\\\"", "\"");
        for (at, _) in text.match_indices("docs/") {
            let rest = &text[at + "docs/".len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && !"/-._".contains(c));
            let (page, rest) = rest.split_at(end.unwrap_or(rest.len()));
            let Some(page) = page.trim_end_matches('.').strip_suffix(".md") else {
                continue;
            };
            let heading = rest
                .strip_prefix(", \"")
                .and_then(|rest| rest.split_once('"'));
            let anchor = match (heading, rest.strip_prefix('#')) {
                (Some((heading, _)), _) => anchor(heading),
                (None, Some(rest)) => rest
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '-')
                    .collect(),
                (None, None) => String::new(),
            };
            found += 1;
            if let Some(why) = fault(
                &pages,
                Path::new("README.md"),
                &format!("docs/{page}.md#{anchor}"),
            ) {
                faults.push(format!("{}: {why}: {anchor}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(found > 10, "only {found} mentions were found");
}

/// All code of podfit's that speaks to people, as one text, without the line breaks in it.
fn speech() -> String {
    let folders = SPEAKERS.iter().chain(&["core/src"]);
    let texts = folders
        .flat_map(|folder| files(folder))
        .map(|path| read(&path));
    let text: String = texts.collect();
    let text = text.replace("\\\"", "\"").replace("\\\n", " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// So that somebody who searches the page for what he was told finds it.
#[test]
fn what_troubleshooting_quotes_is_said() {
    let (page, speech) = (read(Path::new("docs/troubleshooting.md")), speech());
    let prose: String = page.split('`').step_by(2).collect();
    let prose = prose.split_whitespace().collect::<Vec<_>>().join(" ");
    let quotes: Vec<_> = prose.split('"').skip(1).step_by(2).collect();
    let pieces = quotes
        .iter()
        .flat_map(|quote| quote.split('…'))
        .map(str::trim);
    let unsaid: Vec<_> = pieces.filter(|piece| !speech.contains(piece)).collect();
    assert!(unsaid.is_empty(), "nobody says {unsaid:#?}");
    assert!(quotes.len() > 20, "only {} quotes were found", quotes.len());
}

/// Each reason to change a pod or to leave it alone is explained to those who meet it.
#[test]
fn every_reason_is_explained() {
    let pages = [
        "docs/troubleshooting.md",
        "docs/observability.md",
        "docs/modes.md",
    ];
    let pages: String = pages.map(|page| read(Path::new(page))).concat();
    let reasons = read(Path::new("core/src/disruption/reason.rs"));
    let codes = reasons
        .lines()
        .filter_map(|line| line.trim().strip_suffix("\",")?.rsplit_once("=> \""));
    let codes: Vec<_> = codes.map(|(_, code)| code).collect();
    let missing: Vec<_> = codes
        .iter()
        .filter(|code| !pages.contains(&format!("`{code}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "explain in docs/troubleshooting.md, observability.md or modes.md: {missing:?}"
    );
    assert!(codes.len() > 40, "only {} reasons were found", codes.len());
}

/// Annotations and labels are constants where they are read or written.
#[test]
fn every_annotation_is_listed() {
    let page = read(Path::new("docs/flags.md"));
    let code: String = ["core/src", "cluster/src"]
        .iter()
        .flat_map(|folder| files(folder))
        .map(|path| read(&path))
        .collect();
    let names = code
        .split(": &str = \"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'));
    let names: BTreeSet<_> = names
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("podfit.dev/"))
        .collect();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !page.contains(&format!("`{name}")))
        .collect();
    assert!(missing.is_empty(), "list in docs/flags.md: {missing:?}");
    assert!(names.len() > 5, "only {names:?} were found");
}

#[test]
fn what_leads_nowhere_is_found() {
    let text = "# One `two`, three\n\nA [link](#one-two-three), [`code`](b.md)\n`[no](link)`\n```sh\n[no](link)\n```\n";
    let pages = BTreeMap::from([(PathBuf::from("docs/install.md"), Page::parse(text))]);
    let page = &pages[Path::new("docs/install.md")];
    assert_eq!(page.links, ["#one-two-three", "b.md"]);
    let fault = |link| fault(&pages, Path::new("docs/install.md"), link);
    assert_eq!(fault("#one-two-three"), None);
    for lost in ["#two", "nothing.md", "../README.md", "install.md#none"] {
        assert!(fault(lost).is_some(), "{lost}");
    }
}

/// The page's table of profiles is the code's.
#[test]
fn profiles_are_as_the_page_says() {
    use podfit_core::opt_in::{SETTINGS, Traits, WorkloadProfile};
    let page = read(Path::new("docs/opt-in.md"));
    let profiles = WorkloadProfile::NAMES.map(|(profile, _)| Some(profile));
    let profiles: Vec<_> = [None].into_iter().chain(profiles).collect();
    let cell = |text: &str| match text {
        "" => " |".to_owned(),
        text => format!(" `{text}` |"),
    };
    for name in SETTINGS {
        let mut row = match name.split_once(" with ") {
            Some((field, value)) => format!("| `{field}` with `{value}` |"),
            None => format!("| `{name}` |"),
        };
        row.extend(
            profiles
                .iter()
                .map(|of| cell(&Traits::of(*of).setting(name))),
        );
        assert!(
            page.contains(&format!("{row}\n")),
            "docs/opt-in.md lacks {row}"
        );
    }
    let rows = page
        .lines()
        .skip_while(|line| !line.contains("| without |"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    assert_eq!(rows.count(), SETTINGS.len());
}
