//! Files that are watched, for development: a change asks for a reload.

mod files;
mod ignore;

pub(crate) use files::changes;
