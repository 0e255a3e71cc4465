#!/usr/bin/env bash
# Checks the named crates, with all features, with the lowest versions that they say suffice, in a copy of the workspace
# that has only these crates, without what their tests need. What the dependencies depend on in turn is resolved as ever:
# those bounds are not ours to mend.
#
# Usage: tests/minimal-versions.sh CRATE...
set -euo pipefail
cd "$(dirname "$0")/.."

target="$(realpath -m "${CARGO_TARGET_DIR:-target}")/minimal-versions"
copy="$target/workspace"
rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard -- Cargo.toml "$@" | xargs -0 cp --parents -t "$copy"
cd "$copy"
sed -i "s/^members = .*/members = [$(printf '"%s", ' "$@")]/; /^exclude = /d" Cargo.toml
for crate in "$@"; do
    awk '/^\[/ { skip = /dev-dependencies/ } !skip' "$crate/Cargo.toml" >"$crate/stripped"
    mv "$crate/stripped" "$crate/Cargo.toml"
done

# The resolver knows this on nightly only; what is then compiled is compiled by the stable compiler.
RUSTC_BOOTSTRAP=1 cargo update -Z direct-minimal-versions
packages=()
for crate in "$@"; do
    packages+=(-p "$crate")
done
cargo check "${packages[@]}" --all-features --target-dir "$target"
