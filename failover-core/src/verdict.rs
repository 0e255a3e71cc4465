//! What an answer means for its call and for its target.

/// What is done with an answer. By default it is made from the status, by the policy:
/// [`Attempt::verdict`](crate::Attempt::verdict).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is the call's, and its target is well.
    Accept,
    /// It is the call's, but it does not show that its target is well: one of 5xx, or 429 (`not_well`).
    Pass,
    /// It is given up, and the call goes on to another target if it may.
    Elsewhere {
        /// Whether the request may have been executed, so that going on needs proof.
        processed: bool,
        /// Whether it is a strike against the target.
        harm: bool,
    },
}

impl Verdict {
    /// Whether the answer is given up.
    #[must_use]
    pub const fn gives_up(self) -> bool {
        matches!(self, Self::Elsewhere { .. })
    }
}
