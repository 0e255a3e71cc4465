//! The cursor: where the next call begins.

use crate::sync::{AtomicU64, Ordering};

/// Where the cursor stood when a call read it: the sticky target, and an epoch that grows with every move.
///
/// 48 bits of epoch, which wraps harmlessly, and 16 bits of target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Position(u64);

impl Position {
    #[inline]
    pub(crate) fn target(self) -> usize {
        usize::from(u16::from_le_bytes([self.0.to_le_bytes()[0], self.0.to_le_bytes()[1]]))
    }

    fn moved_to(self, target: usize) -> Self {
        let epoch = (self.0 >> TARGET_BITS).wrapping_add(1);
        Self(epoch << TARGET_BITS | target as u64)
    }
}

/// The sticky target, shared by all calls of a group.
///
/// A call reads it once (`snapshot`) and moves it only from where it saw it: what a slow call learned never undoes a
/// newer failover (`epoch`), and k calls that fail together move it by one step (`one_step`).
#[derive(Debug)]
pub(crate) struct Cursor(AtomicU64);

impl Cursor {
    pub(crate) fn new(target: usize) -> Self {
        Self(AtomicU64::new(target as u64))
    }

    #[inline]
    pub(crate) fn read(&self) -> Position {
        Position(self.0.load(Ordering::Acquire))
    }

    /// Moves to `target`, unless it has moved since it was `seen`.
    pub(crate) fn advance(&self, seen: Position, target: usize) -> bool {
        self.0.compare_exchange(seen.0, seen.moved_to(target).0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

const TARGET_BITS: u32 = 16;
