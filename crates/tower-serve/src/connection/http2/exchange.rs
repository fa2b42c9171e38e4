//! One exchange on a stream: a request and its response.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tower_service::Service;

use super::{
    body::StreamBody,
    check::check,
    stream::{StreamProgress, poll_until},
    streams::Spawner,
    tunnel::{self, Handshake},
};
use crate::{
    BoxError, HttpService,
    connection::{
        ConnectInfo, RequestBody,
        exchange::{ExchangeService, POLLED_AFTER_END, ResponseDeadline, Stage},
        handle::ExchangeGuard,
        respond::{NoResponse, respond_on_stream},
        response_body::ResponseBody,
        server_response::{Renderer, RequestSummary},
        shared_body::{BodyState, SharedBody},
    },
    request_id,
};

/// Begins the exchanges of the streams of a connection: hyper calls it with each request. It checks the request, then the
/// service is called.
pub(super) struct StreamService<S> {
    exchanges: ExchangeService<S>,
    spawner: Spawner,
}

impl<S> StreamService<S> {
    pub(super) fn new(exchanges: ExchangeService<S>, spawner: Spawner) -> Self {
        Self { exchanges, spawner }
    }

    /// Makes the request ready for the service and returns what is kept of it, or returns why the service does not get it.
    fn admit(
        &self,
        request: &mut Request<RequestBody>,
        forwarded: Option<ConnectInfo>,
    ) -> Result<RequestSummary, NoResponse> {
        let exchanges = &self.exchanges;
        let max_headers = exchanges.shared.http.max_headers;
        let checked = check(request, max_headers);
        if checked.is_err() {
            // hyper has put it there for a CONNECT.
            request.extensions_mut().remove::<OnUpgrade>();
        }
        let summary = checked.map_err(NoResponse::Refused)?;
        exchanges.admit_checked(request, forwarded)?;
        Ok(summary)
    }
}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for StreamService<S> {
    type Response = Response<StreamBody<S::ResponseBody>>;
    type Error = Infallible;
    type Future = StreamFuture<S, S::Future, S::ResponseBody>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let max_headers = self.exchanges.shared.http.max_headers;
        // One that is refused is so with the others.
        if tunnel::is_websocket(&request) && check(&mut request, max_headers).is_ok() {
            let exchange = self.open_tunnel(request);
            return StreamFuture::Tunnel { exchange };
        }
        let exchange = self.begin(request);
        StreamFuture::Exchange { exchange }
    }
}

impl<S: HttpService> StreamService<S> {
    /// Begins a WebSocket, whose request is an exchange of its own.
    fn open_tunnel(&self, request: Request<Incoming>) -> TunnelExchange {
        let exchanges = &self.exchanges;
        let handshake = tunnel::open(
            request,
            exchanges.service.clone(),
            exchanges.connection.clone(),
            exchanges.shared.clone(),
            self.spawner.clone(),
            ExchangeGuard::begin_tunnel(&exchanges.handle),
        );
        let progress = Arc::new(StreamProgress::default());
        // After the tasks of the tunnel, so that it is that of hyper's stream.
        self.spawner.announce(progress.clone());
        TunnelExchange {
            handshake,
            guard: Some(ExchangeGuard::begin_tunnel(&exchanges.handle)),
            progress,
        }
    }

    fn begin(&self, request: Request<Incoming>) -> StreamExchange<S, S::Future, S::ResponseBody> {
        let exchanges = &self.exchanges;
        let http = &exchanges.shared.http;
        let progress = Arc::new(StreamProgress::default());
        self.spawner.announce(progress.clone());
        let mut body = None;
        // First, so that the rest of a refused body is accounted for.
        let mut request = request.map(|incoming| {
            if !incoming.is_end_stream() {
                let runtime = exchanges.handle.runtime().clone();
                let shared = SharedBody::of_stream(incoming, http.body_timeout, runtime);
                body = Some(Arc::new(shared));
            }
            RequestBody::new(body.clone())
        });
        let request_id = exchanges.identify(&mut request);
        let mut guard = ExchangeGuard::begin_stream(&exchanges.handle);
        let forwarded = exchanges.forwarded(&request);
        if let Some(log) = &exchanges.access_log {
            guard.set_record(log.request(&request, forwarded.as_ref(), None));
        }
        let (summary, stage) = match self.admit(&mut request, forwarded) {
            Ok(summary) => {
                let service = exchanges.service.clone();
                let request = Some(request);
                (summary, Stage::Waiting { service, request })
            }
            Err(reason) => {
                let reason = Some(reason);
                (RequestSummary::of(&request), Stage::Refused { reason })
            }
        };
        StreamExchange {
            stage,
            body,
            summary,
            renderer: exchanges.shared.hooks.renderer().clone(),
            request_id,
            deadline: ResponseDeadline::new(http.request_timeout),
            sleep: None,
            guard: Some(guard),
            progress,
        }
    }
}

pin_project! {
    #[project = StreamFutureProj]
    /// What hyper waits for: the response on a stream.
    pub(super) enum StreamFuture<S, F, B> {
        Exchange { #[pin] exchange: StreamExchange<S, F, B> },
        Tunnel { exchange: TunnelExchange },
    }
}

impl<S, B> Future for StreamFuture<S, S::Future, B>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<StreamBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            StreamFutureProj::Exchange { exchange } => exchange.poll(cx),
            StreamFutureProj::Tunnel { exchange } => exchange.poll_response(cx).map(Ok),
        }
    }
}

/// The handshake of a WebSocket. A stream that is reset meanwhile drops it, and with it the connection in memory.
pub(super) struct TunnelExchange {
    handshake: Handshake,
    guard: Option<ExchangeGuard>,
    progress: Arc<StreamProgress>,
}

impl TunnelExchange {
    fn poll_response<B>(&mut self, cx: &mut Context<'_>) -> Poll<Response<StreamBody<B>>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let response = ready!(self.handshake.as_mut().poll(cx));
        let guard = self.guard.take().expect(POLLED_AFTER_END);
        let response = response.map(|body| {
            let body = (!body.is_empty()).then_some(body);
            ResponseBody::of_server(body, guard)
        });
        let progress = self.progress.clone();
        Poll::Ready(StreamBody::of_response(
            response,
            &Method::CONNECT,
            progress,
        ))
    }
}

pin_project! {
    /// A request and its response's head. It never fails: what goes wrong becomes a response.
    pub(super) struct StreamExchange<S, F, B> {
        #[pin]
        stage: Stage<S, F, B>,
        // Of the request, if it has one.
        body: Option<Arc<SharedBody>>,
        // Of the request, for a response of the server itself.
        summary: RequestSummary,
        renderer: Renderer,
        // If requests get one.
        request_id: Option<HeaderValue>,
        deadline: ResponseDeadline,
        #[pin]
        sleep: Option<Sleep>,
        guard: Option<ExchangeGuard>,
        progress: Arc<StreamProgress>,
    }
}

impl<S, B> Future for StreamExchange<S, S::Future, B>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<StreamBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // A service that has panicked is not used again.
        let result = catch_unwind(AssertUnwindSafe(|| this.stage.as_mut().poll_response(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(NoResponse::Panic(panic))));
        let result = match result {
            Poll::Ready(result) => result,
            Poll::Pending => {
                let (since, deadline) = this.deadline.next(this.body.as_ref(), cx);
                ready!(poll_until(this.sleep.as_mut(), deadline, cx));
                Err(NoResponse::TimedOut(since.elapsed()))
            }
        };
        // What the service still holds of the request, its body above all, is not wanted any more.
        this.stage.set(Stage::Done);
        let body = this.body.take().map_or(BodyState::Complete, |body| {
            body.end_prefetch();
            body.state()
        });
        let guard = this.guard.take().expect(POLLED_AFTER_END);
        if matches!(result, Err(NoResponse::TimedOut(_))) {
            // After the service's future is dropped.
            guard.set_timed_out();
        }
        let mut response = respond_on_stream(result, this.summary, this.renderer, guard, body);
        if let Some(id) = this.request_id.take() {
            request_id::add(id, response.headers_mut());
        }
        ResponseBody::record(&mut response);
        let method = this.summary.method();
        let response = StreamBody::of_response(response, method, this.progress.clone());
        Poll::Ready(Ok(response))
    }
}
