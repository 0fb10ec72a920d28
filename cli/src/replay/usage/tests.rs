use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// A file that is gone afterwards.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("podfit-usage-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Names of series and how many samples each has, in the order of handing over; what was left out.
fn read(name: &str, content: &[u8]) -> (Vec<(String, usize)>, Vec<String>) {
    let file = Temporary::new(name, content);
    let usage = Usage::open(&file.0).unwrap();
    let mut series = Vec::new();
    let faults = usage.read(&|_| {}, |one| {
        series.push((one.name, one.samples.len()));
        Ok(())
    });
    (series, faults.unwrap().lines().collect())
}

fn named(series: &[(&str, usize)]) -> Vec<(String, usize)> {
    series
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

const HEADER: &str = "series,timestamp_s,cpu_cores,memory_bytes\n";

#[test]
fn series_come_whole_whether_together_or_mixed() {
    let together = format!("{HEADER}a,0,1,1\na,60,1,1\nb,0,1,1\n");
    let mixed = format!("{HEADER}a,0,1,1\nb,0,1,1\na,60,1,1\n");
    for (name, content) in [("together", together), ("mixed", mixed)] {
        assert_eq!(
            read(name, content.as_bytes()),
            (named(&[("a", 2), ("b", 1)]), vec![])
        );
        assert_eq!(
            read(name, &gzip(&content)),
            (named(&[("a", 2), ("b", 1)]), vec![])
        );
    }
}

#[test]
fn fields_may_be_empty_and_columns_in_any_order() {
    let file = Temporary::new(
        "order",
        b"memory_bytes,series,timestamp_s\n,a,0.5\n0,a,60\n5e9,a,120\n",
    );
    let mut samples = Vec::new();
    let usage = Usage::open(&file.0).unwrap();
    usage
        .read(&|_| {}, |one| {
            samples = one.samples;
            Ok(())
        })
        .unwrap();
    let memory: Vec<_> = samples.iter().map(|sample| sample.memory).collect();
    assert_eq!(memory, [None, None, Some(5e9)]);
    assert_eq!(samples[0].at, Timestamp::from_unix_millis(500));
    assert!(samples.iter().all(|sample| sample.cpu.is_none()));
}

#[test]
fn rows_that_cannot_be_used_are_told_by_line() {
    let content = format!(
        "{HEADER}a,0,1,1\na,x,1,1\na,1e300,1,1\na,60,much,1\na,60,NaN,1\na,60,inf,1\na,60,-1,1\na,60,1\n,60,1,1\na,0,1,1\na,120,1,1\n"
    );
    let (series, faults) = read("faults", content.as_bytes());
    assert_eq!(series, named(&[("a", 2)]));
    assert_eq!(
        faults,
        [
            "1 row left out: wrong number of fields (line 9)",
            "1 row left out: no series named (line 10)",
            "2 rows left out: timestamp is no number (lines 3, 4)",
            "3 rows left out: amount is no finite number (lines 5, 6, 7)",
            "1 row left out: amount below zero (line 8)",
            "1 row left out: not later than the row before of its series (line 11)",
        ]
    );
}

#[test]
fn many_rows_with_one_fault_are_counted() {
    let rows: String = (0..10).map(|_| "a,0,-1,1\n").collect();
    let (_, faults) = read("many", format!("{HEADER}{rows}").as_bytes());
    assert_eq!(
        faults,
        ["10 rows left out: amount below zero (lines 2, 3, 4, 5, 6, …)"]
    );
}

#[test]
fn what_was_cut_off_is_used_as_far_as_it_goes() {
    let rows: Vec<String> = (0..10_000)
        .map(|n| {
            format!(
                "a,{},{},1
",
                n * 60,
                f64::from(n % 97) / 7.0
            )
        })
        .collect();
    let rows = rows.concat();
    let whole = gzip(&format!("{HEADER}{rows}"));
    let (series, faults) = read("cut", &whole[..whole.len() / 2]);
    assert!((1000..9000).contains(&series[0].1), "{series:?}");
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0].starts_with("1 row left out: the file is cut off"),
        "{faults:?}"
    );
}

#[test]
fn a_file_without_usage_is_refused() {
    let refused = |content: &[u8]| {
        let file = Temporary::new("refused", content);
        format!("{:#}", Usage::open(&file.0).err().unwrap())
    };
    assert!(refused(b"").contains("no column series"));
    assert!(
        refused(b"series,timestamp_s\n").contains("neither a column cpu_cores nor memory_bytes")
    );
    assert!(refused(b"pod,timestamp_s,cpu_cores\n").contains("no column series"));
    assert!(Usage::open(Path::new("/nowhere/usage.csv")).is_err());
}
