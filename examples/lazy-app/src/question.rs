//! `GET /prime/N`.

use http::{HeaderValue, Response, StatusCode, Uri, header::CONTENT_TYPE};
use tower_wsgi::Body;

use crate::sieve::Sieve;

/// The properties of the number at the end of the path, as JSON.
pub(crate) fn respond(sieve: &Sieve, uri: &Uri) -> Response<Body> {
    let number = uri.path().rsplit('/').next().unwrap_or_default().parse();
    let number: u64 = match number {
        Ok(number) if number <= sieve.limit() => number,
        _ => {
            let problem = format!("ask for a whole number from 0 to {}\n", sieve.limit());
            let mut response = Response::new(Body::from(problem));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return response;
        }
    };
    let (prime, up_to) = (sieve.is_prime(number), sieve.count(number));
    let json = format!("{{\"number\":{number},\"prime\":{prime},\"primes_up_to_it\":{up_to}}}\n");
    let mut response = Response::new(Body::from(json));
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn ask(path: &'static str) -> (StatusCode, String) {
        let response = respond(&Sieve::up_to(1000), &Uri::from_static(path));
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.expect("the body is whole").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn a_number_is_described() {
        let expected = "{\"number\":997,\"prime\":true,\"primes_up_to_it\":168}\n";
        assert_eq!(ask("/prime/997").await, (StatusCode::OK, expected.into()));
    }

    #[tokio::test]
    async fn what_is_no_number_of_the_sieve_is_refused() {
        for path in [
            "/prime/",
            "/prime/-1",
            "/prime/1.5",
            "/prime/1001",
            "/prime/99999999999999999999",
        ] {
            let expected = "ask for a whole number from 0 to 1000\n";
            let given = ask(path).await;
            assert_eq!(given, (StatusCode::BAD_REQUEST, expected.into()), "{path}");
        }
    }
}
