//! The set of status codes against a plain set of numbers.

use std::collections::BTreeSet;

use failover_core::StatusCodes;
use http::StatusCode;
use proptest::prelude::*;

#[test]
fn a_list_names_codes_ranges_and_classes_and_may_negate_each() {
    let set = |list: &str| list.parse::<StatusCodes>().expect("a list").to_string();
    assert_eq!(set("501-504"), "501-504");
    assert_eq!(set("503,501 , 502"), "501-503");
    assert_eq!(set("5xx, !501, !510-598"), "500, 502-509, 599");
    assert_eq!(set("!501, 5XX"), "500, 502-599", "order does not matter");
    assert_eq!(set("!2xx, ! 3xx"), "100-199, 400-999", "only negated parts leave all the others");
    assert_eq!(set("9xx, 100"), "100, 900-999");
    assert_eq!(set(" "), "");
}

#[test]
fn rejected_a_part_that_is_none_is_named() {
    for part in [
        "99", "1000", "0503", "+50", "5x", "0xx", "axx", "504-501", "501-", "-", "!", "501 502", "5xx-6xx",
        "!!501", "",
    ] {
        let list = format!("503, {part}, 504");
        let error = list.parse::<StatusCodes>().expect_err(part);
        assert_eq!(error.part(), part);
        assert!(error.to_string().contains(&format!("`{part}`")), "{error}");
    }
    assert_eq!(StatusCodes::from_codes([503, 99]).expect_err("refused").part(), "99");
    assert_eq!(StatusCodes::from_codes([1000]).expect_err("refused").part(), "1000");
}

proptest! {
    #![proptest_config(failover_tests::properties("regressions/core_codes.txt"))]

    #[test]
    fn sets_behave_like_sets(a in numbers(), b in numbers()) {
        let [x, y] = [&a, &b].map(|numbers| StatusCodes::from_codes(numbers.iter().copied()).expect("codes"));
        prop_assert_eq!(listed(x.union(y)), a.union(&b).copied().collect::<BTreeSet<_>>());
        prop_assert_eq!(listed(x.difference(y)), a.difference(&b).copied().collect::<BTreeSet<_>>());
        prop_assert_eq!(x.is_empty(), a.is_empty());
        prop_assert_eq!(x.to_string().parse::<StatusCodes>(), Ok(x), "it parses as it displays");
        for code in 100..=999 {
            let status = StatusCode::from_u16(code).expect("a status");
            prop_assert_eq!(x.contains(status), a.contains(&code));
        }
        prop_assert_eq!(x.iter().collect::<StatusCodes>(), x);
    }

    #[test]
    fn no_text_panics(list in "[0-9x!, -]{0,12}|.{0,20}") {
        if let Ok(codes) = list.parse::<StatusCodes>() {
            prop_assert_eq!(codes.to_string().parse::<StatusCodes>(), Ok(codes));
        }
    }
}

fn numbers() -> impl Strategy<Value = BTreeSet<u16>> {
    prop::collection::btree_set(100..=999_u16, 0..40)
}

fn listed(set: StatusCodes) -> BTreeSet<u16> {
    set.iter().map(|status| status.as_u16()).collect()
}
