#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/docker-check.sh
# Builds the images of docker/Dockerfile and runs them, and the services of the compose files with their networks, volumes, read-only roots
# and health checks, without a Docker engine and without an image registry: buildah builds over bases made by debootstrap and the npm registry's Node, under the
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
source docker/contain.sh

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
  ((${#children[@]} == 0)) || kill -KILL "${children[@]}" 2>/dev/null || true
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
  "${storage[@]}" bud --quiet --layers --pull-never --format docker --isolation chroot --network host "${lent[@]}" \
    --build-arg "VERSION=$version" -f docker/Dockerfile --target "$1" -t "$2" . >"$work/build.log" 2>&1 || {
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
    cp -L "$(find "$root/usr/lib" -name "$file" -print -quit)" "$hsm/"
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

# The configuration of an image, as JSON in Docker's form; for Prometheus', which no registry of this check has, what it says of itself.
image_configuration() {
  case $1 in
    */prom/prometheus:*) printf '{"Entrypoint":["/bin/prometheus"],"User":"65534:65534","WorkingDir":"/prometheus"}' ;;
    *) "${storage[@]}" inspect --type image "$1" | jq .Docker.config ;;
  esac
}

# Starts a service that was read, and sets `running` to its process.
# start NAME ROOT
start() {
  local tries=0
  contain "$2" >"$work/$1.log" 2>&1 </dev/null 9>&- &
  children+=($!)
  disown
  until running=$(pgrep -P "${children[-1]}"); do
    ((tries++ < 50)) && kill -0 "${children[-1]}" 2>/dev/null || fail_with "$1" "service $1 does not start"
    sleep 0.1
  done
  # as another user it does not go with its parent
  children=("$running" "${children[@]}")
}

# Waits until the service that was read is healthy, by its own health check.
until_healthy() {
  local tries=0
  until beside "$running" "${health[@]}" >/dev/null 2>&1; do
    ((tries++ < 300)) || fail_with "$1" "service $1 is not healthy"
    kill -0 "$running" 2>/dev/null || fail_with "$1" "service $1 has ended"
    sleep 0.2
  done
  say "ok: $1 is healthy, by the health check of its image"
}

# Runs a service that was read to its end.
complete() {
  (contain "$2") >"$work/$1.log" 2>&1 </dev/null || fail_with "$1" "service $1 failed"
}

fail_with() {
  cat "$work/$1.log" >&2
  die "$2"
}

files_of_image() {
  "${storage[@]}" mount "$(container_of "$1")"
}

# A network that has the loopback device alone: what listens on this machine is not met.
open_network() {
  unshare --net sleep infinity 9>&- &
  network_of=$!
  disown
  children+=("$network_of")
  until [[ $(readlink "/proc/$network_of/ns/net") != $(readlink /proc/self/ns/net) ]]; do sleep 0.1; done
  nsenter --target "$network_of" --net ip link set lo up
}

# On that network: ask CURL_ARGUMENT...
ask() {
  nsenter --target "$network_of" --net curl -sS --noproxy '*' --max-time 10 "$@"
}

# shellcheck disable=SC2154 # read_service sets them
# The job of compose-ci.yaml beside its KMS.
check_job() {
  local kms
  volumes=$work/volumes-ci
  open_network
  read_service docker/compose-ci.yaml kms
  expect "compose-ci's KMS is the image local-kms, and does not run as root" "$target $user" 'local-kms 1000:1000'
  start kms "$(files_of_image "$image")"
  kms=$running
  until_healthy kms
  read_service docker/compose-ci.yaml job
  expect 'the job waits for the KMS and shares its network' "$target $network ${after[*]}" 'ci service:kms kms:service_healthy'
  complete job "$(files_of_image "$image")"
  expect 'the job provisioned a key for each of its commands' "$(grep '^key ARN' "$work/job.log" | sort -u | wc -l)" \
    "$(grep -c 'keyferry provision' <<<"${argv[*]}")"
  kill -TERM "$kms"
}

# The services of compose.yaml in their order, up to the agent, which goes on.
start_compose() {
  volumes=$work/volumes
  open_network
  read_service docker/compose.yaml kms
  start kms "$(files_of_image "$image")"
  until_healthy kms
  read_service docker/compose.yaml hsm
  complete hsm "$(files_of_image "$image")"
  read_service docker/compose.yaml keys
  expect 'the keys wait for token and KMS' "$target $network ${after[*]}" \
    'keyferry service:kms hsm:service_completed_successfully kms:service_healthy'
  complete keys "$(files_of_image "$image")"
  ends_of_material >"$work/ends"
  expect 'compose made its keys' "$(wc -l <"$work/ends")" 2
  read_service docker/compose.yaml agent
  expect 'the agent waits for the keys; its root is read-only, without capabilities' "${after[*]} $read_only $privileges" \
    'keys:service_completed_successfully yes none'
  start agent "$(files_of_image "$image")"
  agent=$running
  until_healthy agent
  expect 'the root of the agent is read-only in truth' "$(beside "$agent" sh -c 'touch /opt/x 2>&1 || true')" \
    "touch: cannot touch '/opt/x': Read-only file system"
  expect 'the agent is the first process, not root, without capabilities or a way to some' \
    "$(awk '/^(Uid|CapEff|CapBnd|NoNewPrivs|NSpid):/ { print $NF }' "/proc/$agent/status" | xargs)" \
    '1000 1 0000000000000000 0000000000000000 1'
  read_service docker/compose.yaml prometheus
  expect 'Prometheus waits for the agent' "${after[*]}" agent:service_healthy
  # Debian's in the place of the image's
  mounts+=(/usr/bin/prometheus:/bin/prometheus:ro)
  local root
  root=$(files_of_image keyferry)
  install -d -o 65534 -g 65534 "$root/prometheus"
  start prometheus "$root"
}

# ARN and end of the material of each key, by KMS.
ends_of_material() {
  local key
  for key in $(ask_kms ListKeys '{}' | jq -r '.Keys[].KeyId'); do
    ask_kms DescribeKey "{\"KeyId\":\"$key\"}" | jq -r '.KeyMetadata | "\(.Arn) \(.ValidTo)"'
  done | sort
}

ask_kms() {
  ask http://127.0.0.1:4599/ -H "X-Amz-Target: TrentService.$1" -H 'Content-Type: application/x-amz-json-1.1' -d "$2" \
    -H 'X-Amz-Date: 20260101T000000Z' -H 'Authorization: AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-3/kms/aws4_request, SignedHeaders=host;x-amz-date, Signature=0000000000000000000000000000000000000000000000000000000000000000'
}

# What somebody who looks at it sees: a round that the schedule began imports again, and Prometheus has the agent's metrics.
watch_compose() {
  local tries=0 unhealthy=0
  until ends_of_material >"$work/ends-now" && [[ $(comm -12 "$work/ends" "$work/ends-now" | wc -l) == 0 ]]; do
    ((tries++ < 150)) && kill -0 "$agent" || fail_with agent 'no scheduled round imported again'
    sleep 1
  done
  say "ok: the end of each key's material moved by a scheduled round, in KMS:"
  paste -d ' ' "$work/ends" <(cut -d ' ' -f 2 "$work/ends-now") | sed 's/^/  /'
  say 'the log of the agent:'
  grep -E 'info: (agent\.started|round\.)' "$work/agent.log" | sed 's/^/  /'
  tries=0
  until [[ $(prometheus_says 'sum(keyferry_wraps_total)') =~ ^[1-9] ]]; do
    ((tries++ < 60)) || fail_with prometheus 'Prometheus has no metrics of the rewrap'
    sleep 1
  done
  expect "Prometheus' target is up" "$(prometheus_says 'up{job="keyferry"}')" 1
  expect 'Prometheus has the ends of both keys' "$(prometheus_says 'count(keyferry_key_material_expiration_timestamp_seconds)')" 2
  expect 'Prometheus loaded the alert rules' \
    "$(ask http://127.0.0.1:9090/api/v1/rules | jq -r '.data.groups[].name')" keyferry
  expect 'Prometheus calls what is critical: keys that live for less than three days' "$(ask http://127.0.0.1:9090/api/v1/alerts |
    jq -r '[.data.alerts[] | select(.labels.severity == "critical") | .labels | "\(.alertname) \(.name)"] | unique | join(", ")')" \
    'KeyferryKeyDying payments, KeyferryKeyDying webhooks'

  read_service docker/compose.yaml agent
  expect 'a command beside the agent sees its keys' \
    "$(beside "$agent" keyferry status --json 2>/dev/null | jq -r '.keys[] | .name' | sort -u | xargs)" 'payments webhooks'
  # an agent that hangs lives, and does not answer
  kill -STOP "$agent"
  beside "$agent" timeout 5 "${health[@]}" || unhealthy=$?
  expect 'an agent that hangs is not healthy' "$unhealthy" 124
  kill -CONT "$agent"
  kill -TERM "$agent"
  tries=0
  while kill -0 "$agent" 2>/dev/null; do
    ((tries++ < 120)) || die 'SIGTERM does not end the agent'
    sleep 0.1
  done
  say 'ok: SIGTERM ends the agent'
}

prometheus_says() {
  ask -G http://127.0.0.1:9090/api/v1/query --data-urlencode "query=$1" | jq -r '.data.result[0].value[1]'
}

# The compose files and the examples of pipelines, by the schemas of who reads them, as these packages carry them.
check_schemas() {
  local tools=$work/schemas pipeline=$work/pipeline
  npm install --loglevel error --ignore-scripts --no-audit --no-fund --prefix "$tools" @action-validator/core@0.6.0 @action-validator/cli@0.6.0 \
    dclint@3.1.0 gitlab-ci-local@4.75.1 >/dev/null
  /usr/bin/python3 docker/compose-schema.py "$tools/node_modules/dclint/schemas/compose.schema.json" docker/compose.yaml docker/compose-ci.yaml
  say 'ok: the compose files keep to the Compose specification'
  "$tools/node_modules/.bin/action-validator" deploy/ci/github-actions.yaml
  say 'ok: the example for GitHub Actions is a workflow'
  mkdir "$pipeline"
  cp deploy/ci/gitlab-ci.yaml "$pipeline/.gitlab-ci.yml"
  git -C "$pipeline" init --quiet
  git -C "$pipeline" remote add origin git@gitlab.example.com:group/project.git
  (cd "$pipeline" && "$tools/node_modules/.bin/gitlab-ci-local" --list) >"$work/gitlab.log" 2>&1 || {
    cat "$work/gitlab.log" >&2
    die 'the example for GitLab is no pipeline'
  }
  say 'ok: the example for GitLab is a pipeline'
}

# Each script of the examples, in the image that they name and in a checkout such as they are for.
check_pipelines() {
  local checkout=$work/checkout count=0 job
  mkdir -p "$checkout"
  in_image keyferry-ci --volume "$checkout:/work" --workingdir /work -- sh -ec '
    keyferry init --profile softhsm2 --label byok --region eu-west-3 >keyferry.yaml
    keyferry policy iam --config keyferry.yaml >iam-policy.json' 2>/dev/null
  printf '#!/bin/sh\nset -e\n%s\n' 'test -n "$AWS_ACCESS_KEY_ID"' \
    'node -e "fetch(process.argv[1]).then((it) => it.text()).then((it) => console.log(it))" "$AWS_ENDPOINT_URL/health"' \
    >"$checkout/integration-tests.sh"
  chmod +x "$checkout/integration-tests.sh"
  /usr/bin/python3 docker/pipeline-scripts.py "$work/scripts"
  for job in "$work"/scripts/*; do
    in_image keyferry-ci --volume "$checkout:/work" --volume "$job:/job.sh:ro" --workingdir /work -- sh -e /job.sh \
      >"$work/job.log" 2>&1 || fail_with job "${job##*/} fails"
    count=$((count + 1))
    [[ $job != *integration* ]] || grep -q '^{"status":"ok"}' "$work/job.log" || fail_with job "${job##*/}: no tests ran"
  done
  expect 'each job of the examples does what it says, in the image ci' "$count" 4
  # a policy that is not what was agreed ends the job
  sed -i 's/kms:CreateKey/kms:\*/' "$checkout/iam-policy.json"
  expect 'their first job fails where permissions differ' "$(in_image keyferry-ci --volume "$checkout:/work" \
    --volume "$work/scripts/github-configuration:/job.sh:ro" --workingdir /work -- sh -e /job.sh >/dev/null 2>&1 || echo $?)" 1
}

# What an image holds.
facts() {
  say "$1 holds: $(in_image "$1" -- sh -c '
    printf "Debian %s, Node.js %s" "$(cat /etc/debian_version)" "$(node --version)"
    dpkg-query -W -f ", \${Package} \${Version}" softhsm2 libnss3 opensc 2>/dev/null || true
  '), $("${storage[@]}" images --format '{{.Size}}' "$1")"
}

version=$(node -p 'require("./package.json").version')
install_packages buildah debootstrap debian-archive-keyring python3-yaml python3-jsonschema prometheus curl jq procps
make_bases
lend_settings
build keyferry keyferry
build local-kms keyferry-local-kms
build ci keyferry-ci

# first, since the round that imports again comes by itself within two minutes
start_compose

expect 'keyferry does not run as root' "$(in_image keyferry -- id -u)" 1000
expect 'keyferry has no development packages' "$(in_image keyferry -- sh -c 'ls /opt/keyferry/node_modules | grep -cx typescript || true')" 0
expect 'keyferry runs the agent unless told another command, and is ended by SIGTERM' \
  "$(image_configuration keyferry | field '`${it.Entrypoint} ${it.Cmd} ${it.StopSignal}`')" 'keyferry agent SIGTERM'
expect 'each image says what it is, and of which version' "$(for image in keyferry keyferry-local-kms keyferry-ci; do
  image_configuration "$image" | field '["title", "licenses", "version"].map((name) => it.Labels[`org.opencontainers.image.${name}`]).join(" ")'
done | xargs)" "keyferry Apache-2.0 $version keyferry-local-kms Apache-2.0 $version keyferry-ci Apache-2.0 $version"
read_entry keyferry
expect 'keyferry starts' "$(in_image keyferry -- "${entry[@]}" --version)" "$version"
mapfile -t health < <(image_configuration keyferry | field 'it.Healthcheck.Test.slice(1).join("\n")')
expect 'where no agent answers, the health check fails' "$(in_image keyferry -- "${health[@]}" >/dev/null 2>&1 || echo $?)" 1
check_mounted_library
expect 'one command in ci provisions a key with SoftHSM' "$(check_one_command | field '`${it.keySpec} ${it.custody}`')" 'SYMMETRIC_DEFAULT token'
expect 'one command in ci provisions a key with NSS' \
  "$(check_one_command --env KEYFERRY_CI_TOKEN=nss | field '`${it.keySpec} ${it.custody}`')" 'SYMMETRIC_DEFAULT token'
check_schemas
check_pipelines
watch_compose
check_job
facts keyferry
facts keyferry-local-kms
facts keyferry-ci
say 'all well'
