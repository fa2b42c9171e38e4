//! Servers on our crates.
//!
//! usage: `tower-server handler|blocking|router|websocket COUNT PORT`

mod layers;
mod router;
#[path = "../../websocket_echo.rs"]
mod websocket_echo;

use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [case, count, port] = &arguments[..] else {
        return Err("usage: tower-server CASE COUNT PORT".into());
    };
    let (count, port) = (count.parse()?, port.parse()?);
    match case.as_str() {
        "handler" => layers::handler(port),
        "blocking" => layers::blocking(count, port),
        "router" => router::serve(router::hello, count, port),
        "websocket" => router::serve(websocket_echo::router, count, port),
        other => Err(format!("there is no case {other:?}").into()),
    }
}
