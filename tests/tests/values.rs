//! The chart's values say what they are for: each has a comment `# -- …` of its own, or is part of a value that has one.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

#[test]
fn every_value_has_a_comment() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(workspace.join("charts/podfit/values.yaml")).unwrap();
    let values = values(&text);
    assert!(values.len() > 150, "only {} values", values.len());
    let silent: Vec<_> = values
        .iter()
        .filter(|(_, explained)| !explained)
        .map(|(path, _)| path.as_str())
        .collect();
    assert!(silent.is_empty(), "without a comment: {silent:?}");
}

#[test]
fn a_comment_is_of_what_follows_it() {
    let text = "# Group.\na:\n  # -- One.\n  #    More of it.\n  b: 1\n  c: 2\n\n# -- Value.\nd:\n  e: {}\n  f:\n    - g: 1\n      h: 2\n";
    let expected = [("a.b", true), ("a.c", false), ("d.e", true), ("d.f", true)];
    let expected = expected.map(|(path, explained)| (path.to_owned(), explained));
    assert_eq!(values(text), expected);
}

/// Each value's path, and whether a comment explains it. A key with nothing behind it is a group, unless a list follows.
fn values(text: &str) -> Vec<(String, bool)> {
    let (mut all, mut comment) = (Vec::new(), false);
    let mut parents: Vec<(usize, &str, bool)> = Vec::new();
    // Keys that are deeper than this are those of a list's objects.
    let mut listed = usize::MAX;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let bare = line.trim_start();
        let depth = line.len() - bare.len();
        if bare.starts_with('#') {
            comment |= bare.starts_with("# -- ");
            continue;
        }
        let Some((key, value)) = bare.split_once(':').filter(|(key, _)| is_name(key)) else {
            comment &= !bare.is_empty();
            continue;
        };
        if depth > listed {
            continue;
        }
        listed = usize::MAX;
        parents.retain(|parent| parent.0 < depth);
        let explained = comment || parents.last().is_some_and(|parent| parent.2);
        let list = lines
            .peek()
            .is_some_and(|next| next.trim_start().starts_with("- "));
        if value.is_empty() && !list {
            parents.push((depth, key, explained));
        } else {
            listed = if list { depth } else { listed };
            let path: Vec<_> = parents.iter().map(|parent| parent.1).collect();
            all.push(([&path[..], &[key]].concat().join("."), explained));
        }
        comment = false;
    }
    all
}

fn is_name(key: &str) -> bool {
    !key.is_empty() && key.chars().all(char::is_alphanumeric)
}
