use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;
use podfit_cluster::index::Index;
use podfit_core::history::PodContainerWindow;
use podfit_core::ownership::Controller;
use podfit_core::pod::{Container, OwnerRef, Pod};
use podfit_core::quantity::Millicores;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_500_000_000);

fn target() -> ControllerKey {
    ControllerKey::new("shop", "StatefulSet", "db")
}

fn view() -> View {
    let owner = OwnerRef {
        api_version: "apps/v1".into(),
        kind: "StatefulSet".into(),
        name: "db".into(),
    };
    let mut index = Index::default();
    index.owners.apply(target(), Controller::default());
    index.vpas.apply(Vpa {
        namespace: "shop".into(),
        name: "db".into(),
        target: Some(owner.clone()),
        ..Vpa::default()
    });
    let pod = Pod {
        namespace: "shop".into(),
        name: "db-0".into(),
        uid: "u".into(),
        owner: Some(owner),
        containers: vec![Container {
            name: "app".into(),
            ..Container::default()
        }],
        ..Pod::default()
    };
    index
        .pods
        .insert(("shop".into(), "db-0".into()), Arc::new(pod));
    View::of(&index, &"default".into())
}

/// A Prometheus that is down for so many questions, and then has one sample of an hour ago. Its address, and how many
/// questions there were.
fn prometheus(down: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let questions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&questions);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&stream).lines();
            let head: Vec<_> = lines
                .map_while(Result::ok)
                .take_while(|l| !l.is_empty())
                .collect();
            let (status, body) = if count.fetch_add(1, Ordering::SeqCst) < down {
                ("503 Service Unavailable", "")
            } else if head[0].contains("/api/v1/series") {
                ("200 OK", r#"{"status":"success","data":[]}"#)
            } else {
                (
                    "200 OK",
                    r#"{"status":"success","data":{"resultType":"matrix","result":[
                    {"metric":{"namespace":"shop","pod":"db-0","container":"app"},"values":[[1499996400,"0.5"]]}]}}"#,
                )
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    (address, questions)
}

fn start(flags: &[&str]) -> (Options, Backfills) {
    let options = Options::parse_from([&["podfit-recommender"], flags].concat());
    let backfills = Backfills::start(&options, &prometheus::Registry::new()).unwrap();
    (options, backfills)
}

fn ask(backfills: &mut Backfills, view: &View, model: &Model) -> usize {
    backfills.ask(view, view.targets(), model, NOW);
    backfills.asking.as_ref().unwrap().missing
}

#[tokio::test]
async fn the_past_comes_once_prometheus_is_up_and_is_asked_for_once() {
    let (address, questions) = prometheus(1);
    let address = format!("--prometheus-address=http://{address}");
    let (options, mut backfills) = start(&[
        &address,
        "--container-pod-name-label=pod",
        "--container-name-label=container",
    ]);
    let (view, mut model) = (view(), Model::new(options.history()));
    assert_eq!(ask(&mut backfills, &view, &model), 1);
    backfills.complete().await;
    backfills.add(&view, &mut model, NOW);

    let histories = model.histories(&target());
    // Half a core for an hour.
    assert_eq!(
        (histories[0].0, histories[0].1.total_samples()),
        ("app", 60)
    );
    assert!(histories[0].1.has_past());
    let asked = questions.load(Ordering::SeqCst);
    // The first was in vain; then owners, CPU and memory.
    assert_eq!((asked, ask(&mut backfills, &view, &model)), (4, 0));

    // A restart: the checkpoint says that the past is in it.
    let (_, mut restarted) = start(&[&address]);
    assert_eq!(ask(&mut restarted, &view, &model), 0);
}

#[tokio::test]
async fn a_history_that_is_long_enough_is_left_alone() {
    let (options, mut backfills) = start(&["--storage=prometheus"]);
    let (view, day) = (view(), Duration::from_hours(24));
    for (days, missing) in [(9, 0), (7, 1)] {
        let mut history = podfit_core::history::ContainerHistory::new(&options.history(), NOW);
        let at = NOW - day * days;
        let mut window = PodContainerWindow::default();
        window
            .add_cpu(&mut history, Millicores(1), (at, NOW))
            .unwrap();
        let mut model = Model::new(options.history());
        let open = std::collections::BTreeMap::new();
        let stored = crate::model::StoredHistory { history, open };
        model.absorb(&target(), "app", stored, NOW);
        assert_eq!(ask(&mut backfills, &view, &model), missing);
        backfills.asking.as_mut().unwrap().seen.clear();
    }
}

#[tokio::test]
async fn without_a_word_of_prometheus_nothing_is_asked() {
    let (options, mut backfills) = start(&[]);
    let (view, model) = (view(), Model::new(options.history()));
    backfills.ask(&view, view.targets(), &model, NOW);
    assert!(backfills.asking.is_none());
    for flag in [
        "--storage=prometheus",
        "--prometheus-preset=custom",
        "--prometheus-address=http://x",
    ] {
        assert!(start(&[flag]).1.asking.is_some(), "{flag}");
    }
}
