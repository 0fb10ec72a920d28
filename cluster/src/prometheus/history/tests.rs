use podfit_core::history::HistoryConfig;

use super::*;
use crate::prometheus::fake::{Asked, Fake, answer, matrix, points};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_500_000_123);
const DAY: Duration = Duration::from_hours(24);

fn wanted(pods: usize) -> Wanted {
    Wanted {
        target: ControllerKey::new("shop", "StatefulSet", "db"),
        pods: (0..pods).map(|n| format!("db-{n}")).collect(),
        rules: BackfillRules {
            history: HistoryConfig::default(),
            until: [("app".to_owned(), NOW)].into(),
            cpu_samples: 1,
        },
        length: DAY * 8,
        now: NOW,
        partial: false,
    }
}

const CPU: f64 = 0.25;
const MEMORY: f64 = 1e9;

/// Two pods, one of which is another's, and a container that is not asked for.
fn usage(asked: &Asked) -> Vec<u8> {
    if asked.path.ends_with("/series") {
        let stranger = r#"{"pod":"db-1","owner_kind":"StatefulSet","owner_name":"other"}"#;
        return answer(
            "200 OK",
            &format!(r#"{{"status":"success","data":[{stranger}]}}"#),
        );
    }
    let value = if asked.parameter("query").contains("cpu") {
        CPU
    } else {
        MEMORY
    };
    let of = [("db-0", "app"), ("db-1", "app"), ("db-0", "gone")];
    matrix(&of.map(|of| points(asked, of, |_| value)))
}

async fn load(fake: &Fake, wanted: &Wanted) -> Result<BTreeMap<String, Backfilled>, Error> {
    let flags = [
        "--prometheus-preset=kube-prometheus-stack",
        "--prometheus-query-timeout=60s",
    ];
    let settings = fake.settings(&flags);
    of(&fake.client(&flags), &settings.queries, wanted).await
}

#[tokio::test]
async fn a_history_is_what_its_points_say() {
    let fake = Fake::start(usage).await;
    let histories = load(&fake, &wanted(1)).await.unwrap();
    assert_eq!(histories.keys().collect::<Vec<_>>(), ["app"]);
    let Backfilled { history, windows } = &histories["app"];
    assert_eq!(windows.keys().collect::<Vec<_>>(), ["db-0"]);
    assert_eq!(history.total_samples(), 8 * 288);
    assert_eq!(
        history.last_sample(),
        Some(Timestamp::from_unix_seconds(1_500_000_000))
    );
    let buckets = history.cpu().buckets();
    let expected = buckets.start(buckets.find(CPU) + 1);
    assert!((history.cpu().percentile(0.9) - expected).abs() < f64::EPSILON);
}

#[tokio::test]
async fn questions_for_many_pods_are_short_ones_without_gap_or_overlap() {
    let fake = Fake::start(usage).await;
    load(&fake, &wanted(100)).await.unwrap();
    let asked = fake.asked();
    let ranges: Vec<_> = asked
        .iter()
        .filter(|a| a.parameter("query").contains("cpu"))
        .map(|a| (a.seconds("start"), a.seconds("end")))
        .collect();
    assert!(ranges.len() > 8, "{ranges:?}");
    for pair in ranges.windows(2) {
        assert_eq!(pair[1].0, pair[0].1 + 300);
    }
    let points: i64 = ranges
        .iter()
        .map(|(start, end)| (end - start) / 300 + 1)
        .sum();
    assert_eq!(points, 8 * 288);
}

#[tokio::test]
async fn what_is_too_much_is_asked_for_in_halves() {
    for too_much in [
        answer("422 Unprocessable Entity", ""),
        answer("200 OK", &" ".repeat(17 << 20)),
    ] {
        let fake = Fake::start(move |asked| {
            if asked.path.ends_with("/series") {
                return answer("404 Not Found", "");
            }
            if asked.seconds("end") - asked.seconds("start") > 86_400 * 3 {
                return too_much.clone();
            }
            matrix(&[points(asked, ("db-0", "app"), |_| 1.0)])
        })
        .await;
        let histories = load(&fake, &wanted(1)).await.unwrap();
        assert_eq!(histories["app"].history.total_samples(), 8 * 288);
    }
}

#[tokio::test]
async fn half_a_history_is_none() {
    let fake = Fake::start(|asked| {
        if asked.parameter("query").contains("memory") {
            return answer("503 Service Unavailable", "");
        }
        usage(asked)
    })
    .await;
    let error = load(&fake, &wanted(1)).await.unwrap_err().to_string();
    assert!(error.contains("503"), "{error}");
}
