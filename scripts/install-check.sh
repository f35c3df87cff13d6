#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/install-check.sh
# Builds the packages twice, the second time in another folder, by another user, with another umask and time zone and a day
# later, and compares every byte; then installs them in bare Debian 12 and 13 without a network, works with them, upgrades
# and removes them. Wants root or sudo, on Debian or Ubuntu. The last line is the count alone: `N passed, N failed`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
if ((EUID)); then
  exec sudo -n -E env "PATH=$PATH" "$0" "$@"
fi
source scripts/node.sh
source scripts/debian.sh
# in bytes
LARGEST=40000000

work=$(mktemp -d)
trap 'rm -rf --one-file-system -- "$work"' EXIT
export GNUPGHOME=$work/gnupg
commit=$(git -c safe.directory='*' rev-parse HEAD)
passed=0 failed=0

# step NAME COMMAND...: told and counted
step() {
  local status=0
  "${@:2}" >"$work/log" 2>&1 </dev/null || status=$?
  if ((status == 0)); then
    passed=$((passed + 1))
    printf 'install-check: %s: well\n' "$1"
  else
    failed=$((failed + 1))
    printf 'install-check: %s: failed with %d\n' "$1" "$status"
    cat "$work/log"
  fi
}

build_first() {
  install -d -m 0700 "$GNUPGHOME"
  gpg --batch --quiet --passphrase '' --quick-generate-key 'keyferry install-check <check@keyferry.invalid>' ed25519 sign never
  fingerprint=$(gpg --batch --with-colons --list-keys | awk -F : '$1 == "fpr" { print $10; exit }')
  scripts/package.sh --sign "$fingerprint" "$work/first"
}

# begun with the first build, beside which it runs
build_again() {
  git -c safe.directory='*' clone --quiet --no-local . "$work/another folder"
  git -C "$work/another folder" checkout --quiet "$commit"
  (
    umask 077
    # as sudo names who called it
    export SUDO_UID=12345 SUDO_GID=12345 TZ=Pacific/Auckland
    exec faketime -f '+1d' "$work/another folder/scripts/package.sh" "$work/second"
  )
}

same_bytes() {
  wait "$again" || {
    cat "$work/again.log"
    return 1
  }
  diff "$work/first/SHA256SUMS" "$work/second/SHA256SUMS"
}

signature_holds() {
  gpg --batch --export >"$work/signer.gpg"
  gpgv --keyring "$work/signer.gpg" "$work/first/SHA256SUMS.asc" "$work/first/SHA256SUMS"
  (cd "$work/first" && sha256sum --check --strict SHA256SUMS)
}

small_enough() {
  local file
  for file in "$work"/first/*.deb "$work"/first/*.tar.gz; do (($(stat -c %s "$file") <= LARGEST)) || return 1; done
}

# The same package as one of an earlier version, to be upgraded from: there was no release before.
earlier_package() {
  dpkg-deb -R "$work"/first/*.deb "$work/earlier"
  sed -i 's/^Version: .*/Version: 0.0.9/' "$work/earlier/DEBIAN/control"
  sed -i 's/"version": "[^"]*"/"version": "0.0.9"/' "$work/earlier/usr/lib/keyferry/package.json"
  (cd "$work/earlier" && find usr -type f -print0 | xargs -0 md5sum >DEBIAN/md5sums)
  dpkg-deb --root-owner-group -Zgzip -z1 --build "$work/earlier" "$work/keyferry_0.0.9.deb"
}

# in_bare SUITE: tells what installed.sh tells there
in_bare() {
  local root=$work/$1
  cached_debian "$1" "$root" softhsm2 systemd jq
  mkdir "$root/packages"
  cp "$work"/first/* "$work/keyferry_0.0.9.deb" "$root/packages/"
  cp -R softhsm scripts/package/installed.sh "$root/packages/"
  # of what apt may reach, nothing is left to be reached
  in_root "$root" --no-network bash /packages/installed.sh || :
  rm -rf --one-file-system -- "$root"
}

# counted SUITE: what installed.sh counts there counts here
counted() {
  local count
  sed "s/^/install-check: $1: /" "$work/$1.log"
  count=$(tail -n 1 "$work/$1.log")
  if [[ $count =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
  else
    failed=$((failed + 1))
  fi
}

install_packages debootstrap debian-archive-keyring iproute2 gnupg gpgv faketime
build_again >"$work/again.log" 2>&1 </dev/null &
again=$!
step 'packages' build_first
[[ -s $work/first/SHA256SUMS ]] || {
  wait "$again" || :
  printf '0 passed, 1 failed\n'
  exit 1
}
(cd "$work/first" && cat SHA256SUMS && stat -c '%s bytes %n' -- *)
step 'signature and digests' signature_holds
step "at most $LARGEST bytes" small_enough
step 'built again in another folder, by another user, a day later: the same bytes' same_bytes
step 'an earlier version' earlier_package
for suite in bookworm trixie; do in_bare "$suite" >"$work/$suite.log" 2>&1 </dev/null & done
wait
for suite in bookworm trixie; do counted "$suite"; done
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
