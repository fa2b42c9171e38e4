//! The target of a case.

/// A demand on the ratio of ours to others, or on ours alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) figure: Figure,
    pub(crate) against: Against,
    pub(crate) bound: Bound,
}

/// The figure that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Requests a second; where the load is the limit, the inverse of the processor time for each.
    Throughput,
    /// Processor time for each request.
    Cpu,
    P99,
    /// Resident memory.
    Rss,
    /// Memory for each connection.
    PerConnection,
    /// The time to the first response.
    Start,
}

/// The servers with which ours is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// Each of the others that counts: the worst ratio is the result.
    Each,
    /// The one with the best throughput.
    Best,
    /// Those whose names begin like this.
    Named(&'static str),
    /// No other server: the figure itself, in its unit.
    None,
}

/// The bound of the ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    pub(crate) fn throughput(ratio: f64) -> Self {
        Self {
            figure: Figure::Throughput,
            against: Against::Each,
            bound: Bound::AtLeast(ratio),
        }
    }

    pub(crate) fn at_most(figure: Figure, against: Against, ratio: f64) -> Self {
        Self {
            figure,
            against,
            bound: Bound::AtMost(ratio),
        }
    }
}

impl Bound {
    pub(crate) fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_met_on_its_own_side() {
        assert!(Bound::AtLeast(0.97).is_met(0.97));
        assert!(!Bound::AtLeast(0.97).is_met(0.96));
        assert!(Bound::AtMost(1.2).is_met(1.2));
        assert!(!Bound::AtMost(1.2).is_met(1.3));
    }
}
