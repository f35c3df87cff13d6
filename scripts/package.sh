#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/package.sh [--sign FINGERPRINT] FOLDER
# Makes of the last commit, in FOLDER: keyferry_VERSION_ARCH.deb, keyferry-VERSION-linux-ARCH.tar.gz, the bill of materials
# (CycloneDX) and SHA256SUMS; with --sign also SHA256SUMS.asc, by a key of gpg's. It is built in a root of the oldest Debian
# that is served, since an addon that is built on a newer one may not load there, and always at the same place in it, by its
# packages and by runtime.lock: the same commit gives the same bytes, whoever builds it where and when. Wants root or sudo,
# on Debian or Ubuntu.
set -euo pipefail
umask 022
sign=
if [[ ${1-} == --sign ]]; then
  sign=$2
  shift 2
fi
(($# == 1)) || { printf 'usage: scripts/package.sh [--sign FINGERPRINT] FOLDER\n' >&2; exit 64; }
mkdir -p -- "$1"
out=$(realpath -- "$1")
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
if ((EUID)); then
  exec sudo -n -E env "PATH=$PATH" scripts/package.sh ${sign:+--sign "$sign"} "$out"
fi
source scripts/node.sh
source scripts/debian.sh

SUITE=bookworm
# pkcs11js is compiled by python3, make and g++ · binutils strips · libdeflate-tools: gzip, as small as it gets ·
# faketime: a build at another time than now, where its variables are set
PACKAGES=(ca-certificates python3 make g++ binutils xz-utils libdeflate-tools faketime)

work=$(mktemp -d)
root=$work/root
trap 'rm -rf --one-file-system -- "$work"' EXIT
die() {
  printf 'package: error: %s\n' "$1" >&2
  exit 69
}
repository=(git -c "safe.directory=$PWD" -c tar.umask=0022)
[[ -z $("${repository[@]}" status --porcelain) ]] || die 'there are changes that are not committed'

cached_debian "$SUITE" "$root" "${PACKAGES[@]}"
arch=$(dpkg --print-architecture)
mkdir "$root/build"
"${repository[@]}" archive --prefix=build/source/ HEAD | tar -x -C "$root"

# unpack NAME FOLDER: what runtime.lock has under this name
unpack() {
  local package version integrity file
  read -r package version integrity < <(sed -n "s/^$1 //p" scripts/package/runtime.lock) || die "runtime.lock has nothing for $1"
  file=$(npm pack --silent --pack-destination "$work" "$package@$version")
  [[ sha512-$(openssl dgst -sha512 -binary "$work/$file" | base64 -w0) == "$integrity" ]] || die "$package $version is not what runtime.lock says"
  mkdir -p -- "$2"
  tar -xzf "$work/$file" -C "$2" --strip-components 1 --no-same-owner
}
unpack "$arch" "$root/build/node"
unpack build "$root/build/node/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/build/node/bin/npm"

# not by root: packages of the registry are at work
user=$((${SUDO_UID:-0} == 0 ? 65534 : SUDO_UID))
chown -R "$user:$user" "$root/build"
install -m 0644 "$root/root/.npmrc" "$root/build/npmrc"
epoch=$("${repository[@]}" log -1 --format=%ct)
# a clock that is not the machine's holds there as well
in_root "$root" setpriv --reuid "$user" --regid "$user" --clear-groups \
  env ${LD_PRELOAD:+"LD_PRELOAD=$LD_PRELOAD"} ${FAKETIME:+"FAKETIME=$FAKETIME"} FAKETIME_DONT_FAKE_MONOTONIC=1 \
  HOME=/build SOURCE_DATE_EPOCH="$epoch" TZ=UTC LC_ALL=C.UTF-8 npm_config_userconfig=/build/npmrc \
  bash /build/source/scripts/package/build.sh "$arch"
made=("$root"/build/out/*)
cp -- "${made[@]}" "$out/"
made=("${made[@]##*/}")
cd -- "$out"
# what an earlier build left there is none of this one's
rm -f SHA256SUMS.asc
sha256sum -- "${made[@]}" >SHA256SUMS
[[ -z $sign ]] || gpg --batch --yes --armor --local-user "$sign" --output SHA256SUMS.asc --detach-sign SHA256SUMS
if [[ -n ${SUDO_UID-} ]]; then chown "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" -- "${made[@]}" SHA256SUMS*; fi
cat SHA256SUMS
[[ -n $sign ]] || printf 'package: SHA256SUMS is not signed: --sign FINGERPRINT\n' >&2
