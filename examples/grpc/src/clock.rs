//! The gRPC service: one method of each kind.

use std::{
    pin::Pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use grpc::clock::{Lap, NowRequest, TickRequest, Time, clock_server::Clock};
use tonic::{Request, Response, Status, Streaming};

/// The most times that one call of `Tick` sends.
const MAX_TICKS: u32 = 100_000;

/// The service of one worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerClock {
    /// The number of the worker.
    pub(crate) worker: u32,
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl WorkerClock {
    fn time(self) -> Result<Time, Status> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.map_err(|_| Status::internal("the clock is set before 1970"))?;
        Ok(Time {
            unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            worker: self.worker,
        })
    }
}

#[tonic::async_trait]
impl Clock for WorkerClock {
    type TickStream = Responses<Time>;
    type SplitStream = Responses<Lap>;

    async fn now(&self, _: Request<NowRequest>) -> Result<Response<Time>, Status> {
        self.time().map(Response::new)
    }

    async fn tick(
        &self,
        request: Request<TickRequest>,
    ) -> Result<Response<Self::TickStream>, Status> {
        let TickRequest { times, interval_ms } = request.into_inner();
        if times > MAX_TICKS {
            let message = format!("times is {times}, and at most {MAX_TICKS}");
            return Err(Status::invalid_argument(message));
        }
        let interval = Duration::from_millis(interval_ms.into());
        let clock = *self;
        let ticks = stream::iter(0..times).then(move |tick| async move {
            if tick > 0 {
                tokio::time::sleep(interval).await;
            }
            clock.time()
        });
        Ok(Response::new(ticks.boxed()))
    }

    async fn total(&self, request: Request<Streaming<Lap>>) -> Result<Response<Lap>, Status> {
        let laps = request.into_inner();
        let sum = laps.try_fold(0, async |sum, lap| add(sum, &lap)).await?;
        Ok(Response::new(Lap { ms: sum }))
    }

    async fn split(
        &self,
        request: Request<Streaming<Lap>>,
    ) -> Result<Response<Self::SplitStream>, Status> {
        let laps = request.into_inner();
        let sums = stream::try_unfold((laps, 0), |(mut laps, sum)| async move {
            let Some(lap) = laps.message().await? else {
                return Ok(None);
            };
            let sum = add(sum, &lap)?;
            Ok(Some((Lap { ms: sum }, (laps, sum))))
        });
        Ok(Response::new(sums.boxed()))
    }
}

fn add(sum: u64, lap: &Lap) -> Result<u64, Status> {
    sum.checked_add(lap.ms)
        .ok_or_else(|| Status::out_of_range("the sum of the laps has no room in 64 bits"))
}
