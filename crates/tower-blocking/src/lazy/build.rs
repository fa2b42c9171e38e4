//! One build of a service for all its clones.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use crate::BoxError;

/// One build for all clones of a service.
pub(super) struct Build<F, S> {
    make: F,
    service: OnceLock<S>,
    /// Locked by the request that builds.
    building: tokio::sync::Mutex<()>,
    /// The number of failed builds, and the error of the last one.
    failed: Mutex<(u64, Option<BuildError>)>,
}

/// The error of a build, for all requests that waited for it.
#[derive(Clone)]
pub(super) struct BuildError(Arc<dyn Error + Send + Sync>);

impl<F, S> Build<F, S> {
    pub(super) fn new(make: F) -> Self {
        Self {
            make,
            service: OnceLock::new(),
            building: tokio::sync::Mutex::new(()),
            failed: Mutex::new((0, None)),
        }
    }

    /// The service, if it is built.
    pub(super) fn done(&self) -> Option<&S> {
        self.service.get()
    }
}

impl<F, Fut, S, E> Build<F, S>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<S, E>>,
    E: Into<BoxError>,
{
    /// The service, which is built now if it is not yet.
    pub(super) async fn get(&self) -> Result<&S, BuildError> {
        let failures_before = self.last_failure().0;
        let _building = self.building.lock().await;
        if let Some(service) = self.service.get() {
            return Ok(service);
        }
        // Many requests may have waited for a build that failed: it counts for all of them.
        if let (failures, Some(error)) = self.last_failure()
            && failures > failures_before
        {
            return Err(error);
        }
        match (self.make)().await {
            Ok(service) => Ok(self.service.get_or_init(|| service)),
            Err(error) => {
                let error = BuildError(Arc::from(error.into()));
                tracing::error!(
                    error = &*error.0 as &dyn Error,
                    "a lazy service could not be built; the next request or `warm` tries again"
                );
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                *failed = (failed.0 + 1, Some(error.clone()));
                Err(error)
            }
        }
    }

    fn last_failure(&self) -> (u64, Option<BuildError>) {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.clone()
    }
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
