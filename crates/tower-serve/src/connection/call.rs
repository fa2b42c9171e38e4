use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version, header};
use http_body::Body;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    ConnectInfo, RequestBody,
    check::check,
    progress::{Answering, Progress},
    readiness::Readiness,
    refusal::{Refusal, status_of},
    respond::{NoResponse, respond},
    response_body::ResponseBody,
    server_response::{Renderer, RequestSummary},
    source::Ahead,
};
use crate::{BoxError, access_log::Client};

/// What hyper calls: checks a request, then calls the service.
#[derive(Debug)]
pub(super) struct Calls<S> {
    service: S,
    connection: ConnectInfo,
    progress: Arc<Progress>,
    access_log: Option<Client>,
    readiness: Option<Readiness>,
    renderer: Renderer,
    /// Every request is refused.
    refused: Option<Refused>,
}

/// Why the service is not called.
#[derive(Debug)]
struct Refused {
    refusal: Refusal,
    /// What the client has sent; `None` where it is what hyper gives.
    sent: Option<Vec<u8>>,
}

impl<S> Calls<S> {
    pub(super) fn new(
        service: S,
        connection: ConnectInfo,
        progress: Arc<Progress>,
        access_log: Option<Client>,
        readiness: Option<Readiness>,
        renderer: Renderer,
        refusal: Option<Refusal>,
    ) -> Self {
        let sent = None;
        let refused = refusal.map(|refusal| Refused { refusal, sent });
        Self {
            service,
            connection,
            progress,
            access_log,
            readiness,
            renderer,
            refused,
        }
    }

    /// Refuses what the client has sent, though hyper gives a request that is not the client's.
    pub(super) fn refusing(mut self, refusal: Refusal, sent: Vec<u8>) -> Self {
        let sent = Some(sent);
        self.refused = Some(Refused { refusal, sent });
        self
    }

    /// hyper could not parse a request, and has refused it, when it had more to write.
    pub(super) fn malformed(&self, error: &hyper::Error) {
        if let (Some(log), Some(status)) = (&self.access_log, status_of(error)) {
            log.refused(status);
        }
    }

    /// Makes the request ready for the service, or tells why it does not get it. Gives what is kept of it.
    fn admit(
        &self,
        request: &mut Request<RequestBody>,
        tainted: bool,
    ) -> Result<RequestSummary, NoResponse> {
        if request.extensions_mut().remove::<OnUpgrade>().is_some() {
            // No other protocol is offered, so nobody should wait for one.
            self.progress.set_upgrade();
        }
        if let Some(refused) = &self.refused {
            return Err(NoResponse::Refused(refused.refusal));
        }
        if tainted {
            return Err(NoResponse::Refused(Refusal::UncertainStart));
        }
        let summary = check(request).map_err(NoResponse::Refused)?;
        let (method, target) = (request.method(), request.uri());
        let recent = self.progress.recent();
        if recent.has_fragment(self.progress.calls(), method, target) {
            return Err(NoResponse::Refused(Refusal::Fragment));
        }
        let report = self.readiness.as_ref().map(|one| one.report(request));
        if let Some(report) = report.flatten() {
            return Err(NoResponse::Readiness(report));
        }
        request.extensions_mut().insert(self.connection.clone());
        Ok(summary)
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Calls<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Infallible;
    type Future = Call<S, S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.progress.set_old(request.version() < Version::HTTP_11);
        if self.progress.has_surplus() {
            self.progress.set_leaving(asks_to_close(request.headers()));
        }
        let sent = self.refused.as_ref().and_then(|it| it.sent.as_ref());
        let is_parsed = sent.is_none();
        let record = self.access_log.as_ref().map(|log| match sent {
            // It is not the client's.
            Some(sent) => log.refused_request(sent),
            None => log.request(&request, self.progress.last_record().take()),
        });
        let answering = Some(Answering::begin(&self.progress, record));
        let tainted = self.progress.tainted();
        // First, so that what is left of a refused body is accounted for.
        let mut request = request.map(|body| RequestBody::new(body, &self.progress));
        let (summary, ahead, stage) = match self.admit(&mut request, tainted) {
            Ok(summary) => (
                Some(summary),
                ahead(&request),
                Stage::Waiting {
                    service: self.service.clone(),
                    request: Some(request),
                },
            ),
            Err(reason) => (
                is_parsed.then(|| RequestSummary::of(&request)),
                None,
                Stage::Refused {
                    reason: Some(reason),
                },
            ),
        };
        Call {
            stage,
            ahead,
            summary,
            renderer: self.renderer.clone(),
            answering,
        }
    }
}

/// Nothing is taken where that would ask the client for the body.
fn ahead(request: &Request<RequestBody>) -> Option<Ahead> {
    let ahead = request.body().ahead()?;
    (!request.headers().contains_key(header::EXPECT)).then_some(ahead)
}

/// Whether the client wants no more of the connection.
fn asks_to_close(headers: &HeaderMap) -> bool {
    let options = headers.get_all(header::CONNECTION).into_iter();
    let mut options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

pin_project! {
    /// The future of a response. It never fails: what goes wrong becomes an answer.
    pub(super) struct Call<S, F> {
        #[pin]
        stage: Stage<S, F>,
        // Of the request's body.
        ahead: Option<Ahead>,
        // Of the request, for a response of the server itself.
        summary: Option<RequestSummary>,
        renderer: Renderer,
        answering: Option<Answering>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<S, F> {
        // Until the service is ready.
        Waiting { service: S, request: Option<Request<RequestBody>> },
        Running { #[pin] future: F },
        Refused { reason: Option<NoResponse> },
        Done,
    }
}

impl<S, B> Future for Call<S, S::Future>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // A service that has panicked is not used again: the connection ends with its answer.
        let answer = catch_unwind(AssertUnwindSafe(|| this.stage.as_mut().poll_answer(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(NoResponse::Panic(panic))));
        let overdue = || this.answering.as_ref()?.progress().due().overdue();
        let answer = match answer {
            Poll::Ready(answer) => answer,
            Poll::Pending => match overdue() {
                Some(age) => Err(NoResponse::TimedOut(age)),
                None => {
                    if let (Some(ahead), Some(answering)) = (this.ahead, &this.answering) {
                        ahead.look(cx, answering.progress());
                    }
                    return Poll::Pending;
                }
            },
        };
        // What the service still holds of the request, its body above all, is not wanted any more.
        *this.ahead = None;
        this.stage.set(Stage::Done);
        let answering = this
            .answering
            .take()
            .expect("a future is not polled after its end");
        answering.progress().due().set_answered();
        if matches!(answer, Err(NoResponse::TimedOut(_))) {
            // After the service's future is dropped.
            answering.given_up();
        }
        let mut response = respond(answer, this.summary.as_ref(), this.renderer, answering);
        ResponseBody::record(&mut response);
        Poll::Ready(Ok(response))
    }
}

impl<S, B> Stage<S, S::Future>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    fn poll_answer(
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
                StageProj::Refused { reason } => {
                    let reason = reason.take().expect("a future is not polled after its end");
                    return Poll::Ready(Err(reason));
                }
                StageProj::Done => unreachable!("a future is not polled after its end"),
            };
            self.set(Self::Running { future });
        }
    }
}
