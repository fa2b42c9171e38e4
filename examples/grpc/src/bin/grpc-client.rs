//! Calls each method of the gRPC service once, and prints what it responds.
//!
//! usage: `grpc-client URL`

use std::{env, error::Error};

use futures_util::stream;
use grpc::clock::{Lap, NowRequest, TickRequest, Time, clock_client::ClockClient};

/// What the client sends as laps.
const LAPS: [u64; 3] = [10, 20, 30];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: grpc-client URL")?;
    let mut client = ClockClient::connect(url).await?;

    let now = client.now(NowRequest {}).await?.into_inner();
    println!("now: {}", Line(&now));

    let request = TickRequest {
        times: 3,
        interval_ms: 10,
    };
    let mut ticks = client.tick(request).await?.into_inner();
    while let Some(time) = ticks.message().await? {
        println!("tick: {}", Line(&time));
    }

    let laps = || stream::iter(LAPS.map(|ms| Lap { ms }));
    let total = client.total(laps()).await?.into_inner();
    println!("total: {} ms", total.ms);

    let mut splits = client.split(laps()).await?.into_inner();
    while let Some(lap) = splits.message().await? {
        println!("split: {} ms", lap.ms);
    }

    let request = TickRequest {
        times: u32::MAX,
        interval_ms: 0,
    };
    match client.tick(request).await {
        Ok(_) => return Err("the server accepts too many ticks".into()),
        Err(status) => println!("refused: {:?}, {}", status.code(), status.message()),
    }
    Ok(())
}

struct Line<'a>(&'a Time);

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ms, worker {}", self.0.unix_ms, self.0.worker)
    }
}
