//! What is counted in each of the last seconds.

/// A count for each of the last seconds.
pub(crate) struct Seconds<T> {
    /// With the second that each is of, at its place modulo their number.
    slots: [(u64, T); MOST],
}

impl<T: Copy + Default> Default for Seconds<T> {
    fn default() -> Self {
        Self { slots: [(u64::MAX, T::default()); MOST] }
    }
}

impl<T: Copy + Default> Seconds<T> {
    /// The count of the present second.
    pub(crate) fn at(&mut self, now: u64) -> &mut T {
        let (second, count) = &mut self.slots[slot(now)];
        if *second != now {
            (*second, *count) = (now, T::default());
        }
        count
    }

    /// The counts of these seconds, given as how long before the present one they began.
    pub(crate) fn before(&self, now: u64, seconds: impl Iterator<Item = u64>) -> impl Iterator<Item = T> {
        seconds.map(move |before| {
            let found = now.checked_sub(before).map(|at| (at, self.slots[slot(at)]));
            found.filter(|(at, (second, _))| at == second).map_or_else(T::default, |(_, (_, count))| count)
        })
    }

    /// Those of the last minute, the present second last.
    pub(crate) fn last_minute(&self, now: u64) -> impl Iterator<Item = T> {
        self.before(now, (0..MOST as u64).rev())
    }
}

fn slot(second: u64) -> usize {
    usize::try_from(second % MOST as u64).unwrap_or_default()
}

const MOST: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: `Seconds::at` that adds to what is a minute old.
    #[test]
    fn a_second_is_told_for_a_minute_and_never_added_to_an_older_one() {
        let mut seconds = Seconds::<u32>::default();
        assert_eq!(seconds.last_minute(0).sum::<u32>(), 0);
        *seconds.at(0) += 3;
        *seconds.at(59) += 1;
        assert_eq!(seconds.last_minute(59).collect::<Vec<_>>()[0], 3);
        assert_eq!(seconds.last_minute(60).sum::<u32>(), 1);
        *seconds.at(60) += 5;
        assert_eq!((*seconds.at(60), seconds.last_minute(60).sum::<u32>()), (5, 6));
        assert_eq!(seconds.before(60, 1..3).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(seconds.last_minute(1_000).sum::<u32>(), 0);
    }
}
