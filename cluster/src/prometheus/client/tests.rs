use std::io::Write;

use super::*;
use crate::prometheus::fake::{Fake, answer, client, settings};

const RANGE: Range = Range {
    start: Timestamp::from_unix_millis(1_500_000_000_500),
    end: Timestamp::from_unix_seconds(1_500_003_600),
    step: Duration::from_mins(5),
};

const EMPTY: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;

#[tokio::test]
async fn questions_go_below_the_path_with_headers_and_credentials() {
    let fake = Fake::start(|_| answer("200 OK", EMPTY)).await;
    // Upstream's rows.
    let cases = [
        (
            &["--username=user", "--password=password"][..],
            "Basic dXNlcjpwYXNzd29yZA==",
        ),
        (
            &["--username=prom_user", "--password=prom_password"],
            "Basic cHJvbV91c2VyOnByb21fcGFzc3dvcmQ=",
        ),
        (&["--prometheus-bearer-token=token"], "Bearer token"),
        (
            &[
                "--prometheus-bearer-token=token",
                "--username=user",
                "--password=password",
            ],
            "Bearer token",
        ),
    ];
    for (flags, authorization) in cases {
        let flags = [flags, &["--prometheus-header=X-Scope-OrgID: a"]].concat();
        let series = fake
            .client(&flags)
            .range(r#"a{b="c d"}"#, RANGE, false)
            .await;
        assert_eq!(series.unwrap(), []);
        let asked = fake.asked().pop().unwrap();
        assert_eq!(asked.path, "/prefix/api/v1/query_range");
        let parameters = ["query", "start", "end", "step"].map(|name| asked.parameter(name));
        assert_eq!(
            parameters,
            [r#"a{b="c d"}"#, "1500000000.500", "1500003600.000", "300"]
        );
        let line = format!("authorization: {authorization}\r\n");
        assert!(asked.head.contains(&line), "{}", asked.head);
        assert!(
            asked.head.contains("x-scope-orgid: a\r\n"),
            "{}",
            asked.head
        );
    }
}

#[tokio::test]
async fn a_token_file_may_change() {
    let fake = Fake::start(|_| answer("200 OK", EMPTY)).await;
    let path = std::env::temp_dir().join(format!("podfit-token-{}", std::process::id()));
    let flag = format!("--prometheus-bearer-token-file={}", path.display());
    let client = fake.client(&[&flag]);
    for token in ["one", "two"] {
        let mut file = std::fs::File::create(&path).unwrap();
        writeln!(file, "{token}").unwrap();
        client.range("x", RANGE, false).await.unwrap();
        let line = format!("authorization: Bearer {token}\r\n");
        assert!(fake.asked().pop().unwrap().head.contains(&line));
    }
    std::fs::remove_file(&path).unwrap();
    let error = client
        .range("x", RANGE, false)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("--prometheus-bearer-token-file"), "{error}");
}

#[tokio::test]
async fn each_bad_answer_is_told_with_what_to_do() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"status\":\"succ".to_vec();
    let huge = format!("\"{}\"", "x".repeat(LARGEST_ANSWER));
    let refused = r#"{"status":"error","errorType":"execution","error":"too many samples"}"#;
    let partial =
        r#"{"status":"success","warnings":["store a"],"data":{"resultType":"matrix","result":[]}}"#;
    let found =
        b"HTTP/1.1 302 Found\r\nLocation: https://login/\r\nContent-Length: 0\r\n\r\n".to_vec();
    let cases = [
        (
            answer("200 OK", "<html>Grafana</html>"),
            "is --prometheus-address the base of its API?",
        ),
        (
            answer("200 OK", ""),
            "is --prometheus-address the base of its API?",
        ),
        (answer("200 OK", r#"{"status":"success"}"#), "no data in it"),
        (answer("200 OK", partial), "are all stores behind it up?"),
        (answer("200 OK", &huge), "larger than"),
        (half, "is --prometheus-address (or"),
        (b"SSH-2.0-x\r\n".to_vec(), "is --prometheus-address (or"),
        (Vec::new(), "within 200ms"),
        (found, "not of a login page"),
        (
            answer("401 Unauthorized", "who?"),
            "check --prometheus-bearer-token-file",
        ),
        (
            answer("404 Not Found", "404 page\nnot found"),
            "404 page; is the path",
        ),
        (
            answer("422 Unprocessable Entity", refused),
            "execution: too many samples",
        ),
        (
            answer("503 Service Unavailable", ""),
            "answers 503 Service Unavailable: nothing",
        ),
    ];
    for (answer, told) in cases {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(80)]).into_owned();
        let fake = Fake::start(move |_| answer.clone()).await;
        // Ample for the large answer, and short for none at all.
        let timeout = if shown.is_empty() { "200ms" } else { "60s" };
        let client = fake.client(&[&format!("--prometheus-query-timeout={timeout}")]);
        let error = client.range("x", RANGE, false).await.unwrap_err();
        assert!(error.to_string().contains(told), "{shown}: {error}");
        let less_would_do = told == "larger than" || shown.contains("422");
        assert_eq!(error.is_too_much(), less_would_do, "{shown}");
    }
}

#[tokio::test]
async fn nobody_at_home_is_told_as_well() {
    // An address that was free a moment ago.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let settings = settings(&[&format!("--prometheus-address=http://{address}")]);
    let error = client(&settings)
        .range("x", RANGE, false)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("does it run?"), "{error}");
}

#[tokio::test]
async fn requests_are_counted_by_their_outcome() {
    let registry = prometheus::Registry::new();
    let metrics = RequestMetrics::new(&registry).unwrap();
    let fake = Fake::start(|asked| match asked.parameter("query") {
        "good" => answer("200 OK", EMPTY),
        "bad" => answer("503 Service Unavailable", ""),
        _ => b"?\r\n\r\n".to_vec(),
    })
    .await;
    let client = Prometheus::new(&fake.settings(&[]), metrics.clone()).unwrap();
    for query in ["good", "good", "bad", "none"] {
        let _ = client.range(query, RANGE, false).await;
    }
    for (code, count) in [("200", 2), ("503", 1), ("error", 1)] {
        assert_eq!(metrics.count.with_label_values(&[code, "get"]).get(), count);
        let durations = metrics.duration.with_label_values(&[code, "get"]);
        assert_eq!(durations.get_sample_count(), count);
    }
}

#[test]
fn settings_that_make_no_client_are_told() {
    // Rustls needs to know its provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let metrics = || RequestMetrics::new(&prometheus::Registry::new()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _guard = runtime.enter();
    let of = |flags: &[&str]| Prometheus::new(&settings(flags), metrics()).map(drop);
    let https = "--prometheus-address=https://127.0.0.1:1";
    let error = of(&[https, "--prometheus-ca-file=/no/such/file"]).unwrap_err();
    assert!(
        error.to_string().contains("--prometheus-ca-file"),
        "{error}"
    );
    of(&[https, "--prometheus-insecure"]).unwrap();
}
