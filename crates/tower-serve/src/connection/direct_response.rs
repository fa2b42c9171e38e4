//! A response that the connection writes itself: to a request that hyper could not read.

use std::{future::poll_fn, io, pin::Pin};

use bytes::{Buf, Bytes};
use http::Response;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{
    close::End, deadlines::TimeoutKind, guard::ExchangeGuard, io::Io, server_response::to_bytes,
};
use crate::{Http, error::error_text};

/// Writes `response` as the last one on its connection, to a client that has sent the bytes `sent`.
///
/// Returns how the connection ends.
pub(super) async fn write_response<IO>(
    io: &mut Io<IO>,
    response: Response<Bytes>,
    sent: &[u8],
    mut exchange: ExchangeGuard,
    http: &Http,
) -> End
where
    IO: AsyncWrite + Unpin,
{
    let length = response.body().len();
    let written = exchange.handle().lock().written();
    if let Some(record) = exchange.record() {
        record.answer(response.status(), Some(length as u64), written);
    }
    let is_head = sent.trim_ascii_start().starts_with(b"HEAD ");
    let body_length = if is_head { 0 } else { length };
    let mut bytes = to_bytes(&response, is_head);
    while !bytes.is_empty() {
        let inner = io.inner_mut();
        let write = poll_fn(|cx| Pin::new(&mut *inner).poll_write(cx, &bytes));
        match timeout(http.write_timeout, write).await {
            Ok(Ok(0)) => return gone(&io::ErrorKind::WriteZero.into()),
            Ok(Ok(length)) => {
                exchange.handle().lock().add_written(length);
                bytes.advance(length);
            }
            Ok(Err(error)) => return gone(&error),
            Err(_) => return End::TimedOut(TimeoutKind::Write),
        }
    }
    match timeout(http.write_timeout, io.inner_mut().flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return gone(&error),
        Err(_) => return End::TimedOut(TimeoutKind::Write),
    }
    if let Some(record) = exchange.record() {
        record.add(body_length);
        record.end();
    }
    let handle = exchange.handle().clone();
    drop(exchange);
    handle.lock().set_sent();
    End::Http(Ok(()))
}

fn gone(error: &io::Error) -> End {
    tracing::debug!(error = error_text(error), "the client has gone");
    End::Gone
}
