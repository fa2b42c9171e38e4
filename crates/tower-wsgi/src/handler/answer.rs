use http::Response;

use crate::BoxError;

/// What a function [in the executor](super::WsgiHandlerBuilder::in_executor) may return: a
/// `Response`, an `Option` of one (`None` is "not mine"), or a `Result` of either.
pub trait IntoAnswer {
    /// The body of the response.
    type Body;

    /// The response, or `None` if the next handler shall be asked.
    ///
    /// # Errors
    ///
    /// The function's error, which the handler turns into a 500.
    fn into_answer(self) -> Result<Option<Response<Self::Body>>, BoxError>;
}

impl<B> IntoAnswer for Response<B> {
    type Body = B;

    fn into_answer(self) -> Result<Option<Self>, BoxError> {
        Ok(Some(self))
    }
}

impl<B> IntoAnswer for Option<Response<B>> {
    type Body = B;

    fn into_answer(self) -> Result<Self, BoxError> {
        Ok(self)
    }
}

impl<A: IntoAnswer, E: Into<BoxError>> IntoAnswer for Result<A, E> {
    type Body = A::Body;

    fn into_answer(self) -> Result<Option<Response<A::Body>>, BoxError> {
        self.map_err(Into::into)?.into_answer()
    }
}
