#!/usr/bin/env bash
# Holds the public API of the named libraries, with all features, against the list of it in each one's public-api.txt, and
# shows what is no longer the same. With --write the lists are written.
#
# Usage: tests/public-api.sh [--write] CRATE...
set -euo pipefail
cd "$(dirname "$0")/.."

write=false
if [[ ${1:-} == --write ]]; then
    write=true
    shift
fi
if [[ ${1:--} == -* ]]; then
    echo "usage: tests/public-api.sh [--write] CRATE..." >&2
    exit 2
fi
target="$(realpath -m "${CARGO_TARGET_DIR:-target}")/public-api"

same=true
for crate in "$@"; do
    # The format is nightly's, and that of each compiler is its own: so it is the compiler of all other checks that writes it.
    RUSTC_BOOTSTRAP=1 cargo rustdoc --locked --quiet -p "$crate" --lib --all-features --target-dir "$target" -- \
        -Z unstable-options --output-format json --cap-lints allow
    # What is derived or follows from other items is left out.
    cargo public-api --rustdoc-json "$target/doc/${crate//-/_}.json" -sss >"$target/$crate.txt"
    if $write; then
        cp "$target/$crate.txt" "$crate/public-api.txt"
    elif ! diff -U 0 --label "$crate/public-api.txt" --label "the public API of $crate" "$crate/public-api.txt" "$target/$crate.txt"; then
        same=false
    fi
done
if ! $same; then
    echo "the public API is not as it is listed: if it is as it is meant, write the lists by \`just public-api --write\`" >&2
    exit 1
fi
