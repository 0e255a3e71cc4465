//! The backends: one that takes its time, and one that does not.

use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::time::sleep;

pub(crate) fn router(time_scale: f64) -> Router {
    let mock = async || ([(CONTENT_TYPE, "text/plain")], "Mock Resource is Invoked.");
    let echo = async move || {
        sleep(ECHO_TIME.mul_f64(time_scale)).await;
        ([(CONTENT_TYPE, "text/plain")], "echo Resource is invoked")
    };
    let (mock, echo) = (get(mock).post(mock).put(mock), get(echo).post(echo).put(echo));
    Router::new()
        .route("/mock", mock.clone())
        .route("/mock/", mock)
        .route("/echo", echo.clone())
        .route("/echo/", echo)
}

const ECHO_TIME: Duration = Duration::from_secs(30);
