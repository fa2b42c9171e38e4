//! The prime numbers up to a limit: a bit for each odd number, sieved in segments that fit the cache.

/// Odd numbers in one word.
const WORD: u64 = 64;

/// Words in one segment: 64 KiB.
const SEGMENT: usize = 8 << 10;

/// The primes up to a limit, and how many there are.
pub(crate) struct Sieve {
    limit: u64,
    /// Bit `i` stands for the number `2 * i + 1`; that of 1 stands for 2, the even prime.
    words: Vec<u64>,
    /// How many primes the words before each segment have.
    before: Vec<u64>,
}

impl Sieve {
    pub(crate) fn up_to(limit: u64) -> Self {
        let odds = limit.div_ceil(2);
        let length = usize::try_from(odds.div_ceil(WORD)).expect("a machine of 64 bits");
        let mut words = vec![u64::MAX; length];
        let mut steps: Vec<Step> = small_primes(limit.isqrt()).map(Step::new).collect();
        let mut start = 0;
        for segment in words.chunks_mut(SEGMENT) {
            let end = start + segment.len() as u64 * WORD;
            for step in &mut steps {
                step.cross_out(segment, start, end);
            }
            start = end;
        }
        if let Some(last) = words.last_mut()
            && !odds.is_multiple_of(WORD)
        {
            *last &= (1 << (odds % WORD)) - 1;
        }
        if limit < 2 {
            words.clear();
        }
        let before = words.chunks(SEGMENT).scan(0, |sum, segment| {
            let before = *sum;
            *sum += ones(segment);
            Some(before)
        });
        Self {
            limit,
            before: before.collect(),
            words,
        }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether a number up to the limit is prime.
    pub(crate) fn is_prime(&self, number: u64) -> bool {
        let (word, bit) = place(number / 2);
        let is_set = |word: &u64| word & bit != 0;
        number == 2 && self.limit >= 2
            || number > 2 && number % 2 == 1 && self.words.get(word).is_some_and(is_set)
    }

    /// How many primes there are up to a number, which is up to the limit.
    pub(crate) fn count(&self, number: u64) -> u64 {
        let odds = number.div_ceil(2);
        let (word, bit) = place(odds);
        if number < 2 || self.words.is_empty() {
            return 0;
        }
        let segment = (word / SEGMENT).min(self.before.len() - 1);
        let whole = &self.words[segment * SEGMENT..word];
        let part = self.words.get(word).map_or(0, |word| word & (bit - 1));
        self.before[segment] + ones(whole) + u64::from(part.count_ones())
    }
}

/// A prime, and the next odd multiple of it that is to be crossed out.
struct Step {
    prime: u64,
    next: u64,
}

impl Step {
    fn new(prime: u64) -> Self {
        Self {
            prime,
            next: prime * prime / 2,
        }
    }

    fn cross_out(&mut self, segment: &mut [u64], start: u64, end: u64) {
        while self.next < end {
            let (word, bit) = place(self.next - start);
            segment[word] &= !bit;
            self.next += self.prime;
        }
    }
}

/// The odd primes up to a limit which is a square root.
fn small_primes(limit: u64) -> impl Iterator<Item = u64> {
    let mut primes: Vec<u64> = Vec::new();
    (3..=limit).step_by(2).filter(move |number| {
        let mut divisors = primes.iter().take_while(|prime| *prime * *prime <= *number);
        let is_prime = divisors.all(|prime| !number.is_multiple_of(*prime));
        if is_prime {
            primes.push(*number);
        }
        is_prime
    })
}

fn place(index: u64) -> (usize, u64) {
    let word = usize::try_from(index / WORD).unwrap_or(usize::MAX);
    (word, 1 << (index % WORD))
}

fn ones(words: &[u64]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_right_whatever_the_limit() {
        for limit in 0..400 {
            let sieve = Sieve::up_to(limit);
            let mut count = 0;
            for number in 0..=limit {
                let prime = number > 1 && (2..number).all(|divisor| number % divisor != 0);
                count += u64::from(prime);
                assert_eq!(sieve.is_prime(number), prime, "{number} up to {limit}");
                assert_eq!(sieve.count(number), count, "{number} up to {limit}");
            }
        }
    }

    #[test]
    fn the_counts_are_the_known_ones_over_several_segments() {
        let sieve = Sieve::up_to(10_000_000);
        assert!(sieve.before.len() > 3);
        for (number, count) in [
            (1_000_000, 78_498),
            (1 << 20, 82_025),
            (10_000_000, 664_579),
        ] {
            assert_eq!(sieve.count(number), count, "up to {number}");
        }
    }
}
