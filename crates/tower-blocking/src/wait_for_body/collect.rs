//! Reads a request body, into memory first, then into a temporary file.

use std::{error::Error, io, mem, pin::pin};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError};

use super::layer::BodySettings;
use crate::{
    BoxError, BufferedBody, Rejection,
    budget::Reservation,
    spool::{self, Spool},
};

/// A body on its way to disk is written in pieces of at least this size.
const BATCH: usize = 64 * 1024;

/// The memory that is reserved for an announced body is at most this multiple of what the client has sent.
const TRUST_FACTOR: usize = 16;

/// Reads the whole body within the limits of the settings.
pub(super) async fn collect<B>(body: B, settings: &BodySettings) -> Result<BufferedBody, Rejection>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    let read = tokio::time::timeout(settings.timeout, read(body, settings));
    let result = read.await.map_err(|_| Rejection::BodyTimeout)?;
    result.map_err(|error| match error {
        CollectError::Rejected(rejection) => rejection,
        CollectError::Body(error) => explain(&*error),
        CollectError::Disk(error) => {
            let consequence = "requests that do not fit in memory get 503";
            spool::report(&error, &spool::directory(), consequence);
            Rejection::DiskError
        }
    })
}

enum CollectError {
    Rejected(Rejection),
    Body(BoxError),
    Disk(io::Error),
}

async fn read<B>(body: B, settings: &BodySettings) -> Result<BufferedBody, CollectError>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body.map_err(Into::<BoxError>::into));
    let announced = body.size_hint().exact().unwrap_or(0);
    let mut buffer = Buffer::new(settings, announced);
    let mut received = 0_u64;
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(CollectError::Body)?;
        let frame = match frame.into_data() {
            Ok(mut data) => {
                received += data.remaining() as u64;
                if received > settings.limit {
                    return Err(CollectError::Rejected(Rejection::BodyTooLarge));
                }
                let data = data.copy_to_bytes(data.remaining());
                buffer.push(data, body.is_end_stream()).await?;
                continue;
            }
            Err(frame) => frame,
        };
        if let Ok(fields) = frame.into_trailers() {
            trailers = Some(fields);
        }
    }
    buffer.finish(trailers).await
}

/// A body that fails is the client's fault: too late, too large for a limiting layer below, or malformed.
fn explain(error: &(dyn Error + 'static)) -> Rejection {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return Rejection::BodyTooLarge;
        }
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::TimedOut
        {
            return Rejection::BodyTimeout;
        }
        cause = error.source();
    }
    tracing::debug!(error, "broken request body");
    Rejection::BodyIncomplete
}

/// The part of the body that has arrived: in memory, or on disk beyond the threshold or the memory budget.
struct Buffer<'a> {
    settings: &'a BodySettings,
    /// `None` once the body is written to disk.
    memory: Option<Reservation>,
    /// The only piece so far, which is not copied: most bodies come in one.
    single: Bytes,
    /// The length of the whole body if the client has announced it, otherwise 0.
    announced: usize,
    pending: Vec<u8>,
    disk: Option<(Spool, u64)>,
    /// The share of the file in the disk budget.
    space: Reservation,
}

impl<'a> Buffer<'a> {
    fn new(settings: &'a BodySettings, announced: u64) -> Self {
        Self {
            settings,
            memory: Some(Reservation::new(&settings.budget)),
            single: Bytes::new(),
            announced: usize::try_from(announced).unwrap_or(usize::MAX),
            pending: Vec::new(),
            disk: None,
            space: Reservation::new(&settings.disk_budget),
        }
    }

    async fn push(&mut self, data: Bytes, last: bool) -> Result<(), CollectError> {
        if last && self.pending.is_empty() && self.disk.is_none() {
            self.keep_within(data.len(), data.len());
            self.single = data;
            return Ok(());
        }
        self.make_room(data.len());
        // A small piece may be a slice of a large read buffer, which the copy does not keep alive.
        self.pending.extend_from_slice(&data);
        self.keep_within(self.pending.len(), self.pending.capacity());
        if self.memory.is_none() && self.pending.len() >= BATCH {
            let bytes = mem::take(&mut self.pending);
            self.write(bytes.into()).await?;
        }
        Ok(())
    }

    /// Reserves memory for the announced body, but not more than a multiple of what the client has sent. Growing in small
    /// steps would cost copies.
    fn make_room(&mut self, more: usize) {
        let length = self.pending.len() + more;
        if self.memory.is_some() && length > self.pending.capacity() {
            let announced = self.announced.min(self.settings.memory_threshold);
            let room = announced.min(length.saturating_mul(TRUST_FACTOR));
            // Exactly, since unused capacity would count against the budget of all.
            self.pending
                .reserve_exact(room.saturating_sub(self.pending.len()));
        }
    }

    /// Switches to disk if `len` exceeds the threshold, or `allocated` what remains of the memory budget.
    fn keep_within(&mut self, len: usize, allocated: usize) {
        if let Some(memory) = &mut self.memory
            && (len > self.settings.memory_threshold || !memory.grow_to(allocated))
        {
            self.memory = None;
        }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), CollectError> {
        let disk = self.disk.take();
        let size = disk.as_ref().map_or(0, |(_, len)| *len) + bytes.len() as u64;
        if !self
            .space
            .grow_to(usize::try_from(size).unwrap_or(usize::MAX))
        {
            return Err(CollectError::Rejected(Rejection::DiskBudget));
        }
        let write = spool::on_thread(move || {
            let (spool, len) = match disk {
                Some(disk) => disk,
                None => (Spool::create()?, 0),
            };
            spool.write_at(&bytes, len)?;
            io::Result::Ok((spool, len + bytes.len() as u64))
        });
        self.disk = Some(write.await.map_err(CollectError::Disk)?);
        Ok(())
    }

    async fn finish(mut self, trailers: Option<HeaderMap>) -> Result<BufferedBody, CollectError> {
        let rest = if self.single.is_empty() {
            mem::take(&mut self.pending).into()
        } else {
            mem::take(&mut self.single)
        };
        if let Some(memory) = self.memory.take() {
            return Ok(BufferedBody::in_memory(rest, trailers, memory));
        }
        if !rest.is_empty() {
            self.write(rest).await?;
        }
        Ok(match self.disk {
            Some((spool, len)) => BufferedBody::on_disk(spool, len, trailers, Some(self.space)),
            None => BufferedBody::default(),
        })
    }
}
