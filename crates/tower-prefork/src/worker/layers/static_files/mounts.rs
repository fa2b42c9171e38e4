//! The directories of a server: which request is for a file, and what happens if there is none.

use std::{io, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower::ServiceExt as _;
use tower_serve::{BoxError, RequestBody, ServerResponse};

use super::{
    super::boxed::{BoxedResponse, BoxedService, LayeredBody, boxed_body},
    cache_control::CacheControl,
    mount::{FileRequest, Mount},
};
use crate::config::{Config, StaticNotFound};

/// All directories of a server.
#[derive(Debug)]
pub(in crate::worker::layers) struct Mounts {
    /// The longest prefix comes first.
    mounts: Vec<Mount>,
    not_found: StaticNotFound,
}

impl Mounts {
    pub(in crate::worker::layers) fn of(config: &Config) -> Self {
        let cache_control = CacheControl::new(config.static_max_age);
        let mounts = config.static_files.iter();
        let mut mounts: Vec<_> = mounts
            .map(|files| Mount::new(files, cache_control.clone()))
            .collect();
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.prefix().len()));
        Self {
            mounts,
            not_found: config.static_not_found,
        }
    }

    /// Serves the file that the request is for. Any other request is that of the `service`.
    pub(in crate::worker::layers) fn serve(
        self: Arc<Self>,
        request: Request<RequestBody>,
        service: BoxedService,
    ) -> BoxedResponse {
        let Some((number, file)) = self.find(&request) else {
            return Box::pin(service.oneshot(request));
        };
        Box::pin(async move {
            let found = self.mounts[number].serve(file).await;
            match (found, self.not_found) {
                (Ok(Some(response)), _) => Ok(response.map(boxed_body)),
                (Ok(None), StaticNotFound::Application) => service.oneshot(request).await,
                (Ok(None), StaticNotFound::Refuse) => Ok(not_found(&request)),
                (Err(error), _) => Err(failed(&error)),
            }
        })
    }

    /// The directory and what is asked of it.
    fn find<B>(&self, request: &Request<B>) -> Option<(usize, FileRequest)> {
        let path = request.uri().path();
        let mut mounts = self.mounts.iter().map(|mount| mount.path_of_file(path));
        let number = mounts.position(|path| path.is_some())?;
        let path = self.mounts[number].path_of_file(path)?;
        let method = request.method();
        let is_for_files = [Method::GET, Method::HEAD].contains(method);
        if !is_for_files && self.not_found == StaticNotFound::Application {
            return None;
        }
        let file = FileRequest::new(method, path, request.headers())?;
        Some((number, file))
    }
}

fn not_found<B>(request: &Request<B>) -> Response<LayeredBody> {
    let response = ServerResponse::new(StatusCode::NOT_FOUND, "There is no such file.");
    let response: Response<Bytes> = response.render(request.headers().get(header::ACCEPT));
    response.map(|text| boxed_body(Full::new(text)))
}

/// As the connection logs it.
fn failed(error: &io::Error) -> BoxError {
    format!("cannot read a static file: {error}").into()
}
