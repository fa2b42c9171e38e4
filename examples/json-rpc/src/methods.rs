//! The methods that clients call.

use jsonrpsee::{core::RpcResult, proc_macros::rpc, types::ErrorObjectOwned};
use tower_wsgi::blocking::BlockingPool;

/// The code of an error for parameters that have the right types and no result.
const OUT_OF_RANGE: i32 = 1;
/// The code of an error for a method that has no thread.
const BUSY: i32 = 2;
/// The largest number up to which primes are counted: it bounds the time and the memory of a call.
const MAX_PRIMES: u32 = 10_000_000;

#[rpc(server)]
pub(crate) trait Api {
    /// The worker that responds, and its process id.
    #[method(name = "worker")]
    fn worker(&self) -> RpcResult<(usize, u32)>;

    /// `a / b`
    #[method(name = "math.divide")]
    fn divide(&self, a: f64, b: f64) -> RpcResult<f64>;

    /// The number of primes up to `limit`.
    #[method(name = "math.primes")]
    async fn primes(&self, limit: u32) -> RpcResult<usize>;
}

/// The methods of one worker.
pub(crate) struct Methods {
    slot: usize,
    pool: BlockingPool,
}

impl Methods {
    pub(crate) fn new(slot: usize, pool: BlockingPool) -> Self {
        Self { slot, pool }
    }
}

#[jsonrpsee::core::async_trait]
impl ApiServer for Methods {
    fn worker(&self) -> RpcResult<(usize, u32)> {
        Ok((self.slot, std::process::id()))
    }

    fn divide(&self, a: f64, b: f64) -> RpcResult<f64> {
        let quotient = a / b;
        if quotient.is_finite() {
            Ok(quotient)
        } else {
            Err(out_of_range("the quotient is too large: b must not be 0"))
        }
    }

    async fn primes(&self, limit: u32) -> RpcResult<usize> {
        if limit > MAX_PRIMES {
            return Err(out_of_range(&format!("limit must be at most {MAX_PRIMES}")));
        }
        // The event loop must not compute: it serves other clients meanwhile.
        let count = self.pool.run(move || count_primes(limit as usize)).await;
        count.map_err(|refused| ErrorObjectOwned::owned(BUSY, refused.to_string(), None::<()>))
    }
}

fn out_of_range(message: &str) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(OUT_OF_RANGE, message, None::<()>)
}

/// Counts the primes up to `limit` by the sieve of Eratosthenes.
fn count_primes(limit: usize) -> usize {
    let mut composite = vec![false; limit + 1];
    let mut count = 0;
    for number in 2..=limit {
        if composite[number] {
            continue;
        }
        count += 1;
        for multiple in (number * number..=limit).step_by(number) {
            composite[multiple] = true;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_counted() {
        let counts: Vec<_> = [0, 1, 2, 3, 4, 100, 1000].map(count_primes).into();
        assert_eq!(counts, [0, 0, 1, 2, 2, 25, 168]);
    }
}
