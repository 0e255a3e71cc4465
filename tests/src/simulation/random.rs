//! Randomness that is the same on every machine and for ever: `SplitMix64`.

use std::f64::consts::TAU;
use std::time::Duration;

/// A generator of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The generator of a seed that a text and numbers make together.
    #[must_use]
    pub fn of(text: &str, numbers: &[u64]) -> Self {
        let parts = text.bytes().map(u64::from).chain(numbers.iter().copied());
        Self(parts.fold(0, |seed, part| Self(seed ^ part).draw()))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.draw() >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    /// Whether something happens that does so with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        probability >= 1.0 || self.unit() < probability
    }

    /// A time until the next event of a Poisson process.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.unit()).ln())
    }

    /// A log-normal time around its median.
    pub fn log_normal(&mut self, median: Duration, sigma: f64) -> Duration {
        let normal = (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (TAU * self.unit()).cos();
        median.mul_f64((sigma * normal).exp())
    }
}
