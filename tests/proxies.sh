#!/usr/bin/env bash
# The gateway beside nginx and HAProxy, each as a proxy before two backends, with the configurations in tests/proxies:
#
#   well    all is well: requests per second, processor time and instructions of a request. Exit code 1 if the gateway needs
#           more instructions than its bound.
#   count   of these only the instructions, and where they go.
#   fire    the first backend is killed, stopped and so on under load, and brought back: what fails, and for how long. One
#           after the other of the scenes that are named, or all; with --quick three of them, shorter.
#
# Usage: tests/proxies.sh well [--rounds N] | count | fire [--quick] [--scene NAME]...
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --release --quiet -p failover-gateway
cargo build --locked --release --quiet -p failover-tests --bin proxies
target="${CARGO_TARGET_DIR:-target}/release"
# Each connection takes one here and two of a proxy.
ulimit -Sn "$(ulimit -Hn)"
exec "$target/proxies" "${@:---help}" --gateway "$target/failover-gateway"
