#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/bare-root.sh SUITE
# Makes a bare Debian of a suite (bookworm, trixie) by debootstrap, clones the last commit into it, and runs the demo there,
# which sets up all that it needs. Wants root or sudo, on Debian or Ubuntu.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
suite=$1
if ((EUID)); then
  exec sudo -n -E env "PATH=$PATH" "$0" "$@"
fi
source scripts/node.sh
source scripts/debian.sh

work=$(mktemp -d)
root=$work/root
trap 'rm -rf --one-file-system -- "$work"' EXIT

cached_debian "$suite" "$root"
git -c safe.directory='*' clone --quiet --no-local . "$root/root/keyferry"

printf 'bare-root: the demo in %s\n' "$suite"
in_root "$root" /root/keyferry/scripts/demo.sh
printf 'bare-root: %s is well\n' "$suite"
