//! One exchange: a request and its response.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    ConnectInfo, RequestBody, Shared,
    check::check,
    handle::{ConnectionHandle, ExchangeGuard},
    refusal::{Refusal, status_of},
    respond::{NoResponse, respond},
    response_body::ResponseBody,
    server_response::{Renderer, RequestSummary},
    shared_body::{BodyState, SharedBody},
    upgrade::UpgradeOffer,
};
use crate::{
    BoxError, TrustedProxies,
    access_log::Client,
    request_id::{self, RequestIds},
};

/// Begins the exchanges of a connection: hyper calls it with each request. It checks the request, then the service is
/// called.
#[derive(Debug)]
pub(super) struct ExchangeService<S> {
    pub(super) service: S,
    pub(super) connection: ConnectInfo,
    pub(super) handle: ConnectionHandle,
    pub(super) access_log: Option<Client>,
    pub(super) shared: Arc<Shared>,
    /// If the peer is one of them.
    proxies: Option<Arc<TrustedProxies>>,
    /// If requests get identifiers.
    request_ids: Option<RequestIds>,
    /// Every request is refused so.
    refusal: Option<Refusal>,
}

impl<S> ExchangeService<S> {
    pub(super) fn new(
        service: S,
        connection: ConnectInfo,
        handle: ConnectionHandle,
        shared: Arc<Shared>,
        refusal: Option<Refusal>,
    ) -> Self {
        let access_log = shared.access_log.as_ref();
        let proxies = shared.proxies_of(&connection);
        let is_trusted = proxies.is_some();
        Self {
            access_log: access_log.map(|log| log.client(&connection)),
            proxies,
            request_ids: shared.request_id.then(|| RequestIds::of(is_trusted)),
            service,
            connection,
            handle,
            shared,
            refusal,
        }
    }

    /// Sees to it that the request has an identifier, and returns it, if requests get one.
    pub(super) fn identify<B>(&self, request: &mut Request<B>) -> Option<HeaderValue> {
        let ids = self.request_ids?;
        Some(ids.identify(request.headers_mut()))
    }

    /// Whether the preface of HTTP/2 may follow: without TLS on a port for TLS, nothing may.
    pub(super) fn may_speak_http2(&self) -> bool {
        self.refusal
            .is_none_or(|refusal| refusal == Refusal::NotHttp2)
    }

    /// The same, without the refusal of every request.
    pub(super) fn admitting(self) -> Self {
        Self {
            refusal: None,
            ..self
        }
    }

    /// An exchange of which hyper has no request: the client has `sent` this, and gets a response that the connection
    /// writes by itself.
    pub(super) fn refused(&self, sent: &[u8]) -> ExchangeGuard {
        let state = &mut self.handle.lock();
        let mut exchange = ExchangeGuard::begin(&self.handle, state, false, None);
        if let Some(log) = &self.access_log {
            exchange.set_record(log.refused_request(sent));
        }
        exchange
    }

    /// hyper could not parse a request, and has refused it while it had more to write.
    pub(super) fn log_malformed(&self, error: &hyper::Error) {
        if let (Some(log), Some(status)) = (&self.access_log, status_of(error)) {
            log.refused(status);
        }
    }

    /// The connection with what a trusted proxy says of this request, of any version of HTTP. `None` without such a proxy.
    pub(super) fn forwarded<B>(&self, request: &Request<B>) -> Option<ConnectInfo> {
        let proxies = self.proxies.as_ref()?;
        proxies.resolve_trusted(&self.connection, request)
    }

    /// Makes the request ready for the service and returns what is kept of it, or returns why the service does not get it.
    fn admit(
        &self,
        request: &mut Request<RequestBody>,
        forwarded: Option<ConnectInfo>,
        is_framing_unknown: bool,
        has_fragment: bool,
        upgrade: &mut Option<Box<UpgradeOffer>>,
    ) -> Result<RequestSummary, NoResponse> {
        if let Some(refusal) = self.refusal {
            return Err(NoResponse::Refused(refusal));
        }
        if is_framing_unknown {
            return Err(NoResponse::Refused(Refusal::UncertainStart));
        }
        let summary = check(request).map_err(NoResponse::Refused)?;
        if has_fragment {
            return Err(NoResponse::Refused(Refusal::Fragment));
        }
        let log = self.access_log.as_ref();
        self.admit_checked(request, forwarded)?;
        *upgrade =
            UpgradeOffer::of_request(request, &self.shared, log).map_err(NoResponse::Refused)?;
        Ok(summary)
    }

    /// The same for a request that was checked, of any version of HTTP. `forwarded` is what a trusted proxy says of it.
    pub(super) fn admit_checked(
        &self,
        request: &mut Request<RequestBody>,
        forwarded: Option<ConnectInfo>,
    ) -> Result<(), NoResponse> {
        let readiness = self.shared.readiness.as_ref();
        if let Some(report) = readiness.and_then(|readiness| readiness.report(request)) {
            return Err(NoResponse::Readiness(report));
        }
        let connection = forwarded.unwrap_or_else(|| self.connection.clone());
        request.extensions_mut().insert(connection);
        Ok(())
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for ExchangeService<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Infallible;
    type Future = Exchange<S, S::Future, B>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let body_asks = (!request.body().is_end_stream())
            .then(|| request.headers().contains_key(header::EXPECT));
        let mut body = None;
        // First, so that the rest of a refused body is accounted for.
        let mut request = request.map(|incoming| {
            body = body_asks.map(|asks| {
                let (timeout, runtime) = (self.shared.http.body_timeout, self.handle.runtime());
                Arc::new(SharedBody::new(incoming, asks, timeout, runtime.clone()))
            });
            RequestBody::new(body.clone())
        });
        let is_http10 = request.version() < Version::HTTP_11;
        let mut state = self.handle.lock();
        let is_framing_unknown = state.is_framing_unknown();
        let mut guard = ExchangeGuard::begin(&self.handle, &mut state, is_http10, body.as_ref());
        let has_fragment = state.has_fragment(request.method(), request.uri());
        let used_record = self.access_log.as_ref().and_then(|_| state.take_record());
        drop(state);
        if guard.has_surplus() {
            guard.client_wants_close = asks_to_close(request.headers());
        }
        let forwarded = self.forwarded(&request);
        let request_id = self.identify(&mut request);
        if let Some(log) = &self.access_log {
            guard.set_record(log.request(&request, forwarded.as_ref(), used_record));
        }
        let mut upgrade = None;
        let admitted = self.admit(
            &mut request,
            forwarded,
            is_framing_unknown,
            has_fragment,
            &mut upgrade,
        );
        let (summary, stage) = match admitted {
            Ok(summary) => {
                let service = self.service.clone();
                let request = Some(request);
                (summary, Stage::Waiting { service, request })
            }
            Err(reason) => {
                let reason = Some(reason);
                (RequestSummary::of(&request), Stage::Refused { reason })
            }
        };
        Exchange {
            stage,
            upgrade,
            body,
            summary,
            renderer: self.shared.hooks.renderer().clone(),
            request_id,
            deadline: ResponseDeadline::new(self.shared.http.request_timeout),
            guard: Some(guard),
        }
    }
}

/// Whether the client wants no more of the connection.
fn asks_to_close(headers: &HeaderMap) -> bool {
    let options = headers.get_all(header::CONNECTION).into_iter();
    let mut options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// When the service has to begin its response.
#[derive(Debug)]
pub(super) struct ResponseDeadline {
    timeout: Duration,
    /// Once the service waits.
    since: Option<Instant>,
}

impl ResponseDeadline {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            since: None,
        }
    }

    /// Waits for the deadline, and returns how long the service has had the request. To be called when the service
    /// waits.
    fn poll(
        &mut self,
        body: Option<&Arc<SharedBody>>,
        handle: &ConnectionHandle,
        cx: &mut Context<'_>,
    ) -> Poll<Duration> {
        let (since, deadline) = self.next(body, cx);
        ready!(handle.lock().timer.poll_until(deadline, cx));
        Poll::Ready(since.elapsed())
    }

    /// Since when the service has had the request, and the deadline.
    pub(super) fn next(
        &mut self,
        body: Option<&Arc<SharedBody>>,
        cx: &mut Context<'_>,
    ) -> (Instant, Instant) {
        let since = *self.since.get_or_insert_with(Instant::now);
        let mut deadline = since + self.timeout;
        if let Some(body) = body {
            // The time that the client takes for its body is not the service's.
            let reader = body.prefetch(cx);
            if let Some(last_read) = reader.last_read {
                deadline = deadline.max(last_read + self.timeout);
            }
            if reader.is_awaited {
                deadline += body.timeout();
            }
        }
        (since, deadline)
    }
}

pin_project! {
    /// A request and its response's head. It never fails: what goes wrong becomes a response.
    pub(super) struct Exchange<S, F, B> {
        #[pin]
        stage: Stage<S, F, B>,
        // Until the service has accepted it.
        upgrade: Option<Box<UpgradeOffer>>,
        // Of the request, if it has one.
        body: Option<Arc<SharedBody>>,
        // Of the request, for a response of the server itself.
        summary: RequestSummary,
        renderer: Renderer,
        // If requests get one.
        request_id: Option<HeaderValue>,
        deadline: ResponseDeadline,
        guard: Option<ExchangeGuard>,
    }
}

pin_project! {
    #[project = StageProj]
    pub(super) enum Stage<S, F, B> {
        // Until the service is ready.
        Waiting { service: S, request: Option<Request<RequestBody>> },
        Running { #[pin] future: F },
        // The service has responded with 101, and the connection prepares hyper for it.
        Switching { response: Option<Response<B>>, handle: ConnectionHandle },
        Refused { reason: Option<NoResponse> },
        Done,
    }
}

impl<S, B> Future for Exchange<S, S::Future, B>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // A service that has panicked is not used again: the connection ends with its response.
        let result = catch_unwind(AssertUnwindSafe(|| this.stage.as_mut().poll_response(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(NoResponse::Panic(panic))));
        if matches!(&result, Poll::Ready(Ok(response)) if is_switch(response))
            && let (Some(offer), Some(guard)) = (this.upgrade.take(), this.guard.as_ref())
            && let Poll::Ready(Ok(response)) = result
        {
            let upgrade = offer.accepted(&response);
            let handle = guard.handle().clone();
            handle.lock().begin_upgrade(upgrade);
            let response = Some(response);
            this.stage.set(Stage::Switching { response, handle });
            return Poll::Pending;
        }
        let result = match (result, this.guard.as_ref()) {
            (Poll::Ready(result), _) => result,
            (Poll::Pending, guard) => {
                let handle = guard.expect(POLLED_AFTER_END).handle();
                let age = ready!(this.deadline.poll(this.body.as_ref(), handle, cx));
                Err(NoResponse::TimedOut(age))
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
        let mut response = respond(result, this.summary, this.renderer, guard, body);
        if let Some(id) = this.request_id.take() {
            request_id::add(id, response.headers_mut());
        }
        ResponseBody::record(&mut response);
        Poll::Ready(Ok(response))
    }
}

fn is_switch<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}

pub(super) const POLLED_AFTER_END: &str = "a future is not polled after its end";

impl<S, B> Stage<S, S::Future, B>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    pub(super) fn poll_response(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<B>, NoResponse>> {
        loop {
            let future = match self.as_mut().project() {
                StageProj::Waiting { service, request } => {
                    ready!(service.poll_ready(cx))
                        .map_err(|error| NoResponse::Error(error.into()))?;
                    let request = request.take().expect("the service is called once");
                    service.call(request)
                }
                StageProj::Running { future } => {
                    return future
                        .poll(cx)
                        .map_err(|error| NoResponse::Error(error.into()));
                }
                // The connection sees to it when hyper has ended its turn.
                StageProj::Switching { handle, .. } if !handle.lock().is_upgrade_prepared() => {
                    return Poll::Pending;
                }
                StageProj::Switching { response, .. } => {
                    return Poll::Ready(Ok(response.take().expect(POLLED_AFTER_END)));
                }
                StageProj::Refused { reason } => {
                    return Poll::Ready(Err(reason.take().expect(POLLED_AFTER_END)));
                }
                StageProj::Done => unreachable!("{POLLED_AFTER_END}"),
            };
            self.set(Self::Running { future });
        }
    }
}
