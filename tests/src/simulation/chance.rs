//! What calls that come at random do in all but one run in ten thousand: there are some thousands in the whole grid.

/// The time in which so many calls come, as a multiple of the mean time between two.
#[must_use]
pub fn longest(calls: u32) -> f64 {
    let Some(before) = calls.checked_sub(1).and_then(|before| usize::try_from(before).ok()) else {
        return 0.0;
    };
    let is_rare = |time| at_most(time).nth(before).is_some_and(|fewer| fewer <= RARE);
    let (mut least, mut most) = (0.0, 1.0);
    while !is_rare(most) {
        (least, most) = (most, 2.0 * most);
    }
    for _ in 0..50 {
        let middle = f64::midpoint(least, most);
        if is_rare(middle) { most = middle } else { least = middle }
    }
    most
}

/// The calls that come in a time in which `mean` of them come on average.
#[must_use]
pub fn most(mean: f64) -> u32 {
    let mut counts = (0..).zip(at_most(mean));
    counts.find(|(_, share)| *share >= 1.0 - RARE).map_or(u32::MAX, |(count, _)| count)
}

/// With what probability at most none, one, two and so on come, where `mean` come on average.
fn at_most(mean: f64) -> impl Iterator<Item = f64> {
    let (mut log, mut sum) = (-mean, 0.0);
    (1_u32..).map(move |count| {
        sum += log.exp();
        log += mean.ln() - f64::from(count).ln();
        sum
    })
}

const RARE: f64 = 1e-4;
