#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/opencryptoki-check.sh
# Runs the suite test/opencryptoki, as it was built here, where Debian's next release has openCryptoki 3.27 or later: older
# ones have neither RFC 5649 nor RSA-AES. The root is made by debootstrap and kept as a tar (KEYFERRY_CACHE, else the user's
# cache folder) for two weeks, since that release moves. Wants root or sudo, on Debian or Ubuntu. The last line is the count
# alone: `N passed, N failed`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source scripts/node.sh

SUITE=forky
# openssl opens what the token wrapped
PACKAGES=opencryptoki,opensc,openssl,ca-certificates
export KEYFERRY_CACHE=${KEYFERRY_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/keyferry}
if ((EUID)); then
  exec sudo -n -E env "PATH=$PATH" "KEYFERRY_CACHE=$KEYFERRY_CACHE" "$0" "$@"
fi
source scripts/debian.sh

work=$(mktemp -d)
root=$work/root
trap 'rm -rf --one-file-system -- "$work"' EXIT

say() {
  printf 'opencryptoki-check: %s\n' "$1"
}

# Makes the tar, unless there is one that is young enough, and unpacks it.
make_root() {
  local tar=$KEYFERRY_CACHE/$SUITE-opencryptoki.tar
  mkdir -p "$KEYFERRY_CACHE"
  exec 9>"$tar.lock"
  flock 9
  if [[ -z $(find "$tar" -mtime -14 2>/dev/null) ]]; then
    install_packages debootstrap debian-archive-keyring
    say "debootstrap $SUITE"
    bare_debian "$SUITE" "$root" --include="$PACKAGES"
    rm -rf -- "$root"/usr/share/{doc,man,locale,info}/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
    tar -C "$root" --numeric-owner -cf "$tar.part" .
    mv -- "$tar.part" "$tar"
  else
    mkdir "$root"
    tar -C "$root" --numeric-owner -xf "$tar"
  fi
  exec 9>&-
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
in_root() {
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

make_root
bring_node
# shellcheck disable=SC2016 # dpkg-query's
say "$SUITE has $(in_root dpkg-query -W -f '${Package} ${Version}, ' opencryptoki opensc openssl)Node.js $(in_root node --version)"
# shellcheck disable=SC2016 # the inner shell's
in_root bash -c 'source scripts/node.sh; source scripts/suites.sh; files_of "${OTHER_DEBIAN[@]}" | run_files'
