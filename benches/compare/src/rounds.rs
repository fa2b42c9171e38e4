//! Runs the chosen rows, case by case, and writes the results after each row.

use std::time::Duration;

use crate::{
    Failure,
    case::{Case, Group, Mode, Row},
    files,
    measure::{self, Repeats},
    places::Places,
    record, report, rows,
};

/// Compares whole servers. `cargo xtask compare` builds them and runs this program
#[derive(clap::Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) places: Places,

    #[command(flatten)]
    pub(crate) plan: Plan,

    /// Measures only the rows of this group
    #[arg(value_name = "GROUP")]
    group: Option<Group>,

    /// Measures only this row; may be repeated. The other rows keep their results
    #[arg(long, value_name = "NUMBER")]
    row: Vec<u8>,
}

/// The duration of a measurement.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Number of rounds for each server of a case
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub(crate) rounds: usize,

    /// Duration of one round
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    pub(crate) seconds: u64,
}

impl Plan {
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// What one case is measured with.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) row: u8,
    pub(crate) case: &'a Case,
    pub(crate) mode: Mode,
    pub(crate) plan: Plan,
    pub(crate) places: &'a Places,
    pub(crate) repeats: &'a Repeats,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let places = &args.places;
    let rows = rows::rows(places);
    for number in &args.row {
        if !rows.iter().any(|row| row.number == *number) {
            return Err(Failure(format!(
                "there is no row {number}: they are 1 to {}",
                rows.len()
            )));
        }
    }
    files::write(places)
        .map_err(|error| Failure(format!("cannot write the files of the cases: {error}")))?;
    measure::allow_many_files()?;
    let repeats = Repeats::default();
    let mut records = record::read(&places.rounds())?;
    for row in rows.iter().filter(|row| is_chosen(row, args)) {
        let mut now = Vec::new();
        for case in &row.cases {
            for mode in case.modes() {
                println!("Row {}: {}, {}", row.number, case.name, mode.name());
                now.extend(measure::measure(Run {
                    row: row.number,
                    case,
                    mode,
                    plan: args.plan,
                    places,
                    repeats: &repeats,
                })?);
            }
        }
        records = record::replace(records, row.number, now);
        // After each row, so that an interrupted run keeps the finished rows.
        report::write(places, &rows, &records)?;
    }
    println!("\n{}", report::summary(&rows, &records));
    Ok(())
}

fn is_chosen(row: &Row, args: &Args) -> bool {
    let by_group = args.group.is_none_or(|group| group == row.group);
    by_group && (args.row.is_empty() || args.row.contains(&row.number))
}
