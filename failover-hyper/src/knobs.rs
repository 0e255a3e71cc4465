//! Knobs of the policy that builders of clients set by themselves.

use std::time::Duration;

use failover_core::{Backoff, Budget, Checks, CoolDown, Failback, Follow, Judges, Late, Policy, StatusCodes};

/// Knobs that win over those of the policy, with a field for each that can be set.
macro_rules! knobs {
    ($($knob:ident: $type:ty,)*) => {
        /// Knobs that win over those of a policy, where they are set.
        #[derive(Clone, Debug, Default)]
        pub struct Knobs {
            $(
                #[doc = concat!("See [`Policy`](field@Policy::", stringify!($knob), ").")]
                pub $knob: Option<$type>,
            )*
            /// Judges that are asked after those of the policy.
            pub judges: Judges,
        }

        impl Knobs {
            /// Sets those of a policy.
            pub(crate) fn set(&self, policy: &mut Policy) {
                $(
                    if let Some(value) = &self.$knob {
                        policy.$knob = value.clone();
                    }
                )*
                policy.judge.extend(&self.judges);
            }
        }
    };
}

knobs! {
    not_processed: Option<StatusCodes>,
    upload_deadline: Option<Duration>,
    body_idle: Option<Duration>,
    upgrades: Vec<String>,
    rounds: u8,
    backoff: Backoff,
    max_attempts: Option<u16>,
    free_repeat: bool,
    replay_buffer: usize,
    follow: Follow,
    leave_after: u8,
    late: Option<Late>,
    failback: Option<Failback>,
    cool_down: Option<CoolDown>,
    checks: Option<Checks>,
    retry_after: Option<Duration>,
    budget: Option<Budget>,
    jitter: bool,
    seed: u64,
}
