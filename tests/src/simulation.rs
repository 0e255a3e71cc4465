//! The world: many callers and misbehaving targets over virtual time, around the real machine or a rival of it.
//!
//! [`catalogue::SCENES`] says what happens and what is wanted. [`run::run`] plays one scene in one cell of the grid and
//! counts; [`grid::Verdict`] is a scene over the whole grid, where the worst cell counts. All that is known of the
//! machine's API stands in [`machine`]. The same seed gives the same bytes.

pub mod catalogue;
pub mod chance;
pub mod fate;
pub mod grid;
pub mod machine;
pub mod measure;
pub mod plot;
pub mod random;
pub mod rivals;
pub mod run;
pub mod scene;
pub mod subject;
pub mod tally;
