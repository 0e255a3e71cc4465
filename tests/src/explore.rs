//! Enumeration of small worlds: every combination of choices, one run each.

/// The choices of one run.
#[derive(Debug, Default)]
pub struct Choices {
    /// What was chosen, and of how many.
    made: Vec<(usize, usize)>,
    next: usize,
}

impl Choices {
    /// Chooses one of `count` possibilities.
    ///
    /// # Panics
    ///
    /// There is nothing to choose from, or the runs are not repeatable.
    pub fn one_of(&mut self, count: usize) -> usize {
        assert!(count > 0, "a choice of nothing");
        if self.next == self.made.len() {
            self.made.push((0, count));
        }
        let (chosen, of) = self.made[self.next];
        assert_eq!(of, count, "the run differs from the last one although the choices were the same");
        self.next += 1;
        chosen
    }

    /// Chooses one of these.
    pub fn among<T: Copy>(&mut self, possibilities: &[T]) -> T {
        possibilities[self.one_of(possibilities.len())]
    }
}

/// Runs once for every combination of choices, and says how often that was.
pub fn explore(mut run: impl FnMut(&mut Choices)) -> usize {
    let mut choices = Choices::default();
    let mut runs = 0;
    loop {
        choices.next = 0;
        run(&mut choices);
        runs += 1;
        choices.made.truncate(choices.next);
        while choices.made.last().is_some_and(|(chosen, of)| chosen + 1 == *of) {
            choices.made.pop();
        }
        match choices.made.last_mut() {
            Some((chosen, _)) => *chosen += 1,
            None => return runs,
        }
    }
}
