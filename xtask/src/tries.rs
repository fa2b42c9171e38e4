//! A second try for the tests that drive real processes and sockets: a machine that has other work to do can upset one
//! of two thousand. What is broken fails twice.

use crate::command::Failure;

/// How often a step was tried until it passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tries {
    One,
    Two,
}

/// Tries `first`, and if that fails, `again`.
pub(crate) fn twice(
    first: impl FnOnce() -> Result<(), Failure>,
    again: impl FnOnce() -> Result<(), Failure>,
) -> Result<Tries, Failure> {
    let Err(Failure(sentence)) = first() else {
        return Ok(Tries::One);
    };
    println!(
        "\nFAILED at the first try: {sentence}. Once more, as the machine may have been too busy:"
    );
    again()?;
    Ok(Tries::Two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_once() {
        let tries = twice(|| Ok(()), || panic!("nothing failed"));
        assert_eq!(tries.expect("it passed"), Tries::One);
    }

    #[test]
    fn what_fails_once_is_told() {
        let tries = twice(|| Err(Failure("by chance".to_owned())), || Ok(()));
        assert_eq!(tries.expect("it passed in the end"), Tries::Two);
    }

    #[test]
    fn what_fails_twice_fails() {
        let fails = || Err(Failure("it is broken".to_owned()));
        assert!(twice(fails, fails).is_err());
    }
}
