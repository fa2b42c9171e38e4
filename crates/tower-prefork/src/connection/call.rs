use std::{
    any::Any,
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    Connection, RequestBody,
    check::check,
    page::Page,
    progress::{Answering, BodyState, Progress},
    response_body::ResponseBody,
};
use crate::{
    BoxError,
    access_log::Client,
    error::{error_text, panic_text},
};

/// The answer when the server's own code, or the service's, is at fault.
const INTERNAL_ERROR: Page = Page::new(
    StatusCode::INTERNAL_SERVER_ERROR,
    "the request could not be answered",
);

pub(super) const HEAD_TIMEOUT: Page = Page::new(
    StatusCode::REQUEST_TIMEOUT,
    "the request head did not arrive in time",
);

const BODY_TIMEOUT: Page = Page::new(
    StatusCode::REQUEST_TIMEOUT,
    "the request body did not arrive in time",
);

const BAD_BODY: Page = Page::new(
    StatusCode::BAD_REQUEST,
    "the request body is malformed, or was cut off",
);

const DOUBTFUL: Page = Page::new(
    StatusCode::BAD_REQUEST,
    "nothing can follow the request before this one; send it again on a new connection",
);

/// What hyper calls: checks a request, then calls the service.
#[derive(Debug)]
pub(super) struct Calls<S> {
    service: S,
    connection: Connection,
    progress: Arc<Progress>,
    access_log: Option<Client>,
    /// The answer to every request, without a call of the service.
    answer: Option<Page>,
}

impl<S> Calls<S> {
    pub(super) fn new(
        service: S,
        connection: Connection,
        progress: Arc<Progress>,
        access_log: Option<Client>,
    ) -> Self {
        Self {
            service,
            connection,
            progress,
            access_log,
            answer: None,
        }
    }

    pub(super) fn with_answer(mut self, page: Page) -> Self {
        self.answer = Some(page);
        self
    }

    /// hyper could not parse a request, and has refused it.
    pub(super) fn malformed(&self, error: &hyper::Error) {
        if let (Some(log), Some(status)) = (&self.access_log, status_of(error)) {
            log.refused(status);
        }
    }

    /// The request for the service, or why it does not get it.
    fn admit(&self, request: Request<Incoming>) -> Result<Request<RequestBody>, Page> {
        let tainted = self.progress.tainted();
        // First, so that what is left of a refused body is accounted for.
        let mut request = request.map(|body| RequestBody::new(body, &self.progress));
        if request.extensions_mut().remove::<OnUpgrade>().is_some() {
            // No other protocol is offered, so nobody should wait for one.
            self.progress.set_upgrade();
        }
        if let Some(page) = self.answer {
            return Err(page);
        }
        if tainted {
            return Err(DOUBTFUL);
        }
        check(&mut request)?;
        request.extensions_mut().insert(self.connection.clone());
        Ok(request)
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
        let record = self.access_log.as_ref().map(|log| match self.answer {
            // It is not the client's.
            Some(_) => log.unknown_request(),
            None => log.request(&request),
        });
        let answering = Some(Answering::begin(&self.progress, record));
        let stage = match self.admit(request) {
            Ok(request) => Stage::Waiting {
                service: self.service.clone(),
                request: Some(request),
            },
            Err(page) => Stage::Refused { page },
        };
        Call { stage, answering }
    }
}

/// The status that hyper answers a malformed request with, if it does.
fn status_of(error: &hyper::Error) -> Option<StatusCode> {
    if error.is_parse_too_large() {
        // Nothing but its text tells which of the two it is.
        let target = error.to_string().starts_with("URI");
        return Some(if target {
            StatusCode::URI_TOO_LONG
        } else {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        });
    }
    let answered = error.is_parse() && !error.is_parse_version_h2();
    answered.then_some(StatusCode::BAD_REQUEST)
}

pin_project! {
    /// The future of a response. It never fails: what goes wrong becomes an answer.
    pub(super) struct Call<S, F> {
        #[pin]
        stage: Stage<S, F>,
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
        let answer = ready!(
            catch_unwind(AssertUnwindSafe(|| this.stage.as_mut().poll_answer(cx)))
                .unwrap_or_else(|panic| Poll::Ready(Err(Failure::Panic(panic))))
        );
        // What the service still holds of the request, its body above all, is not wanted any more.
        this.stage.set(Stage::Done);
        let answering = this
            .answering
            .take()
            .expect("a future is not polled after its end");
        let mut response = respond(answer, answering);
        ResponseBody::record(&mut response);
        Poll::Ready(Ok(response))
    }
}

/// Why there is no response of the service's.
enum Failure {
    Refused(Page),
    Error(BoxError),
    Panic(Box<dyn Any + Send>),
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

fn respond<B>(
    answer: Result<Response<B>, Failure>,
    answering: Answering,
) -> Response<ResponseBody<B>> {
    let failure = match answer {
        Ok(response) if response.status().is_informational() => {
            // hyper offers no way to send an interim response, nor to switch protocols here.
            format!("the service answered {}", response.status()).into()
        }
        Ok(response) => {
            let mut response = response;
            if answering.progress().closing() {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            return response.map(|body| ResponseBody::service(body, answering));
        }
        Err(Failure::Refused(page)) => {
            tracing::debug!(status = page.status.as_u16(), "refused: {}", page.text);
            return page.into_response(answering);
        }
        Err(Failure::Error(error)) => error,
        Err(Failure::Panic(panic)) => {
            tracing::error!(panic = panic_text(&*panic), "the service panicked");
            return INTERNAL_ERROR.into_response(answering);
        }
    };
    let page = match answering.progress().body() {
        BodyState::Malformed => BAD_BODY,
        BodyState::TimedOut => BODY_TIMEOUT,
        BodyState::Complete | BodyState::Unread => {
            tracing::error!(error = error_text(&*failure), "the service failed");
            INTERNAL_ERROR
        }
    };
    page.into_response(answering)
}
