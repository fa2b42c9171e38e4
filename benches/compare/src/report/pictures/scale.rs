//! From figures to places, and to text.

/// Ten raised to the last whole number below the logarithm: the grid line before a figure.
pub(super) fn decade_below(figure: f64) -> f64 {
    10_f64.powf(figure.log10().floor())
}

/// The grid line after a figure.
pub(super) fn decade_above(figure: f64) -> f64 {
    10_f64.powf(figure.log10().ceil())
}

/// Requests a second.
pub(super) fn rate(figure: f64) -> String {
    if figure >= 1e4 {
        format!("{:.0} k", figure / 1e3)
    } else if figure >= 1e3 {
        format!("{:.1} k", figure / 1e3)
    } else {
        format!("{figure:.0}")
    }
}

pub(super) fn microseconds(figure: f64) -> String {
    if figure >= 100.0 {
        format!("{figure:.0} µs")
    } else {
        format!("{figure:.1} µs")
    }
}

/// A round time.
pub(super) fn milliseconds(figure: f64) -> String {
    if figure >= 1e3 {
        format!("{} s", figure / 1e3)
    } else {
        format!("{figure} ms")
    }
}

/// Three digits, without a unit.
pub(super) fn digits(figure: f64) -> String {
    if figure >= 100.0 {
        format!("{figure:.0}")
    } else if figure >= 10.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.2}")
    }
}

/// Memory, of a figure in KiB.
pub(super) fn memory(figure: f64) -> String {
    if figure >= 1024.0 {
        format!("{:.1} MiB", figure / 1024.0)
    } else {
        format!("{figure:.1} KiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_as_long_as_they_mean_something() {
        assert_eq!(
            [150_234.0, 9_449.0, 968.0].map(rate),
            ["150 k", "9.4 k", "968"]
        );
        assert_eq!([7.26, 312.4].map(microseconds), ["7.3 µs", "312 µs"]);
        assert_eq!(
            [0.1, 100.0, 1e4].map(milliseconds),
            ["0.1 ms", "100 ms", "10 s"]
        );
        assert_eq!([0.456, 12.34, 123.4].map(digits), ["0.46", "12.3", "123"]);
        assert_eq!([1.93, 23_961.6].map(memory), ["1.9 KiB", "23.4 MiB"]);
    }

    #[test]
    fn a_figure_lies_between_its_decades() {
        assert_eq!((decade_below(0.45), decade_above(0.45)), (0.1, 1.0));
        assert_eq!((decade_below(20.0), decade_above(20.0)), (10.0, 100.0));
    }
}
