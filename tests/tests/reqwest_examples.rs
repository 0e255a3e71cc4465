//! The example of the adapter for reqwest, as a user runs it.
#![forbid(unsafe_code)]

use failover_tests::example::{self, Run};

#[test]
fn the_same_lines_fail_by_reqwest_and_are_answered_by_the_other_constructor() {
    let run = Run::of(&example::build("constructor"), &[""; 0]);
    let told = [
        "reqwest: error sending request for url (http://api/users?page=2)",
        r#"failover: placed {"for":"Ada","item":7}, by target 1"#,
    ];
    assert_eq!((run.code, run.printed.lines().collect::<Vec<_>>()), (0, told.to_vec()), "{run:#?}");
}
