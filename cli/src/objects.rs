//! Objects as plain JSON, by their path in the API: for what is looked at once, and of which little is read.

use http::Request;
use podfit_cluster::calls::{CallError, Calls};
use serde_json::Value;

/// How many objects are asked for at a time.
const PAGE: usize = 500;

/// What the API server answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// This.
    Found(Value),
    /// There is no such object, or no such API.
    Absent,
    /// The right to ask is missing; its words.
    Denied(String),
    /// Something else is wrong; its words.
    Failed(String),
}

impl Answer {
    /// What was found.
    pub fn found(&self) -> Option<&Value> {
        match self {
            Self::Found(value) => Some(value),
            _ => None,
        }
    }

    /// The items of a list that was found; none of anything else.
    pub fn items(&self) -> impl Iterator<Item = &Value> {
        let items = self.found().and_then(|list| list["items"].as_array());
        items.into_iter().flatten()
    }

    /// Why nothing is known, when that is so. That there is nothing, is known.
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Self::Found(_) | Self::Absent => None,
            Self::Denied(why) | Self::Failed(why) => Some(why),
        }
    }
}

impl From<Result<Value, CallError>> for Answer {
    fn from(answer: Result<Value, CallError>) -> Self {
        match answer {
            Ok(value) => Self::Found(value),
            Err(error) if error.is_not_found() => Self::Absent,
            Err(error) if matches!(error.status(), Some(401 | 403)) => {
                Self::Denied(error.to_string())
            }
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

/// What is at a path.
pub async fn get(calls: &Calls, path: &str) -> Answer {
    request(calls, Request::get(path).body(Vec::new())).await
}

/// The text at a path: metrics, say.
pub async fn get_text(calls: &Calls, path: &str) -> Result<String, String> {
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    let answer = calls.client().request_text(request);
    let answer = calls.run(&format!("get {path}"), answer).await;
    answer.map_err(|error| error.to_string())
}

/// The answer to an object that is a question, such as an access review.
pub async fn post(calls: &Calls, path: &str, object: &Value) -> Answer {
    let request_ = Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(object.to_string().into_bytes());
    request(calls, request_).await
}

/// All objects of a list, page by page.
pub async fn list(calls: &Calls, path: &str) -> Answer {
    list_labelled(calls, path, "").await
}

/// Those of a list that have `labels`, a selector as kubectl takes it; empty for all.
pub async fn list_labelled(calls: &Calls, path: &str, labels: &str) -> Answer {
    let query = form_urlencoded::Serializer::new(format!("limit={PAGE}"))
        .append_pair("labelSelector", labels)
        .finish();
    let mut items = Vec::new();
    let mut token = String::new();
    loop {
        let mut page = match get(calls, &format!("{path}?{query}{token}")).await {
            Answer::Found(page) => page,
            other => return other,
        };
        if let Value::Array(more) = page["items"].take() {
            items.extend(more);
        }
        match page["metadata"]["continue"].as_str() {
            Some(next) if !next.is_empty() => token = format!("&continue={next}"),
            _ => return Answer::Found(serde_json::json!({"items": items})),
        }
    }
}

async fn request(calls: &Calls, request: Result<Request<Vec<u8>>, http::Error>) -> Answer {
    let request = match request {
        Ok(request) => request,
        Err(error) => return Answer::Failed(error.to_string()),
    };
    let what = format!(
        "{} {}",
        request.method().as_str().to_lowercase(),
        request.uri().path()
    );
    let answer = calls.client().request::<Value>(request);
    calls.run(&what, answer).await.into()
}
