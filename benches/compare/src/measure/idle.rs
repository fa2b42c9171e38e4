//! Measures idle connections.

use std::{io, net::TcpStream, time::Duration};

use super::{failed, record, start};
use crate::{
    Failure, case::Contender, client, load::float, record::Record, rounds::Run, server::Server,
};

/// For one response.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn measure(run: Run<'_>) -> Vec<Record> {
    let mut records = Vec::new();
    for round in 1..=run.plan.rounds {
        for contender in &run.case.contenders {
            let measured =
                start(run, contender).and_then(|server| one(run, contender, &server, round));
            records.push(measured.unwrap_or_else(|failure| failed(run, contender, failure)));
        }
    }
    records
}

fn one(
    run: Run<'_>,
    contender: &Contender,
    server: &Server,
    round: usize,
) -> Result<Record, Failure> {
    let count = contender.load.connections;
    let before = server.memory();
    let open = (0..count).map(|_| connection(contender, server));
    let open: Vec<TcpStream> = open
        .collect::<io::Result<_>>()
        .map_err(|error| Failure(format!("not all connections could be opened: {error}")))?;
    let after = server.memory();
    drop(open);
    let more = after.rss_kib.saturating_sub(before.rss_kib) * 1024;
    Ok(Record {
        rss_kib: Some(after.rss_kib),
        pss_kib: Some(after.pss_kib),
        connections: Some(count),
        bytes_per_connection: Some(float(more) / float(count as u64)),
        ..record(run, contender, round)
    })
}

/// One that has had a response.
fn connection(contender: &Contender, server: &Server) -> io::Result<TcpStream> {
    let mut stream = client::connect(server.address, PATIENCE)?;
    client::send(&mut stream, &contender.load)?;
    client::skip_response(&mut stream, &contender.load)?;
    Ok(stream)
}
