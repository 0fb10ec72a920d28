//! An API server of a few lines.

use std::collections::BTreeMap;
use std::sync::Mutex;

use actix_web::http::Method;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use clap::Parser;
use kube::{Client, Config};
use podfit_cluster::calls::Calls;
use podfit_webhook::options::Options;
use serde_json::{Value, json};

/// Objects by path, each with the resourceVersion of its last write. Writes are checked as an API server checks them.
#[derive(Default)]
pub struct Store {
    pub objects: BTreeMap<String, Value>,
    pub writes: u64,
    /// Refuse everything.
    pub refusing: bool,
}

impl Store {
    fn answer(&mut self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        if self.refusing {
            return refusal(403);
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match *method {
            Method::GET => self
                .objects
                .get(path)
                .map_or_else(|| refusal(404), |object| (200, object.clone())),
            Method::POST => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if self.objects.contains_key(&path) {
                    refusal(409)
                } else {
                    self.write(&path, body)
                }
            }
            Method::PUT | Method::PATCH => {
                let Some(stored) = self.objects.get(path) else {
                    return refusal(404);
                };
                if stored["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
                    return refusal(409);
                }
                let mut new = stored.clone();
                if method == Method::PUT {
                    new = body;
                } else {
                    json_patch::merge(&mut new, &body);
                }
                self.write(path, new)
            }
            _ => refusal(405),
        }
    }

    pub fn write(&mut self, path: &str, mut object: Value) -> (u16, Value) {
        self.writes += 1;
        object["metadata"]["resourceVersion"] = self.writes.to_string().into();
        self.objects.insert(path.into(), object.clone());
        (200, object)
    }
}

fn refusal(code: u16) -> (u16, Value) {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        _ => "MethodNotAllowed",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason});
    (code, status)
}

pub type Shared = web::Data<Mutex<Store>>;

async fn answer(request: HttpRequest, body: web::Bytes, store: Shared) -> HttpResponse {
    let (code, object) = store
        .lock()
        .unwrap()
        .answer(request.method(), request.path(), &body);
    HttpResponse::build(code.try_into().unwrap()).json(object)
}

/// Starts the API server, and a way to call it.
pub fn api_server() -> (Shared, Calls) {
    let store = Shared::default();
    let shared = store.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .default_service(web::to(answer))
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let uri = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    let client = Client::try_from(Config::new(uri.parse().unwrap())).unwrap();
    (
        store,
        Calls::new(client, &Options::parse_from(["podfit-webhook"]).cluster),
    )
}
