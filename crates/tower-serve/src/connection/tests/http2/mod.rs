//! Connections that speak HTTP/2, seen by the client of the crate h2.

mod deadlines;
mod drain;
mod forwarded;
mod requests;
mod responses;
mod tunnel;

use h2::{
    Reason, RecvStream,
    client::{self, SendRequest},
};
use http::{HeaderMap, Version};
use tokio::task::JoinHandle;

use super::{access_log::Logged, timeouts::assert_seconds, *};

const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client on a connection, which is driven on a task.
struct Streams {
    requests: SendRequest<Bytes>,
    /// Resolves at the end of the connection.
    driven: JoinHandle<Result<(), h2::Error>>,
    served: JoinHandle<()>,
}

/// A response, as far as it has come.
#[derive(Debug)]
struct StreamResponse {
    status: u16,
    headers: HeaderMap,
    body: Result<Vec<u8>, h2::Error>,
}

impl StreamResponse {
    fn text(&self) -> &str {
        str::from_utf8(self.body.as_ref().expect("a whole body")).expect("text")
    }

    /// Why the stream was reset.
    fn reason(&self) -> Option<Reason> {
        self.body.as_ref().err().and_then(h2::Error::reason)
    }
}

impl Streams {
    async fn connect<S: HttpService>(server: &Server, service: S) -> Self {
        Self::over(server.connect(service), &client::Builder::new()).await
    }

    /// With settings of the client.
    async fn over(client: Client<DuplexStream>, settings: &client::Builder) -> Self {
        let Client { io, served, .. } = client;
        let (requests, connection) = settings.handshake(io).await.expect("a handshake");
        let driven = tokio::spawn(connection);
        Self {
            requests,
            driven,
            served,
        }
    }

    /// Sends a request without a body. Gives its response, or the error of its stream.
    async fn get(&self, path: &str) -> Result<StreamResponse, h2::Error> {
        self.send(
            Request::get(format!("http://a{path}")).body(()).unwrap(),
            None,
        )
        .await
    }

    async fn send(
        &self,
        request: Request<()>,
        body: Option<&[u8]>,
    ) -> Result<StreamResponse, h2::Error> {
        let mut requests = bounded(self.requests.clone().ready()).await?;
        let (response, mut stream) = requests.send_request(request, body.is_none())?;
        if let Some(body) = body {
            // It is not sent to the end if the server does not read it.
            let _ = stream.send_data(Bytes::copy_from_slice(body), true);
        }
        let response = bounded(response).await?;
        Ok(receive(response).await)
    }

    /// Leaves, and waits for the end of the connection.
    async fn left(self) {
        drop(self.requests);
        let _ = bounded(self.driven).await.expect("no panic");
        bounded(self.served).await.expect("no panic");
    }

    /// Waits for the server to end the connection, without an error.
    async fn ended(self) {
        bounded(self.driven)
            .await
            .expect("no panic")
            .expect("a graceful end");
        bounded(self.served).await.expect("no panic");
    }
}

async fn receive(response: Response<RecvStream>) -> StreamResponse {
    let (head, mut stream) = response.into_parts();
    let mut body = Vec::new();
    let result = loop {
        match bounded(stream.data()).await {
            None => break Ok(body),
            Some(Err(error)) => break Err(error),
            Some(Ok(bytes)) => {
                body.extend_from_slice(&bytes);
                let _ = stream.flow_control().release_capacity(bytes.len());
            }
        }
    };
    assert_eq!(head.version, Version::HTTP_2);
    StreamResponse {
        status: head.status.as_u16(),
        headers: head.headers,
        body: result,
    }
}

/// Responds to `/held` when `go` turns true, and at once to others.
fn holding(
    go: &watch::Receiver<bool>,
) -> impl Service<Request<RequestBody>, Response = Response<String>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static
+ use<> {
    let go = go.clone();
    service_fn(move |request: Request<RequestBody>| {
        let mut go = go.clone();
        async move {
            if request.uri().path() == "/held" {
                go.wait_for(|go| *go).await?;
            }
            Ok::<_, BoxError>(Response::new("done".to_owned()))
        }
    })
}
