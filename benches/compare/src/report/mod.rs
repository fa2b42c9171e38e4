//! What a reader sees.

mod detail;
mod figures;
mod method;
mod pictures;
mod results;
mod verdict;

use std::fs;

use crate::{Failure, case::Row, places::Places, record, record::Record};

pub(crate) use results::summary;

/// Writes all files of the results.
pub(crate) fn write(places: &Places, rows: &[Row], records: &[Record]) -> Result<(), Failure> {
    fs::create_dir_all(&places.results)
        .map_err(|error| Failure(format!("cannot make {}: {error}", places.results.display())))?;
    record::write(&places.rounds(), records)?;
    let texts = [
        ("README.md", method::text(places, rows)),
        ("results.md", results::text(rows, records)),
    ];
    for (name, text) in texts.into_iter().chain(pictures::all(rows, records)) {
        let path = places.results.join(name);
        fs::write(&path, text)
            .map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(())
}
