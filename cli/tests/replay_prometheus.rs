//! `kubectl podfit replay` on what a Prometheus answers, as a user runs it.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

/// An hour and a half of points a minute apart.
const FLAGS: [&str; 3] = [
    "--prometheus-preset=kube-prometheus-stack",
    "--since=90m",
    "--history-resolution=1m",
];

/// A Prometheus that knows two namespaces, shop and bank, with two pods in each, of which one's requests are recorded.
fn prometheus() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        listener
            .incoming()
            .flatten()
            .for_each(|stream| serve(&stream));
    });
    address
}

fn serve(stream: &TcpStream) {
    let mut request = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).unwrap() > 0 {}
    let target = request.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parameter = |name: &str| {
        let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        found.map_or_else(String::new, |(_, value)| value.into_owned())
    };
    let data = match path {
        "/api/v1/label/namespace/values" => json!(["shop", "bank"]),
        "/api/v1/query_range" => {
            let seconds = |name: &str| parameter(name).parse::<f64>().unwrap() as i64;
            let (start, end) = (seconds("start"), seconds("end"));
            let query = parameter("query");
            let points: Vec<_> = (start..=end)
                .step_by(60)
                .map(|at| json!([at, if query.contains("cpu") { "0.5" } else { "1e9" }]))
                .collect();
            if query.starts_with("kube_pod_container_resource_requests{") {
                return answer(stream, &requests(end));
            }
            let pods = ["web-7d4b9c6f5d-x2x4z", "db-0"].map(
                |pod| json!({ "metric": { "pod": pod, "container": "app" }, "values": points }),
            );
            let is_known =
                query.contains(r#"namespace="shop""#) || query.contains(r#"namespace="bank""#);
            json!({ "resultType": "matrix", "result": if is_known { &pods[..] } else { &[] } })
        }
        _ => json!([]),
    };
    answer(stream, &data);
}

fn requests(at: i64) -> Value {
    let series = [("cpu", "1"), ("memory", "2e9")].map(|(resource, amount)| {
        json!({ "metric": { "pod": "db-0", "container": "app", "resource": resource }, "values": [[at, amount]] })
    });
    json!({ "resultType": "matrix", "result": series })
}

fn answer(mut stream: &TcpStream, data: &Value) {
    let body = json!({ "status": "success", "data": data }).to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
}

fn replay(flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-podfit"));
    command.arg("replay").args(flags).output().unwrap()
}

fn asked(address: SocketAddr, flags: &[&str]) -> Output {
    let address = format!("--prometheus=http://{address}");
    replay(&[&FLAGS, &[address.as_str()][..], flags].concat())
}

/// Series, source and figures.
fn series(output: &Output) -> Vec<(String, String, Value)> {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let series = json["series"].as_array().unwrap().iter();
    series
        .map(|one| {
            (
                text(&one["series"]),
                text(&one["source"]),
                one["results"].clone(),
            )
        })
        .collect()
}

fn fails(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn namespaces_are_sources_and_n_names_one() {
    let address = prometheus();
    let names = |flags: &[&str]| -> Vec<String> {
        series(&asked(address, &[&["-o", "json"], flags].concat()))
            .into_iter()
            .map(|(series, source, _)| format!("{source}: {series}"))
            .collect()
    };
    let shop = ["shop: shop/db/app", "shop: shop/web/app"];
    let bank = ["bank: bank/db/app", "bank: bank/web/app"];
    assert_eq!(names(&[]), [bank, shop].concat());
    assert_eq!(names(&["-A"]), [bank, shop].concat());
    assert_eq!(names(&["-n", "shop"]), shop);
}

#[test]
fn kept_usage_comes_out_the_same() {
    let address = prometheus();
    for (name, gzip) in [("kept.csv", false), ("kept.csv.gz", true)] {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let path = path.to_str().unwrap();
        let first = series(&asked(address, &["-o", "json", "--save-usage", path]));
        let again = series(&replay(&["--usage", path, "-o", "json", "--strict"]));
        assert_eq!(first.len(), 4);
        for (first, again) in first.iter().zip(&again) {
            assert_eq!((&first.0, &first.2), (&again.0, &again.2));
            assert!(first.2[0]["cpu"]["slack"].is_f64(), "{first:?}");
        }
        let is_gzip = std::fs::read(path).unwrap().starts_with(&[0x1f, 0x8b]);
        assert_eq!(is_gzip, gzip, "{name}");
    }
}

#[test]
fn what_is_requested_now_is_told_beside_what_would_be() {
    let address = prometheus();
    let told = asked(address, &["-n", "shop", "-o", "json"]);
    let json: Value = serde_json::from_slice(&told.stdout).unwrap();
    let [db, web] = [0, 1].map(|place| &json["series"][place]);
    assert_eq!(db["request"], json!({ "cpu": 1.0, "memory": 2e9 }), "{db}");
    assert_eq!(web["request"], json!({ "cpu": null, "memory": null }));
    let of_request = &db["results"][1];
    assert_eq!(of_request["estimator"], "request");
    assert_eq!(of_request["cpu"]["target"], 1.0);
    assert_eq!(of_request["cpu"]["timeOver"], 0.0);
    assert!((of_request["cpu"]["slack"].as_f64().unwrap() - 0.5).abs() < 1e-9);
    assert!(web["results"][1]["cpu"].is_null(), "{web}");

    let page = Path::new(env!("CARGO_TARGET_TMPDIR")).join("requests.html");
    let flags = ["-n", "shop", "--report", page.to_str().unwrap()];
    let text = String::from_utf8(asked(address, &flags).stdout).unwrap();
    assert!(text.contains(" request "), "{text}");
    let html = std::fs::read_to_string(&page).unwrap();
    assert_eq!(html.matches("<polyline class=request ").count(), 2);
    assert!(html.contains(", 1 requested now"), "{html}");

    let preview = asked(
        address,
        &[
            "-n",
            "shop",
            "--estimator=request,histogram",
            "--apply-preview",
        ],
    );
    let text = String::from_utf8(preview.stdout).unwrap();
    let row = text
        .lines()
        .rfind(|line| line.starts_with("shop/db/app"))
        .unwrap();
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(cells[1], "1", "{row}");
    let less: f64 = cells[3].parse().unwrap();
    assert!(
        (-45.0..-40.0).contains(&less),
        "a half and 15 % of one: {row}"
    );
}

#[test]
fn failures_say_which_flag_to_look_at() {
    let nothing = fails(&asked(prometheus(), &["-n", "elsewhere"]));
    for word in ["elsewhere", "-n", "--prometheus-preset", "90m"] {
        assert!(nothing.contains(word), "{nothing}");
    }
    let left = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let nobody = fails(&asked(left.unwrap(), &[]));
    assert!(nobody.contains("--prometheus"), "{nobody}");
    let neither = fails(&replay(&[]));
    assert!(
        neither.contains("--usage") && neither.contains("--prometheus"),
        "{neither}"
    );
    let kept = fails(&replay(&["--usage", "x.csv", "--save-usage", "y.csv"]));
    assert!(kept.contains("--save-usage"), "{kept}");
}
