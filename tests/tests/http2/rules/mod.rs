//! The rules of RFC 9113 and RFC 7541, as tables of cases.
//!
//! Where a rule leaves a choice to the server, or h2 deviates in the code of an error alone, more than one outcome is named.

mod compression;
mod flow_control;
mod frames;
mod messages;
mod preface;
mod requests;
mod settings;
mod streams;
