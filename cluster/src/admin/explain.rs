//! `/explain/<namespace>/<name>`: a question to the loop, which owns what is known, and its answer as JSON.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// How many questions may wait for the loop.
const WAITING: usize = 16;

/// How long one waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// A question about an object.
#[derive(Debug)]
pub struct Question {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    answer: oneshot::Sender<Result<Value, String>>,
}

impl Question {
    /// Answers; with a sentence where there is nothing to explain.
    pub fn answer(self, answer: Result<Value, String>) {
        let _ = self.answer.send(answer); // whoever asked may have gone
    }
}

/// Where the loop takes questions from.
pub type Questions = mpsc::Receiver<Question>;

/// Asks the loop. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Asker {
    questions: mpsc::Sender<Question>,
    patience: Duration,
}

impl Asker {
    /// With the other end for the loop.
    pub fn new() -> (Self, Questions) {
        let (questions, receiver) = mpsc::channel(WAITING);
        let asker = Self {
            questions,
            patience: PATIENCE,
        };
        (asker, receiver)
    }

    /// The route.
    pub fn route(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(web::Data::new(self.clone()))
            .route("/explain/{namespace}/{name}", web::get().to(explain));
    }

    /// `None` when the loop is too busy.
    async fn ask(&self, namespace: String, name: String) -> Option<Result<Value, String>> {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            namespace,
            name,
            answer,
        };
        self.questions.try_send(question).ok()?;
        tokio::time::timeout(self.patience, answered)
            .await
            .ok()?
            .ok()
    }
}

async fn explain(asker: web::Data<Asker>, path: web::Path<(String, String)>) -> HttpResponse {
    let (namespace, name) = path.into_inner();
    match asker.ask(namespace, name).await {
        Some(Ok(explanation)) => HttpResponse::Ok().json(explanation),
        Some(Err(why)) => HttpResponse::NotFound().json(failure(404, "NotFound", &why)),
        None => HttpResponse::ServiceUnavailable().json(failure(
            503,
            "ServiceUnavailable",
            "the loop is busy, or has not begun; try again",
        )),
    }
}

/// As the API server answers, so that kubectl shows the message.
fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    })
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::test::{TestRequest, call_and_read_body_json, call_service, init_service};

    use super::*;

    #[actix_web::test]
    async fn the_loop_answers() {
        let (asker, mut questions) = Asker::new();
        let app = init_service(App::new().configure(|config| asker.route(config))).await;
        tokio::spawn(async move {
            while let Some(question) = questions.recv().await {
                let known = question.name == "web";
                let about = format!("{}/{}", question.namespace, question.name);
                question.answer(if known { Ok(json!(about)) } else { Err(about) });
            }
        });
        let get = |path: &str| TestRequest::get().uri(path).to_request();
        let known: Value = call_and_read_body_json(&app, get("/explain/shop/web")).await;
        assert_eq!(known, "shop/web");
        let unknown = call_service(&app, get("/explain/shop/none")).await;
        assert_eq!(unknown.status(), 404);
    }

    #[actix_web::test]
    async fn a_loop_that_does_not_listen_is_told_busy() {
        let (mut asker, questions) = Asker::new();
        asker.patience = Duration::from_millis(10);
        let app = init_service(App::new().configure(|config| asker.route(config))).await;
        let get = || TestRequest::get().uri("/explain/shop/web").to_request();
        assert_eq!(call_service(&app, get()).await.status(), 503);
        drop(questions);
        assert_eq!(call_service(&app, get()).await.status(), 503);
    }
}
