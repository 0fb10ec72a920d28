//! Puts the git revision into `--version` when the build was told it (`PODFIT_REVISION`, which `make images` sets).
//! Asking git here would rebuild everything after every commit.

fn main() {
    println!("cargo::rerun-if-env-changed=PODFIT_REVISION");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    match std::env::var("PODFIT_REVISION")
        .ok()
        .filter(|r| !r.is_empty())
    {
        Some(revision) => println!("cargo::rustc-env=PODFIT_VERSION={version}+{revision}"),
        None => println!("cargo::rustc-env=PODFIT_VERSION={version}"),
    }
}
