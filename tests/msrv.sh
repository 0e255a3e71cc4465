#!/usr/bin/env bash
# Checks the named crates, with all features, by the lowest Rust that the workspace declares. Debian has that compiler; it
# is unpacked below the target folder and not installed, so that it disturbs no other.
#
# Usage: tests/msrv.sh CRATE...
set -euo pipefail
cd "$(dirname "$0")/.."

lowest=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
folder="$(realpath -m "${CARGO_TARGET_DIR:-target}")/msrv"
compiler="$folder/rustc-$lowest"

if [[ ! -x $compiler ]]; then
    rm -rf "$folder/debian"
    mkdir -p "$folder/debian"
    version=$(apt-cache madison rustc-web | awk -v lowest="$lowest." 'index($3, lowest) == 1 { print $3; exit }')
    [[ $version ]] || { echo "Debian has no rustc-web $lowest; is its list of packages here (apt-get update)?" >&2; exit 1; }
    (
        cd "$folder/debian"
        apt-get download -qq -o APT::Sandbox::User=root "rustc-web=$version" "libstd-rust-web-dev=$version" "libstd-rust-web-$lowest"
        llvm=$(dpkg -I libstd-rust-web-"$lowest"_*.deb | grep -o 'libllvm[0-9]*' | head -n 1)
        apt-get download -qq -o APT::Sandbox::User=root "$llvm"
        for package in *.deb; do
            dpkg -x "$package" .
            rm "$package"
        done
    )
    libraries=$(dirname "$(find "$folder/debian" -name 'librustc_driver-*.so')")
    cat >"$compiler" <<EOF
#!/bin/sh
LD_LIBRARY_PATH=$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec $folder/debian/usr/bin/rustc "\$@"
EOF
    chmod +x "$compiler"
fi

"$compiler" --version
packages=()
for crate in "$@"; do
    packages+=(-p "$crate")
done
RUSTC=$compiler cargo check --locked "${packages[@]}" --all-features --target-dir "$folder"
