#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: in-opencryptoki.sh DIR COMMAND...
# Runs COMMAND where openCryptoki's token is the one in DIR (from make-opencryptoki.sh).
#
# openCryptoki has its paths compiled in (/etc/opencryptoki, /var/lib/opencryptoki, /run). So the command gets
# namespaces of its own: mounts (DIR over those paths), IPC and /dev/shm (the library's shared memory), and processes
# (pkcsslotd ends with the command). Network and user stay as they are. Nothing outside DIR is changed.
# Ends with COMMAND's status; 77 when the system does not permit namespaces.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Inside the namespaces: mount, start the daemon, run.
enter() {
  local folder=$1 kept name status=0
  shift
  PATH=$PATH:/usr/sbin:/sbin
  mount -t proc proc /proc
  mkdir -p /etc/opencryptoki /var/lib/opencryptoki
  # later versions want these two beside the configuration, and look at their owners
  for name in policy strength; do
    [[ ! -f /etc/opencryptoki/$name.conf ]] || cp -p "/etc/opencryptoki/$name.conf" "$folder/etc/"
  done
  mount --bind "$folder/etc" /etc/opencryptoki
  mount --bind "$folder/lib" /var/lib/opencryptoki
  mount -t tmpfs tmpfs /dev/shm
  # a fresh /run hides the host's daemon; what users and resolvers keep there stays visible
  kept=$(mktemp -d)
  mount --rbind /run "$kept"
  mount -t tmpfs -o mode=755 tmpfs /run
  for name in user systemd resolvconf; do
    [[ ! -d $kept/$name ]] || { mkdir "/run/$name" && mount --rbind "$kept/$name" "/run/$name"; }
  done
  umount -l "$kept" && rmdir "$kept"
  # 3.27 shows no slot where its group may not write to these
  mkdir -p /run/opencryptoki /run/lock/opencryptoki
  for name in "$folder"/lib/*/; do mkdir -p "/run/lock/opencryptoki/$(basename "$name")"; done
  chgrp -R pkcs11 /run/opencryptoki /run/lock/opencryptoki /var/lib/opencryptoki
  chmod -R 0770 /run/opencryptoki /run/lock/opencryptoki /var/lib/opencryptoki
  pkcsslotd </dev/null >&2 || die 'pkcsslotd did not start'
  "$@" || status=$?
  # what sudo's root wrote goes back to the caller, who will want to remove it
  [[ -z ${SUDO_UID-} ]] || chown -R "$SUDO_UID:$SUDO_GID" "$folder"
  return "$status"
}

if [[ ${KEYFERRY_IN_OPENCRYPTOKI-} == entered ]]; then
  unset KEYFERRY_IN_OPENCRYPTOKI
  enter "$@"
  exit
fi

(($# > 1)) || die 'usage: in-opencryptoki.sh DIR COMMAND...' 64
need unshare util-linux
PATH=$PATH:/usr/sbin need pkcsslotd opencryptoki
getent group pkcs11 >/dev/null || die 'there is no group pkcs11: package opencryptoki makes it'
[[ -d $1/lib ]] || die "$1 holds no token: make-opencryptoki.sh makes one" 66
folder=$(cd -- "$1" && pwd)
shift

namespaces=(unshare --mount --ipc --pid --fork --kill-child --propagation private)
# without root: a passwordless sudo, since openCryptoki wants files of group pkcs11, which a user namespace lacks
if ((EUID)); then
  sudo -n true 2>/dev/null || die 'a mount namespace for openCryptoki needs root or a passwordless sudo' 77
  namespaces=(sudo -n -E env "PATH=$PATH" "${namespaces[@]}")
fi
"${namespaces[@]}" true 2>/dev/null ||
  die 'the system refuses unshare (mount, ipc, pid): in a container, run it with CAP_SYS_ADMIN and a seccomp profile that allows unshare and mount' 77
KEYFERRY_IN_OPENCRYPTOKI=entered exec "${namespaces[@]}" "${BASH_SOURCE[0]}" "$folder" "$@"
