//! A page of lines that are made when somebody asks, piece by piece, since there can be many: nothing is kept for it.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use actix_web::{HttpResponse, web};
use futures::stream;

/// So many lines are sent at once.
const LINES: usize = 256;

/// The lines, each with its line break.
pub type Lines = Box<dyn Iterator<Item = String> + Send>;

type Make = Box<dyn Fn() -> Lines + Send + Sync>;

/// The page. It says "not yet" until it is known how its lines are made. Cheap to clone.
#[derive(Clone, Default)]
pub struct Page(Arc<OnceLock<Make>>);

impl Page {
    /// From now on these lines are shown. Only the first call counts.
    pub fn show(&self, make: impl Fn() -> Lines + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(make));
    }

    /// The route.
    pub fn route(&self, path: &'static str, config: &mut web::ServiceConfig) {
        let page = self.clone();
        config.route(
            path,
            web::get().to(move || std::future::ready(page.answer())),
        );
    }

    fn answer(&self) -> HttpResponse {
        let Some(make) = self.0.get() else {
            return HttpResponse::ServiceUnavailable().body("not ready: nothing is known yet");
        };
        let mut lines = make();
        let pieces = std::iter::from_fn(move || {
            let piece: String = lines.by_ref().take(LINES).collect();
            (!piece.is_empty()).then(|| Ok::<_, Infallible>(web::Bytes::from(piece)))
        });
        HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4")
            .streaming(stream::iter(pieces))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::test::{TestRequest, call_and_read_body, call_service, init_service};

    use super::*;

    #[actix_web::test]
    async fn lines_are_made_when_asked_for() {
        let page = Page::default();
        let app = init_service(App::new().configure(|config| page.route("/page", config))).await;
        let get = || TestRequest::get().uri("/page").to_request();
        assert_eq!(call_service(&app, get()).await.status(), 503);
        page.show(|| Box::new((0..1000).map(|n| format!("{n}\n"))));
        let body = call_and_read_body(&app, get()).await;
        let text = std::str::from_utf8(&body).unwrap();
        assert_eq!(text.lines().count(), 1000);
        assert!(text.ends_with("\n999\n"));
    }
}
