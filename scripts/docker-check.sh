#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/docker-check.sh
# Builds both images of docker/Dockerfile and runs them, and what docker/compose.yaml describes, without a Docker engine
# and without an image registry: buildah builds over bases made by debootstrap and the npm registry's Node, under the
# names that the Dockerfile takes. Images and bases stay in a storage of their own (KEYFERRY_CACHE, else the user's cache
# folder), so that nobody else takes the home-made bases for the real ones. Wants root or sudo, on Debian or Ubuntu.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source scripts/node.sh

export KEYFERRY_CACHE=${KEYFERRY_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/keyferry}
if ((EUID)); then
  exec sudo -n -E env "PATH=$PATH" "KEYFERRY_CACHE=$KEYFERRY_CACHE" "$0" "$@"
fi

say() {
  printf 'docker-check: %s\n' "$1"
}

die() {
  printf 'docker-check: error: %s\n' "$1" >&2
  exit 1
}

source scripts/debian.sh
source docker/bases.sh

work=$(mktemp -d)
mkdir -p "$KEYFERRY_CACHE/containers"
storage=(buildah --root "$KEYFERRY_CACHE/containers/storage" --runroot "$KEYFERRY_CACHE/containers/run")
children=()
# one run at a time: the end of a run clears the containers of the storage
exec 9>"$KEYFERRY_CACHE/lock"
flock 9
# layers of builds gone by stay as a cache: past 6 GB it is begun anew
(($(du -sm "$KEYFERRY_CACHE/containers" | cut -f1) < 6000)) || rm -rf -- "$KEYFERRY_CACHE/containers"
mkdir -p "$KEYFERRY_CACHE/containers"
# shellcheck disable=SC2329 # called by the trap
finish() {
  ((${#children[@]} == 0)) || kill "${children[@]}" 2>/dev/null || true
  "${storage[@]}" rm --all >/dev/null 2>&1 || true
  rm -rf -- "$work"
}
trap finish EXIT

# What the machine's npm and apt need to get out (a CA bundle, a registry, a proxy) is lent to the build, not copied.
lend_settings() {
  local cafile
  npm_settings "$work/npmrc"
  apt_settings "$work/apt.conf"
  lent=(--volume "$work/npmrc:/root/.npmrc:ro" --volume "$work/apt.conf:/etc/apt/apt.conf.d/99host:ro")
  cafile=$(sed -n 's/^cafile=//p' "$work/npmrc")
  [[ -z $cafile ]] || lent+=(--volume "$cafile:$cafile:ro")
}

build() {
  local started=$SECONDS
  say "building $1"
  "${storage[@]}" bud --quiet --layers --pull-never --isolation chroot --network host "${lent[@]}" \
    -f docker/Dockerfile --target "$1" -t "$2" . >"$work/build.log" 2>&1 || {
    tail -n 40 "$work/build.log" >&2
    die "target $1 does not build"
  }
  say "built $1 in $((SECONDS - started)) s, size $("${storage[@]}" images --format '{{.Size}}' "$2")"
}

# Runs a command in a new container of an image, with the image's user and environment:
# in_image IMAGE [OPTION of buildah run]... -- COMMAND...
in_image() {
  local image=$1 options=() container
  shift
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  container=$(container_of "$image")
  "${storage[@]}" run --isolation chroot --network host "${options[@]}" "$container" "$@"
}

container_of() {
  "${storage[@]}" from --pull-never "$1"
}

# Sets the array `entry` to the entry point of an image.
read_entry() {
  mapfile -t entry < <("${storage[@]}" inspect --type image --format '{{range .OCIv1.Config.Entrypoint}}{{println .}}{{end}}' "$1" | grep .)
}

expect() {
  [[ $2 == "$3" ]] || die "$1: expected '$3', got '$2'"
  say "ok: $1"
}

# Reads a field of the JSON on stdin, given as a JavaScript expression over `it`.
field() {
  node -e 'const it = JSON.parse(require("node:fs").readFileSync(0, "utf8")); console.log(eval(process.argv[1]))' "$1"
}

# The library of an HSM on the host, stood in for by SoftHSM's with what it links to, in a folder lent to the container.
check_mounted_library() {
  local container root hsm=$work/hsm file
  container=$(container_of keyferry-ci)
  root=$("${storage[@]}" mount "$container")
  mkdir "$hsm"
  for file in libsofthsm2.so libcrypto.so.3 libsqlite3.so.0; do
    find "$root/usr/lib" -name "$file" -print -quit | xargs -I{} cp -L {} "$hsm/"
  done
  in_image keyferry-ci --volume "$hsm:/hsm" -- /opt/keyferry/softhsm/make-softhsm.sh /hsm/token mounted >/dev/null
  chown -R 1000:1000 "$hsm"
  expect 'keyferry sees the token behind a library mounted from the host' "$(
    in_image keyferry --volume "$hsm:/hsm:ro" --env LD_LIBRARY_PATH=/hsm --env SOFTHSM2_CONF=/hsm/token/softhsm2.conf -- \
      keyferry token list --json --token 'pkcs11:?module-path=/hsm/libsofthsm2.so' | field 'it.slots[0].token.label'
  )" mounted
}

# One command inside the ci image, as a pipeline's job would have it.
check_one_command() {
  local entry
  read_entry keyferry-ci
  in_image keyferry-ci "$@" -- "${entry[@]}" keyferry provision --name pipeline --key-spec SYMMETRIC_DEFAULT \
    --custody token --json
}

# The services of the compose file, on the host's network, which they share as they would share that of the KMS.
check_compose() {
  local image target network after health entry argv options container tries=0
  eval "$(/usr/bin/python3 docker/compose-service.py kms)"
  expect 'compose builds the ci target for the KMS' "$target" ci
  read_entry_unless_given
  container=$(container_of "$image")
  # not by a function: its process would be a shell, and buildah would outlive it
  "${storage[@]}" run --isolation chroot --network host "${options[@]}" "$container" -- "${entry[@]}" "${argv[@]}" \
    >"$work/kms.log" 2>&1 &
  children+=($!)
  # its own word first: on the host's network, the port could answer for somebody else
  until grep -q 'listening on' "$work/kms.log" && in_image "$image" -- "${health[@]}" 2>/dev/null; do
    ((tries++ < 100)) && kill -0 "${children[-1]}" || { cat "$work/kms.log" >&2; die "compose's KMS is not healthy"; }
    sleep 0.2
  done
  eval "$(/usr/bin/python3 docker/compose-service.py job)"
  expect 'the job waits for the KMS and shares its network' "$target $network $after" 'ci service:kms kms:service_healthy'
  read_entry_unless_given
  in_image "$image" "${options[@]}" -- "${entry[@]}" "${argv[@]}" >"$work/job.log" 2>&1 || {
    cat "$work/job.log" >&2
    die "compose's job failed"
  }
  expect 'the job provisioned a key for each of its commands' "$(grep '^key ARN' "$work/job.log" | sort -u | wc -l)" \
    "$(grep -c 'keyferry provision' <<<"${argv[*]}")"
}

# What an image holds, for the table of the README.
facts() {
  say "$1 holds: $(in_image "$1" -- sh -c '
    printf "Debian %s, Node.js %s" "$(cat /etc/debian_version)" "$(node --version)"
    dpkg-query -W -f ", \${Package} \${Version}" softhsm2 libnss3 opensc 2>/dev/null || true
  '), $("${storage[@]}" images --format '{{.Size}}' "$1")"
}

read_entry_unless_given() {
  ((${#entry[@]})) || read_entry "$image"
}

install_packages buildah debootstrap debian-archive-keyring python3-yaml
make_bases
lend_settings
build keyferry keyferry
build ci keyferry-ci

expect 'keyferry does not run as root' "$(in_image keyferry -- id -u)" 1000
expect 'keyferry has no development packages' "$(in_image keyferry -- sh -c 'ls /opt/keyferry/node_modules | grep -cx typescript || true')" 0
read_entry keyferry
expect 'keyferry starts' "$(in_image keyferry -- "${entry[@]}" --version)" "$(node -p 'require("./package.json").version')"
check_mounted_library
expect 'one command in ci provisions a key with SoftHSM' "$(check_one_command | field '`${it.keySpec} ${it.custody}`')" 'SYMMETRIC_DEFAULT token'
expect 'one command in ci provisions a key with NSS' \
  "$(check_one_command --env KEYFERRY_CI_TOKEN=nss | field '`${it.keySpec} ${it.custody}`')" 'SYMMETRIC_DEFAULT token'
check_compose
facts keyferry
facts keyferry-ci
say 'all well'
