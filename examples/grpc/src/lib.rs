//! The messages, the client and the server of `proto/clock.proto`.

/// Generated from the package `clock`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::doc_markdown,
    clippy::must_use_candidate,
    clippy::needless_pass_by_value,
    clippy::redundant_closure_for_method_calls,
    clippy::return_self_not_must_use,
    clippy::semicolon_if_nothing_returned,
    clippy::use_self,
    reason = "generated code"
)]
pub mod clock {
    tonic::include_proto!("clock");
}
