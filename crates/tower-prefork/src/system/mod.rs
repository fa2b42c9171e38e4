//! What the program has to do with the machine that it runs on.

mod credentials;
mod pid_file;
mod title;
mod umask;

pub(crate) use credentials::Credentials;
pub(crate) use pid_file::PidFile;
pub(crate) use title::Title;
pub(crate) use umask::set_umask;
