//! What a trusted proxy says of the requests of its connection.

use super::*;
use crate::{TrustedPeers, TrustedProxies};

#[tokio::test(start_paused = true)]
async fn each_stream_has_its_own_client() {
    let service = service_fn(async |request: Request<RequestBody>| {
        let connection = request.extensions().get::<ConnectInfo>().expect("facts");
        let client = connection.client().map(|client| client.ip.to_string());
        let text = format!("{client:?} {}", connection.scheme());
        Ok::<_, Infallible>(Response::new(text))
    });
    let server = Server::new().behind(TrustedProxies::new(TrustedPeers::local()));
    let streams = Streams::connect(&server, service).await;
    for (client, expected) in [
        (Some("192.0.2.7"), "Some(\"192.0.2.7\") https"),
        (Some("2001:db8::7"), "Some(\"2001:db8::7\") https"),
        (None, "None http"),
    ] {
        let mut request = Request::get("http://a/");
        if let Some(client) = client {
            request = request
                .header("x-forwarded-for", client)
                .header("x-forwarded-proto", "https");
        }
        let response = streams.send(request.body(()).unwrap(), None).await;
        assert_eq!(response.unwrap().text(), expected);
    }
}
