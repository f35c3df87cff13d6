#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/opencryptoki-check.sh
# Runs the suite test/opencryptoki, as it was built here, where Debian's next release has openCryptoki 3.27 or later: older
# ones have neither RFC 5649 nor RSA-AES. Wants root or sudo, on Debian or Ubuntu. The last line is the count alone:
# `N passed, N failed`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source scripts/node.sh

SUITE=forky
# openssl opens what the token wrapped
PACKAGES=(opencryptoki opensc openssl ca-certificates)
if ((EUID)); then
  exec sudo -n -E env "PATH=$PATH" "$0" "$@"
fi
source scripts/debian.sh

work=$(mktemp -d)
root=$work/root
trap 'rm -rf --one-file-system -- "$work"' EXIT

say() {
  printf 'opencryptoki-check: %s\n' "$1"
}

# The machine's Node.js where it runs there, else that of the npm registry, which brings all that it links to.
bring_node() {
  install -m 0755 "$(node -p process.execPath)" "$root/usr/local/bin/node"
  chroot "$root" node --version >/dev/null 2>&1 && return
  scripts/fetch-node.sh 24 "$work/node"
  install -m 0755 "$work/node/bin/node" "$root/usr/local/bin/node"
}

# In namespaces of its own: nothing stays mounted, and no process stays, when this ends or is killed. The root is bound on
# itself, since unshare(1) wants a mount there for the namespaces of each token.
in_own_root() {
  # shellcheck disable=SC2016 # the inner shell's
  unshare --mount --pid --fork --kill-child --propagation private bash -euc '
    root=$1 checkout=$2
    shift 2
    mount --bind "$root" "$root"
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    # in memory: the state directory waits for the disk at every step
    mount -t tmpfs tmpfs "$root/tmp"
    mkdir -p "$root$checkout"
    mount --bind "$checkout" "$root$checkout"
    mount -o remount,bind,ro "$root$checkout"
    exec chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      bash -euc "cd -- \"\$1\"; shift; exec \"\$@\"" bash "$checkout" "$@"
  ' opencryptoki-check "$root" "$PWD" "$@"
}

cached_debian "$SUITE" "$root" "${PACKAGES[@]}"
bring_node
# shellcheck disable=SC2016 # dpkg-query's
say "$SUITE has $(in_own_root dpkg-query -W -f '${Package} ${Version}, ' opencryptoki opensc openssl)Node.js $(in_own_root node --version)"
# shellcheck disable=SC2016 # the inner shell's
in_own_root bash -c 'source scripts/node.sh; source scripts/suites.sh; files_of "${OTHER_DEBIAN[@]}" | run_files'
