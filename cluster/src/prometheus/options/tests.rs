use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    options: PrometheusOptions,
}

fn options(flags: &[&str]) -> Result<PrometheusOptions, clap::Error> {
    Ok(Command::try_parse_from([&["x"], flags].concat())?.options)
}

fn settings(flags: &[&str]) -> Settings {
    options(flags).unwrap().settings(true).unwrap()
}

#[test]
fn one_flag_is_enough_for_the_common_installations() {
    let operated = "http://prometheus-operated.monitoring.svc:9090/";
    let path = r#"metrics_path="/metrics/cadvisor""#;
    let cases = [
        ("kube-prometheus-stack", operated, "kubelet", path),
        (
            "prometheus-community",
            "http://prometheus-server.monitoring.svc/",
            "kubernetes-nodes-cadvisor",
            "",
        ),
        (
            "victoria-metrics",
            "http://vmsingle-victoria-metrics-k8s-stack.monitoring.svc:8428/",
            "kubelet",
            path,
        ),
        (
            "thanos-mimir",
            "http://thanos-query-frontend.monitoring.svc:9090/",
            "kubelet",
            path,
        ),
    ];
    for (preset, address, job, path) in cases {
        let options = options(&[&format!("--prometheus-preset={preset}")]).unwrap();
        let settings = options.settings(true).unwrap();
        assert!(options.is_given());
        assert_eq!(settings.address.to_string(), address);
        let queries = &settings.queries;
        assert_eq!((queries.job.as_str(), queries.path), (job, path));
        let labels = &queries.labels;
        assert_eq!(
            [&labels.namespace, &labels.pod, &labels.container],
            ["namespace", "pod", "container"]
        );
        assert_eq!(queries.resolution.duration, Duration::from_mins(5));
    }
}

/// `prometheus-*` and history flags of upstream's table.
#[test]
fn without_a_preset_defaults_are_upstreams() {
    let options = options(&[]).unwrap();
    assert!(!options.is_given());
    for settings in [
        options.settings(false).unwrap(),
        settings(&["--prometheus-preset=custom"]),
    ] {
        let Queries {
            cpu_metric,
            memory_metric,
            job,
            labels,
            resolution,
            ..
        } = settings.queries;
        assert_eq!(
            settings.address.to_string(),
            "http://prometheus.monitoring.svc/"
        );
        assert_eq!(settings.timeout, Duration::from_mins(5));
        assert_eq!(settings.length, Duration::from_hours(8 * 24));
        assert_eq!(resolution.to_string(), "1h");
        assert_eq!(
            [&cpu_metric, &memory_metric, &job],
            [
                "container_cpu_usage_seconds_total",
                "container_memory_working_set_bytes",
                "kubernetes-cadvisor"
            ]
        );
        assert_eq!(
            [&labels.namespace, &labels.pod, &labels.container],
            ["namespace", "pod_name", "name"]
        );
    }
}

#[test]
fn flags_win_over_the_preset() {
    let settings = settings(&[
        "--prometheus-preset=thanos-mimir",
        "--prometheus-address=https://mimir.example.com/prometheus",
        "--prometheus-header=X-Scope-OrgID: one|two",
        "--prometheus-header=x-more:1",
        "--container-pod-name-label=p",
        "--history-resolution=1h",
    ]);
    assert_eq!(
        settings.address.to_string(),
        "https://mimir.example.com/prometheus"
    );
    let headers: Vec<_> = settings
        .headers
        .iter()
        .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
        .collect();
    assert_eq!(headers, ["x-scope-orgid=one|two", "x-more=1"]);
    assert_eq!(settings.queries.labels.pod, "p");
    assert_eq!(settings.queries.resolution.to_string(), "1h");
}

#[test]
fn a_token_file_wins_over_a_token_and_a_token_over_a_user() {
    let (token, file, user) = (
        "--prometheus-bearer-token=t",
        "--prometheus-bearer-token-file=/f",
        "--username=u",
    );
    let basic = Credentials::Basic("u".into(), "p".into());
    let cases = [
        (&[][..], Credentials::None),
        (&[user, "--password=p"][..], basic),
        (&[token], Credentials::Token("t".into())),
        (&[token, user], Credentials::Token("t".into())),
        (&[file], Credentials::TokenFile("/f".into())),
        (&[file, user], Credentials::TokenFile("/f".into())),
        (&[file, token], Credentials::TokenFile("/f".into())),
    ];
    for (flags, expected) in cases {
        assert_eq!(settings(flags).credentials, expected, "{flags:?}");
    }
    let error = options(&[token, file, user])
        .unwrap()
        .settings(true)
        .unwrap_err();
    assert!(error.to_string().contains("keep one of them"), "{error}");
}

#[test]
fn wrong_values_are_refused_with_what_to_do() {
    let cases = [
        ("--prometheus-preset=grafana", "kube-prometheus-stack"),
        ("--prometheus-address=prometheus:9090", "write it like"),
        ("--prometheus-address=ftp://x", "write it like"),
        ("--prometheus-address=http://x?y", "write it like"),
        ("--prometheus-header=tenant", "write it like"),
        ("--prometheus-header=a b: c", "write it like"),
        ("--prometheus-query-timeout=5", "write it like"),
        ("--prometheus-query-timeout=0s", "longer than nothing"),
        ("--history-length=8 days", "write it like"),
        ("--history-length=0d", "write it like"),
        ("--history-resolution=1h1d", "write it like"),
        ("--history-cpu-metric=sum(x)", "write a name"),
        ("--container-name-label=", "write a name"),
    ];
    for (flag, told) in cases {
        let error = options(&[flag]).unwrap_err().to_string();
        assert!(error.contains(told), "{flag}: {error}");
    }
    let short = options(&["--history-length=30m"]).unwrap();
    let error = short.settings(true).unwrap_err().to_string();
    assert!(error.contains("--history-length=30m"), "{error}");
}

#[test]
fn durations_are_written_as_in_prometheus() {
    let cases = [
        ("8d", Some(691_200_000)),
        ("1h30m", Some(5_400_000)),
        ("1w2d", Some(777_600_000)),
        ("1y", Some(31_536_000_000)),
        ("1s500ms", Some(1500)),
        ("0", None),
        ("", None),
        ("1.5h", None),
        ("h", None),
        ("1m1m", None),
        ("99999999999999999999y", None),
    ];
    for (text, millis) in cases {
        let parsed = text.parse::<PrometheusDuration>().ok();
        assert_eq!(parsed.map(|d| d.duration.as_millis()), millis, "{text:?}");
    }
}
