use std::net::Ipv4Addr;

use clap::CommandFactory;
use podfit_cluster::options::upstream::differences;

use super::*;

fn parse(flags: &[&str]) -> Options {
    Options::try_parse_from([&["podfit-webhook"], flags].concat()).unwrap()
}

#[test]
fn flags_and_defaults_are_upstreams() {
    let found = differences(&Options::command(), &["common", "admission-controller"]);
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn upstreams_manifest_and_the_charts_flags_are_taken() {
    let upstream = parse(&["--v=4", "--stderrthreshold=info", "--reload-cert"]);
    assert_eq!(
        (upstream.server.port, upstream.address.port()),
        (8000, 8944)
    );
    assert!(
        upstream
            .registration()
            .unwrap()
            .is_some_and(|r| !r.fail && r.timeout_seconds == 2)
    );
    let chart = parse(&[
        "--bind-address=127.66.0.20",
        "--port=8443",
        "--register-by-url=true",
        "--webhook-address=https://127.66.0.20",
        "--webhook-port=8443",
        "--webhook-failure-policy-fail=false",
        "--status-lease-update-interval=5s",
        "--profile=safe",
        "--ignored-vpa-object-namespaces=a,b",
    ]);
    assert_eq!(
        chart.server.bind_address,
        Some(Ipv4Addr::new(127, 66, 0, 20).into())
    );
    assert_eq!(
        chart.endpoint(),
        Ok(Endpoint::Url("https://127.66.0.20:8443".into()))
    );
    assert_eq!(chart.server_name(), "127.66.0.20");
    assert!(
        chart
            .certificate_names()
            .contains(&"127.66.0.20".to_owned())
    );
    let selector = chart
        .registration()
        .unwrap()
        .unwrap()
        .namespaces
        .match_expressions
        .unwrap();
    assert_eq!(
        (
            selector[0].operator.as_str(),
            selector[0].values.clone().unwrap()
        ),
        ("NotIn", vec!["a".into(), "b".into()])
    );
    assert!(
        parse(&["--register-webhook=false"])
            .registration()
            .unwrap()
            .is_none()
    );
}

#[test]
fn what_is_empty_counts_as_not_given() {
    let options = parse(&[
        "--webhook-address=",
        "--webhook-port=",
        "--min-tls-version=",
        "--webhook-labels=",
    ]);
    assert_eq!(options.server.min_tls_version, MinTlsVersion::Tls12);
    assert!(matches!(
        options.endpoint(),
        Ok(Endpoint::Service { port: 443, .. })
    ));
    assert_eq!(options.certificate_names().len(), 4);
    assert_eq!(
        parse(&["--register-by-url", "--webhook-address="]).endpoint(),
        Err(NoAddress)
    );
    assert!(Options::try_parse_from(["podfit-webhook", "--webhook-port=x"]).is_err());
}

/// The chart's flags come first, and a user's own after them.
#[test]
fn the_last_of_a_repeated_flag_wins() {
    assert_eq!(
        parse(&["--port=1", "--v=4", "--port=2", "--v=6"])
            .server
            .port,
        2
    );
}

#[test]
fn addresses_may_be_written_in_many_ways() {
    for (address, url) in [
        ("https://10.0.0.1", "https://10.0.0.1:8000"),
        ("10.0.0.1", "https://10.0.0.1:8000"),
        ("https://hook.example/", "https://hook.example:8000"),
        ("fd00::1", "https://[fd00::1]:8000"),
        ("https://[fd00::1]", "https://[fd00::1]:8000"),
    ] {
        let flags = ["--register-by-url", &format!("--webhook-address={address}")];
        assert_eq!(
            parse(&flags).endpoint(),
            Ok(Endpoint::Url(url.into())),
            "{address}"
        );
    }
}

#[test]
fn labels_are_pairs() {
    let pairs = |list: &[(&str, &str)]| {
        list.iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect()
    };
    assert_eq!(labels("\"a/b:c, d:\""), pairs(&[("a/b", "c"), ("d", "")]));
    for none in ["", "a", ":a", "a:b,c"] {
        assert_eq!(labels(none), BTreeMap::new(), "{none}");
    }
}

/// Flags; whether the named namespaces are those sent or those left out; and whether of our own only probes are sent.
#[test]
fn of_a_namespace_that_is_left_alone_only_probes_of_our_own_are_sent() {
    type Named<'a> = Option<(&'a str, Vec<&'a str>)>;
    let own = own_namespace();
    let own = own.as_str();
    let (one, ours) = (
        "--vpa-object-namespace=one",
        format!("--vpa-object-namespace={own}"),
    );
    let ignored = format!("--ignored-vpa-object-namespaces=a,{own}");
    let fail = "--webhook-failure-policy-fail";
    let rows: [(&[&str], Named<'_>, bool); 6] = [
        (&[], None, false),
        (&[fail], None, true),
        (&[&ignored], Some(("NotIn", vec!["a"])), true),
        (&[&ignored, fail], Some(("NotIn", vec!["a"])), true),
        (&[one], Some(("In", vec![own, "one"])), true),
        (&[&ours], Some(("In", vec![own])), false),
    ];
    for (flags, named, probes_only) in rows {
        let registration = parse(flags).registration().unwrap().unwrap();
        let expressions = registration
            .namespaces
            .match_expressions
            .unwrap_or_default();
        let got = expressions.first().map(|e| {
            let values = e.values.iter().flatten().map(String::as_str);
            (e.operator.as_str(), values.collect())
        });
        assert_eq!(got, named, "{flags:?}");
        let expected = probes_only.then(|| own.to_owned());
        assert_eq!(registration.probes_only, expected, "{flags:?}");
    }
}

#[test]
fn pods_are_looked_at_again_but_in_profile_upstream() {
    let reinvoke = |flags: &[&str]| parse(flags).registration().unwrap().unwrap().reinvoke;
    assert!(reinvoke(&[]) && !reinvoke(&["--profile=upstream"]));
}

#[test]
fn impossible_flags_are_refused() {
    for flags in [
        ["--status-lease-update-interval=0s"],
        ["--webhook-timeout-seconds=31"],
        ["--min-tls-version=tls1_1"],
    ] {
        assert!(
            Options::try_parse_from([&["podfit-webhook"], flags.as_slice()].concat()).is_err(),
            "{flags:?}"
        );
    }
}

#[test]
fn files_are_used_when_one_is_named() {
    let files = parse(&["--tls-cert-file=/tls/c.pem"])
        .certificates
        .files()
        .unwrap();
    assert_eq!(files.certificate, PathBuf::from("/tls/c.pem"));
    assert_eq!(files.key, CertificateFiles::upstream().key);
}
