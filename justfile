# Each check stands here once: CI runs them all by `just ci`. What a recipe needs beside the toolchain is in CONTRIBUTING.md.

set shell := ["bash", "-euo", "pipefail", "-c"]

export CARGO_TERM_COLOR := env("CARGO_TERM_COLOR", if env("CI", "") == "" { "auto" } else { "never" })

# The crates that are published, each after those that it depends on.
published := "failover-core failover-hyper failover-tokio failover-async-std failover-reqwest failover-gateway"
chosen := "-p " + replace(published, " ", " -p ")
# The libraries, whose public API is listed.
libraries := replace(published, " failover-gateway", "")
# The crates that build without TLS and without HTTP/2, too.
adapters := "failover-hyper failover-tokio failover-async-std"
# Where a check that could not be made is noted.
skipped := env("CARGO_TARGET_DIR", "target") / "skipped"

# What there is.
default:
    @just --list --unsorted

# A contributor's loop: layout, clippy and quick tests. What CI runs is `just ci`.
check: fmt
    cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
    cargo nextest run --locked --workspace --lib --bins --test 'core_*' --test layout -E 'not binary(/^core_(examples|interleavings|model|oracle)$/)'

# The layout of the code.
fmt:
    cargo fmt --all --check

# Clippy, with and without the features.
lint:
    cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
    for adapter in {{adapters}}; do \
        for features in "" http2 rustls-no-provider rustls; do \
            cargo clippy --locked -p "$adapter" --no-default-features --features "$features" -- -D warnings; \
        done; \
        cargo clippy --locked -p "$adapter" --no-default-features --all-targets -- -D warnings; \
    done

# All tests: what nextest runs, and the documentation's.
test:
    cargo nextest run --locked --workspace {{ if env("CI", "") == "" { "" } else { "--profile ci" } }}
    cargo test --locked --workspace --doc

# The adapter for reqwest over its TLS, HTTP/2 and decompression.
reqwest-features:
    cargo test --locked --manifest-path tests/reqwest-features/Cargo.toml

# The adapters without what is on by default, and over TLS without HTTP/2.
features:
    cargo nextest run --locked -p failover-tokio --no-default-features
    cargo nextest run --locked -p failover-tokio --no-default-features --features rustls-no-provider
    cargo nextest run --locked -p failover-async-std --no-default-features
    cargo nextest run --locked -p failover-hyper -p failover-async-std --no-default-features --features rustls

# The README's own command for all tests.
readme:
    cargo test --workspace

# The documentation as docs.rs builds it, without a broken link. What it says of features is rustdoc's own, and not stable yet.
doc:
    RUSTC_BOOTSTRAP=1 RUSTDOCFLAGS="--cfg docsrs -D warnings" cargo doc --locked --workspace --all-features --no-deps --target-dir "${CARGO_TARGET_DIR:-target}/docs-rs"

# The words that threads share, under every interleaving.
loom:
    RUSTFLAGS="--cfg loom" cargo test --locked --release -p failover-core --test loom --target-dir "${CARGO_TARGET_DIR:-target}/loom"

# The same words, under many random schedules.
shuttle:
    RUSTFLAGS="--cfg shuttle" SHUTTLE_SILENCE_WARNINGS=1 cargo test --locked --release -p failover-core --test shuttle --target-dir "${CARGO_TARGET_DIR:-target}/shuttle"

# The published crates by the lowest Rust that they declare.
msrv:
    tests/msrv.sh {{published}}

# The machine where there is no operating system.
wasm:
    cargo build --locked -p failover-core --all-features --target wasm32-unknown-unknown

# The published crates with the lowest versions of what they depend on.
minimal-versions:
    tests/minimal-versions.sh {{published}}

# Where packages are verified.
packages := env("CARGO_TARGET_DIR", "target") / "packages"

# The packages as they would be published, each built from what is in it. Cargo keeps what it unpacked and built for that by
# name and version, which stay the same here while the content changes.
package *options:
    rm -rf "{{packages}}" "${CARGO_HOME:-$HOME/.cargo}"/registry/{cache,src}/-*/failover-*
    cargo package --locked {{chosen}} --target-dir "{{packages}}" {{options}}

# The public API of the libraries, held against the lists of it. `just public-api --write` writes them.
public-api *options:
    tests/public-api.sh {{options}} {{libraries}}

# Licences, sources and bans.
deny:
    cargo deny check bans licenses sources

# The machine under arbitrary policies and events.
fuzz seconds="20":
    cargo +nightly fuzz run --fuzz-dir tests/fuzz machine -- -max_total_time={{seconds}} -verbosity=0

# The gateway's status page in Chromium.
browser:
    cargo test --locked --workspace --test gateway -- --ignored

# Backends of the gateway killed under load.
soak seconds="20":
    tests/kill-backends.sh --seconds {{seconds}}

# Many calls by both adapters of targets that misbehave at random.
soak-calls seconds="600" *options:
    cargo run --locked --release -p failover-tests --bin soak -- --seconds {{seconds}} {{options}}

# The machine, and others, in the scenes of a simulated world.
world *options:
    cargo run --locked --release -p failover-tests --bin world -- {{options}}

# The plots of BENCHMARKS.md, from its tables.
plots:
    UPDATE_PLOTS=1 cargo test --locked -p failover-tests --test plots

# Throughput beside hyper-util's client, and beside surf's own transports.
peers:
    cargo bench --locked -p failover-tokio --bench overhead
    cargo run --locked --release --manifest-path tests/bench-surf/Cargo.toml

# What answers with large heads and trailers cost those who call beside them.
beside:
    cargo bench --locked -p failover-tokio --bench beside

# What a call costs beside hyper-util's client and reqwest: instructions and allocations, and what is held where all stand still (`memory`); with `profile get`, where.
cost *options:
    cargo run --locked --release --manifest-path tests/bench-peers/Cargo.toml -- {{options}}

# The gateway beside nginx and HAProxy while all is well: throughput, processor time, and its instructions, above whose bound this fails.
proxies *options:
    tests/proxies.sh well {{options}}

# The instructions of a request at the gateway, and where they go; fails above their bound.
proxy-cost:
    tests/proxies.sh count

# The gateway beside nginx and HAProxy before a backend that is killed, stopped and so on under load; `--quick`, and `--scene NAME`.
fire *options:
    tests/proxies.sh fire {{options}}

# Everything that CI runs, in its order.
ci: _begin fmt lint test features reqwest-features readme doc loom shuttle msrv minimal-versions package browser (soak "10")
    @just _where '[[ -d $(rustc --print target-libdir --target wasm32-unknown-unknown) ]]' wasm "no standard library for wasm32"
    @just _where '[[ $(cargo public-api --version) == *" 0.52."* ]]' public-api "no cargo-public-api 0.52"
    @just _where "cargo deny --version" deny "no cargo-deny"
    @just _where "cargo +nightly fuzz --version" fuzz "no cargo-fuzz, or no nightly toolchain for it"
    @just _end

_begin:
    @mkdir -p "$(dirname "{{skipped}}")" && : >"{{skipped}}"

_where needed recipe reason:
    @if {{needed}} >/dev/null 2>&1; then just "{{recipe}}"; else echo "{{recipe}}: {{reason}}" >>"{{skipped}}"; fi

_end:
    @echo
    @echo "== All checks that were made have passed."
    @if [[ -s "{{skipped}}" ]]; then echo "== NOT CHECKED:"; sed 's/^/   /' "{{skipped}}"; else echo "== Nothing was skipped."; fi
