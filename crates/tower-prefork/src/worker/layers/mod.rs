//! The layers that the settings put between the connections and the service.
//!
//! A request passes them in this order, of which [`Layers::around`] is the one place:
//!
//! 1. `static_files`: a request for a file ends here. Outside of the compression, because a file has its own
//!    compressed forms, and a range or a strong `ETag` of it has to stay what it is. Outside of the service, so that
//!    files are served while all threads of the service are busy.
//! 2. `compression`: the responses of the service.
//!
//! The identifier of a request is none of them: it belongs to the exchange, where it is known before the line of the access log begins,
//! and where the responses of the server itself get it too (`request_id` in tower-serve).
//!
//! With none of the settings the connections call the service itself.
//!
//! | module | what it does |
//! |---|---|
//! | `stack` | the layers of a worker, in their order |
//! | `static_files` | tower-http's `ServeDir`, confined to its directory |
//! | `compression` | tower-http's `CompressionLayer`, and what it does not do |
//! | `boxed` | a service and a body without their types |

mod boxed;
mod compression;
mod stack;
mod static_files;

pub(super) use stack::Layers;
