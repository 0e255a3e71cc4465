#!/usr/bin/env bash
# Kills the backends of a gateway with SIGKILL and starts them again, one after the other, while 64 connections are busy,
# and prints how many requests failed. Exit code 0 if none did.
#
# Usage: tests/kill-backends.sh [--seconds N]
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --release --quiet -p failover-gateway
cargo build --locked --release --quiet -p failover-tests --bin fleet
target="${CARGO_TARGET_DIR:-target}/release"
"$target/fleet" trial --gateway "$target/failover-gateway" "$@"
