//! The knobs of a configuration that are tables.

use core::time::Duration;

use crate::budget::Budget;
use crate::checks::Checks;
use crate::config::value::Value;
use crate::error::BuildError;
use crate::failback::Failback;
use crate::health::CoolDown;
use crate::late::Late;
use crate::pause::Backoff;

impl Value {
    /// A table, or its `after` alone.
    pub(crate) fn failback(&self, key: &str) -> Result<Failback, BuildError> {
        let mut failback = Failback::default();
        self.entries_or("after", key, &["after", "max"], |part, key, value| {
            *(if part == "after" { &mut failback.after } else { &mut failback.max }) = value.duration(key)?;
            Ok(())
        })?;
        failback.max = self.longest(failback.max, failback.after);
        Ok(failback)
    }

    /// The cool-down, and the `strikes` that it had in older files, which are now the policy's `leave_after`; or its `base`
    /// alone.
    pub(crate) fn cool_down(&self, key: &str) -> Result<(CoolDown, Option<u8>), BuildError> {
        let (mut cool_down, mut strikes) = (CoolDown::default(), None);
        self.entries_or("base", key, &["base", "max", "strikes"], |part, key, value| {
            match part {
                "strikes" => strikes = Some(value.integer(key)?),
                "base" => cool_down.base = value.duration(key)?,
                _ => cool_down.max = value.duration(key)?,
            }
            Ok(())
        })?;
        cool_down.max = self.longest(cool_down.max, cool_down.base);
        Ok((cool_down, strikes))
    }

    pub(crate) fn late(&self, key: &str) -> Result<Late, BuildError> {
        let mut late = Late::default();
        self.entries(key, &["factor", "floor"], |part, key, value| {
            match part {
                "factor" => late.factor = value.integer(key)?,
                _ => late.floor = value.duration(key)?,
            }
            Ok(())
        })?;
        Ok(late)
    }

    /// A table, or its `path` alone.
    pub(crate) fn checks(&self, key: &str) -> Result<Checks, BuildError> {
        let mut checks = Checks::at("");
        let keys = ["path", "every", "timeout", "fall", "rise", "statuses"];
        self.entries_or("path", key, &keys, |part, key, value| {
            match part {
                "path" => checks.path = value.text(key, "a path such as /healthz")?,
                "every" => checks.every = value.duration(key)?,
                "timeout" => checks.timeout = value.duration(key)?,
                "fall" => checks.fall = value.integer(key)?,
                "rise" => checks.rise = value.integer(key)?,
                _ => checks.statuses = value.codes(key)?,
            }
            Ok(())
        })?;
        Ok(checks)
    }

    /// A table, or its `base` alone.
    pub(crate) fn backoff(&self, key: &str) -> Result<Backoff, BuildError> {
        let mut backoff = Backoff::default();
        self.entries_or("base", key, &["base", "max"], |part, key, value| {
            *(if part == "base" { &mut backoff.base } else { &mut backoff.max }) = value.duration(key)?;
            Ok(())
        })?;
        backoff.max = self.longest(backoff.max, backoff.base);
        Ok(backoff)
    }

    /// A table, or its `percent` alone, with that sign.
    pub(crate) fn budget(&self, key: &str) -> Result<Budget, BuildError> {
        let mut budget = Budget::default();
        self.entries_or("percent", key, &["percent", "reserve"], |part, key, value| {
            *(if part == "percent" { &mut budget.percent } else { &mut budget.reserve }) = match value {
                Self::Text(text) if part == "percent" => {
                    let percent = text.strip_suffix('%').and_then(|number| number.trim_end().parse().ok());
                    percent.ok_or_else(|| value.refuse(key, "a part of the calls such as \"20%\""))?
                }
                _ => value.integer(key)?,
            };
            Ok(())
        })?;
        Ok(budget)
    }

    /// The end of what doubles in this table: what is not set gives way to where it begins.
    fn longest(&self, max: Duration, first: Duration) -> Duration {
        if self.has("max") { max } else { max.max(first) }
    }
}
