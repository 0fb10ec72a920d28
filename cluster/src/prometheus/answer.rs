//! What Prometheus' API answers, read strictly: half an answer is none.

use std::borrow::Cow;
use std::collections::BTreeMap;

use podfit_core::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The points of one series, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its points; some may be NaN or infinite.
    pub points: Vec<(Timestamp, f64)>,
}

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not the API's JSON.
    #[error("{0}")]
    Unreadable(String),
    /// Prometheus says why not.
    #[error("{kind}: {message}")]
    Refused {
        /// Prometheus' word for it, such as `bad_data`.
        kind: String,
        /// Its sentence.
        message: String,
    },
    /// Some of it is missing: a store behind Thanos or VictoriaMetrics did not answer.
    #[error("the answer is not complete: {0}")]
    Partial(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<T> {
    status: String,
    data: Option<T>,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    /// VictoriaMetrics' word.
    #[serde(default)]
    is_partial: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Matrix<'a> {
    result_type: String,
    #[serde(borrow, default)]
    result: Vec<RawSeries<'a>>,
}

#[derive(Deserialize)]
struct RawSeries<'a> {
    metric: BTreeMap<String, String>,
    #[serde(borrow, default)]
    values: Vec<RawPoint<'a>>,
}

/// Seconds, and a number as text.
#[derive(Deserialize)]
struct RawPoint<'a>(f64, #[serde(borrow)] Cow<'a, str>);

impl<T> Envelope<T> {
    /// The data. A partial answer is taken with `partial`.
    fn open(self, partial: bool) -> Result<T, AnswerError> {
        if self.status != "success" {
            return Err(AnswerError::Refused {
                kind: self.error_type,
                message: self.error,
            });
        }
        if !partial && (self.is_partial || !self.warnings.is_empty()) {
            return Err(AnswerError::Partial(self.warnings.join("; ")));
        }
        self.data
            .ok_or_else(|| AnswerError::Unreadable("no data in it".into()))
    }
}

fn unreadable(error: &serde_json::Error) -> AnswerError {
    AnswerError::Unreadable(error.to_string())
}

/// Reads what a range query answers.
pub fn matrix(body: &[u8], partial: bool) -> Result<Vec<Series>, AnswerError> {
    let envelope: Envelope<Matrix<'_>> =
        serde_json::from_slice(body).map_err(|e| unreadable(&e))?;
    let matrix = envelope.open(partial)?;
    if matrix.result_type != "matrix" {
        let kind = matrix.result_type;
        return Err(AnswerError::Unreadable(format!("a {kind}, not a matrix")));
    }
    matrix.result.into_iter().map(series).collect()
}

fn series(raw: RawSeries<'_>) -> Result<Series, AnswerError> {
    let point = |RawPoint(seconds, text): RawPoint<'_>| {
        let number = text
            .parse()
            .map_err(|_| AnswerError::Unreadable(format!("`{text}` where a number is expected")))?;
        Ok((
            Timestamp::from_unix_millis((seconds * 1000.0) as i64),
            number,
        ))
    };
    Ok(Series {
        points: raw
            .values
            .into_iter()
            .map(point)
            .collect::<Result<_, _>>()?,
        labels: raw.metric,
    })
}

/// Reads what a search answers: labels of series, or values of a label.
pub fn list<T: DeserializeOwned>(body: &[u8], partial: bool) -> Result<Vec<T>, AnswerError> {
    let envelope: Envelope<Vec<_>> = serde_json::from_slice(body).map_err(|e| unreadable(&e))?;
    envelope.open(partial)
}

/// What the body of an error says, if it is the API's.
pub fn refusal(body: &[u8]) -> Option<String> {
    let envelope: Envelope<serde::de::IgnoredAny> = serde_json::from_slice(body).ok()?;
    match envelope.open(true) {
        Err(refused @ AnswerError::Refused { .. }) => Some(refused.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_rows_are_read() {
        let labels = r#"{"namespace":"default","pod_name":"pod","name":"container"}"#;
        for (text, number) in [("5.5", 5.5), ("12345", 12345.0), ("1e-3", 1e-3)] {
            let body = format!(
                r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{labels},"values":[[1,"{text}"],[20.5,"NaN"]]}}]}},"infos":["PromQL info"]}}"#
            );
            let [series] = &matrix(body.as_bytes(), false).unwrap()[..] else {
                panic!("not one series")
            };
            assert_eq!(series.labels["name"], "container");
            assert_eq!(series.points[0], (Timestamp::from_unix_seconds(1), number));
            let (at, number) = series.points[1];
            assert_eq!((at.unix_millis(), number.is_nan()), (20_500, true));
        }
    }

    #[test]
    fn what_is_no_whole_answer_is_none() {
        let cases = [
            ("", "EOF"),
            ("<html>", "expected value"),
            (r#"{"status":"success","data":{"resultType":"mat"#, "EOF"),
            (r#"{"status":"success"}"#, "no data"),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
                "a vector, not a matrix",
            ),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"x"]]}]}}"#,
                "`x` where a number",
            ),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1]]}]}}"#,
                "invalid length",
            ),
            (
                r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#,
                "bad_data: parse error",
            ),
        ];
        for (body, told) in cases {
            let error = matrix(body.as_bytes(), true).unwrap_err().to_string();
            assert!(error.contains(told), "{body}: {error}");
        }
    }

    #[test]
    fn a_partial_answer_is_taken_on_demand_only() {
        for mark in [
            r#""warnings":["store a: timed out"]"#,
            r#""isPartial":true"#,
        ] {
            let body = format!(r#"{{"status":"success",{mark},"data":[{{"pod":"web-1"}}]}}"#);
            let error = list::<BTreeMap<String, String>>(body.as_bytes(), false).unwrap_err();
            assert!(matches!(error, AnswerError::Partial(_)), "{error:?}");
            assert_eq!(
                list::<BTreeMap<String, String>>(body.as_bytes(), true).unwrap()[0]["pod"],
                "web-1"
            );
        }
    }

    #[test]
    fn an_errors_own_words_are_kept() {
        let body = br#"{"status":"error","errorType":"execution","error":"too many samples"}"#;
        assert_eq!(refusal(body).unwrap(), "execution: too many samples");
        assert_eq!(refusal(b"<html>"), None);
    }
}
