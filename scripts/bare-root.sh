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

install_packages debootstrap debian-archive-keyring
printf 'bare-root: debootstrap %s\n' "$suite"
bare_debian "$suite" "$root"
npm_settings "$root/root/.npmrc"
apt_settings "$root/etc/apt/apt.conf.d/99host"
# what this machine's npm trusts, where no package of the root writes
cafile=$(sed -n 's/^cafile=//p' "$root/root/.npmrc")
if [[ -n $cafile ]]; then
  install -m 0644 "$cafile" "$root/etc/npm-cafile.pem"
  sed -i 's|^cafile=.*|cafile=/etc/npm-cafile.pem|' "$root/root/.npmrc"
fi
git -c safe.directory='*' clone --quiet --no-local . "$root/root/keyferry"

printf 'bare-root: the demo in %s\n' "$suite"
# in namespaces of its own: nothing stays mounted, and no process stays, when this ends or is killed
unshare --mount --pid --fork --kill-child bash -euc '
  mount --rbind /dev "$1/dev"
  mount -t proc proc "$1/proc"
  exec chroot "$1" /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /root/keyferry/scripts/demo.sh
' bare-root "$root"
printf 'bare-root: %s is well\n' "$suite"
