//! The knobs of a configuration that are tables.

use crate::budget::Budget;
use crate::config::value::Value;
use crate::error::BuildError;
use crate::failback::Failback;
use crate::health::CoolDown;
use crate::pause::Backoff;

impl Value {
    pub(crate) fn failback(&self, key: &str) -> Result<Failback, BuildError> {
        let mut failback = Failback::default();
        self.entries(key, &["after", "max"], |part, key, value| {
            *(if part == "after" { &mut failback.after } else { &mut failback.max }) = value.duration(key)?;
            Ok(())
        })?;
        failback.max = failback.max.max(failback.after);
        Ok(failback)
    }

    pub(crate) fn cool_down(&self, key: &str) -> Result<CoolDown, BuildError> {
        let mut cool_down = CoolDown::default();
        self.entries(key, &["strikes", "base", "max"], |part, key, value| {
            match part {
                "strikes" => cool_down.strikes = value.integer(key)?,
                "base" => cool_down.base = value.duration(key)?,
                _ => cool_down.max = value.duration(key)?,
            }
            Ok(())
        })?;
        Ok(cool_down)
    }

    pub(crate) fn backoff(&self, key: &str) -> Result<Backoff, BuildError> {
        let mut backoff = Backoff::default();
        self.entries(key, &["base", "max"], |part, key, value| {
            *(if part == "base" { &mut backoff.base } else { &mut backoff.max }) = value.duration(key)?;
            Ok(())
        })?;
        Ok(backoff)
    }

    pub(crate) fn budget(&self, key: &str) -> Result<Budget, BuildError> {
        let mut budget = Budget::default();
        self.entries(key, &["percent", "reserve"], |part, key, value| {
            *(if part == "percent" { &mut budget.percent } else { &mut budget.reserve }) =
                value.integer(key)?;
            Ok(())
        })?;
        Ok(budget)
    }
}
