//! A server for tests that answers as it is told, well or badly.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use clap::Parser;
use podfit_core::time::Timestamp;
use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Prometheus, PrometheusOptions, RequestMetrics, Settings};

/// What was asked: the path, the parameters, and all headers.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub parameters: BTreeMap<String, String>,
    pub head: String,
}

impl Asked {
    fn read(head: &str) -> Self {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            path: path.to_owned(),
            parameters: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            head: head.to_owned(),
        }
    }

    /// A parameter; empty where it was not given.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// `start`, `end` or `step`, in seconds.
    pub fn seconds(&self, name: &str) -> i64 {
        self.parameter(name).parse::<f64>().unwrap() as i64
    }
}

/// What is answered: all bytes of it, status line and headers included.
pub type Answer = Vec<u8>;

/// A server; it ends with the test's runtime.
pub struct Fake {
    pub address: SocketAddr,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    pub async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::default());
        let (answer, kept) = (Arc::new(answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&kept)));
            }
        });
        Self { address, asked }
    }

    /// Settings with which it is asked.
    pub fn settings(&self, flags: &[&str]) -> Settings {
        let address = format!("--prometheus-address=http://{}/prefix/", self.address);
        settings(&[&[address.as_str()], flags].concat())
    }

    pub fn client(&self, flags: &[&str]) -> Prometheus {
        client(&self.settings(flags))
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Settings from flags.
pub fn settings(flags: &[&str]) -> Settings {
    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: PrometheusOptions,
    }
    let command = Command::parse_from([&["x"], flags].concat());
    command.options.settings(true).unwrap()
}

pub fn client(settings: &Settings) -> Prometheus {
    let metrics = RequestMetrics::new(&Registry::new()).unwrap();
    Prometheus::new(settings, metrics).unwrap()
}

/// One request a connection.
async fn serve(
    mut stream: TcpStream,
    answer: Arc<impl Fn(&Asked) -> Answer>,
    kept: Arc<Mutex<Vec<Asked>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let asked = Asked::read(std::str::from_utf8(&head).unwrap());
    kept.lock().unwrap().push(asked.clone());
    let answer = answer(&asked);
    if answer.is_empty() {
        // Nothing, and the connection stays open.
        std::future::pending::<()>().await;
    }
    // Who had enough of it hangs up.
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

/// A whole answer.
pub fn answer(status: &str, body: &str) -> Answer {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into()
}

/// A good answer to a range query: one series, with the labels of a container, and a point at each step.
pub fn points(
    asked: &Asked,
    (pod, container): (&str, &str),
    value: impl Fn(Timestamp) -> f64,
) -> String {
    let (start, end, step) = (
        asked.seconds("start"),
        asked.seconds("end"),
        asked.seconds("step"),
    );
    let points = (0..)
        .map(|n| start + n * step)
        .take_while(|at| *at <= end)
        .map(|at| format!(r#"[{at},"{}"]"#, value(Timestamp::from_unix_seconds(at))));
    let points: Vec<_> = points.collect();
    format!(
        r#"{{"metric":{{"namespace":"shop","pod":"{pod}","container":"{container}"}},"values":[{}]}}"#,
        points.join(",")
    )
}

/// A good answer to a range query, of these series.
pub fn matrix(series: &[String]) -> Answer {
    let series = series.join(",");
    let body =
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#);
    answer("200 OK", &body)
}
