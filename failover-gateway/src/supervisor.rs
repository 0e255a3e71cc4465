//! What systemd is told of the process, if it started it as a service that notifies.

/// What the process does.
pub(crate) enum State {
    Ready,
    Reloading,
    Stopping,
}

/// Tells of it. Where nobody wants to know, nothing happens.
#[cfg(unix)]
pub(crate) fn tell(state: &State) {
    use sd_notify::NotifyState;

    let states = match state {
        State::Ready => vec![NotifyState::Ready],
        State::Reloading => {
            let since = NotifyState::monotonic_usec_now();
            [NotifyState::Reloading].into_iter().chain(since.ok()).collect()
        }
        State::Stopping => vec![NotifyState::Stopping],
    };
    if let Err(error) = sd_notify::notify(&states) {
        tracing::warn!("the service manager is not told: {error}");
    }
}

/// Nobody wants to know.
#[cfg(not(unix))]
pub(crate) fn tell(_state: &State) {}
