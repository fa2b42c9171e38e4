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
    answer::{Failure, Name, respond},
    check::check,
    page::Page,
    progress::{Answering, Progress},
    readiness::Readiness,
    refusal::{FRAGMENT, status_of},
    response_body::ResponseBody,
    source::Ahead,
};
use crate::{BoxError, access_log::Client};

const DOUBTFUL: Page = Page::bad_request(
    "nothing can follow the request before this one; send it again on a new connection",
);

/// What hyper calls: checks a request, then calls the service.
#[derive(Debug)]
pub(super) struct Calls<S> {
    service: S,
    connection: ConnectInfo,
    progress: Arc<Progress>,
    access_log: Option<Client>,
    readiness: Option<Readiness>,
    /// The answer to every request, without a call of the service.
    answer: Option<Answer>,
}

/// An answer without a call of the service.
#[derive(Debug)]
struct Answer {
    page: Page,
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
        answer: Option<Page>,
    ) -> Self {
        let answer = answer.map(|page| Answer { page, sent: None });
        Self {
            service,
            connection,
            progress,
            access_log,
            readiness,
            answer,
        }
    }

    /// Answers so what the client has sent, though hyper gives a request that is not the client's.
    pub(super) fn with_answer_to(mut self, page: Page, sent: Vec<u8>) -> Self {
        let sent = Some(sent);
        self.answer = Some(Answer { page, sent });
        self
    }

    /// hyper could not parse a request, and has refused it, when it had more to write.
    pub(super) fn malformed(&self, error: &hyper::Error) {
        if let (Some(log), Some(status)) = (&self.access_log, status_of(error)) {
            log.refused(status);
        }
    }

    /// Makes the request ready for the service, or tells why it does not get it.
    fn admit(&self, request: &mut Request<RequestBody>, tainted: bool) -> Result<(), Page> {
        if request.extensions_mut().remove::<OnUpgrade>().is_some() {
            // No other protocol is offered, so nobody should wait for one.
            self.progress.set_upgrade();
        }
        if let Some(answer) = &self.answer {
            return Err(answer.page);
        }
        if tainted {
            return Err(DOUBTFUL);
        }
        check(request)?;
        let (method, target) = (request.method(), request.uri());
        let recent = self.progress.recent();
        if recent.has_fragment(self.progress.calls(), method, target) {
            return Err(FRAGMENT);
        }
        let report = self.readiness.as_ref().map(|one| one.answer(request));
        if let Some(page) = report.flatten() {
            return Err(page);
        }
        request.extensions_mut().insert(self.connection.clone());
        Ok(())
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
        let sent = self.answer.as_ref().and_then(|answer| answer.sent.as_ref());
        let record = self.access_log.as_ref().map(|log| match sent {
            // It is not the client's.
            Some(sent) => log.refused_request(sent),
            None => log.request(&request, self.progress.last_record().take()),
        });
        let answering = Some(Answering::begin(&self.progress, record));
        let tainted = self.progress.tainted();
        // First, so that what is left of a refused body is accounted for.
        let mut request = request.map(|body| RequestBody::new(body, &self.progress));
        match self.admit(&mut request, tainted) {
            Ok(()) => Call {
                ahead: ahead(&request),
                name: Some((
                    request.method().clone(),
                    request.uri().path_and_query().cloned(),
                )),
                stage: Stage::Waiting {
                    service: self.service.clone(),
                    request: Some(request),
                },
                answering,
            },
            Err(page) => Call {
                stage: Stage::Refused { page },
                ahead: None,
                name: None,
                answering,
            },
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
        // Of the request, for the log.
        name: Option<Name>,
        answering: Option<Answering>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<S, F> {
        // Until the service is ready.
        Waiting { service: S, request: Option<Request<RequestBody>> },
        Running { #[pin] future: F },
        Refused { page: Page },
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
            .unwrap_or_else(|panic| Poll::Ready(Err(Failure::Panic(panic))));
        let overdue = || this.answering.as_ref()?.progress().due().overdue();
        let answer = match answer {
            Poll::Ready(answer) => answer,
            Poll::Pending => match overdue() {
                Some(age) => Err(Failure::Overdue(this.name.take(), age)),
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
        if matches!(answer, Err(Failure::Overdue(..))) {
            // After the service's future is dropped.
            answering.given_up();
        }
        let mut response = respond(answer, answering);
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
    ) -> Poll<Result<Response<B>, Failure>> {
        loop {
            let future = match self.as_mut().project() {
                StageProj::Waiting { service, request } => {
                    ready!(service.poll_ready(cx)).map_err(|error| Failure::Error(error.into()))?;
                    let request = request.take().expect("the service is called once");
                    service.call(request)
                }
                StageProj::Running { future } => {
                    return future
                        .poll(cx)
                        .map_err(|error| Failure::Error(error.into()));
                }
                StageProj::Refused { page } => {
                    return Poll::Ready(Err(Failure::Refused(*page)));
                }
                StageProj::Done => unreachable!("a future is not polled after its end"),
            };
            self.set(Self::Running { future });
        }
    }
}
