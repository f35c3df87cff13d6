#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/release-check.sh
# What is slow and seldom breaks: long simulations, an older Node.js, the packages, the container images, the files for Kubernetes,
# openCryptoki of Debian's next release, and bare Debian 12 and 13 from a fresh clone to the end of the demo. Wants root or sudo, on
# Debian or Ubuntu. Each part is told when it begins and counts; the last line is the count alone: `N passed, N failed`.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit
source scripts/node.sh
source scripts/suites.sh

printf 'release-check: about 35 minutes on two cores\n'
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
all_passed=0 all_failed=0

# Runs a command as a part of the check. One that prints no count is a test by its status.
part() {
  local name=$1 status=0 started=$SECONDS passed=0 failed=0
  shift
  printf '\nrelease-check: %s\n' "$name"
  "$@" </dev/null 2>&1 | tee "$work/log" || status=${PIPESTATUS[0]}
  read_count "$work/log" || passed=$((status == 0))
  ((status == 0 || failed > 0)) || failed=1
  all_passed=$((all_passed + passed)) all_failed=$((all_failed + failed))
  printf 'release-check: %s: %s, %d s\n' "$name" "$( ((failed)) && echo failed || echo well)" "$((SECONDS - started))"
  ((failed == 0)) || printf 'release-check: %s: %d failed\n' "$name" "$failed" >>"${FAILURES:-/dev/null}"
}

# Every eighth of the places, another first one each time. Where test.sh took every sixteenth of them just before, from
# KEYFERRY_TEST_FIRST on, the others alone.
killed_often() {
  local stride=8
  if [[ -n ${KEYFERRY_TEST_FIRST-} ]]; then
    stride=16
    local -x KEYFERRY_TEST_FIRST=$(((KEYFERRY_TEST_FIRST + 8) % 16))
  fi
  files_of kill | KEYFERRY_TEST_STRIDE=$stride run_files
}
long_suites() { files_of "${LONG[@]}" | run_files; }

# Each change of the program that would break a promise is caught by the test that is named for it.
named_mutations() { node build/scripts/mutate/main.js --named; }

# An old Node.js gets one sentence and status 69, whatever the command.
old_node() {
  local major said status=0
  for major in 18 20; do
    scripts/fetch-node.sh "$major" "$work/node-$major" || return
    status=0
    said=$("$work/node-$major/bin/node" dist/main.cjs status 2>&1) || status=$?
    printf '%s\n' "$said"
    [[ $status == 69 && $said == "keyferry: this is Node.js v$major."* && $said != *$'\n'* ]] || return 1
  done
}

# A Node.js whose OpenSSL has no post-quantum key exchange is refused by name where a target requires one.
without_post_quantum() {
  scripts/fetch-node.sh 22.13.0 "$work/node-22.13.0" || return
  KEYFERRY_TEST_OLD_NODE=$work/node-22.13.0/bin/node npx mocha build/test/cli/post-quantum.test.js
}

# Beside each other: half of the time each of them waits for packages to be fetched and written.
bare_roots() {
  local suite count=0 running=()
  for suite in bookworm trixie; do
    ./scripts/bare-root.sh "$suite" >"$work/$suite" 2>&1 &
    running+=("$!")
  done
  for suite in bookworm trixie; do
    wait "${running[0]}" && count=$((count + 1))
    running=("${running[@]:1}")
    cat "$work/$suite"
  done
  printf '%d passed, %d failed\n' "$count" "$((2 - count))"
}

part 'set-up' ./scripts/setup.sh
part 'long simulations' long_suites
part 'killed at every eighth place' killed_often
part 'named mutations' named_mutations
part 'older Node.js' old_node
part 'Node.js without post-quantum TLS' without_post_quantum
part 'package' ./scripts/package-check.sh
part 'openCryptoki 3.27' ./scripts/opencryptoki-check.sh
part 'installed without a network' ./scripts/install-check.sh
part 'images' ./scripts/docker-check.sh
part 'Kubernetes' ./scripts/kubernetes-check.sh
part 'bare Debian 12 and 13' bare_roots
printf '\n%d passed, %d failed\n' "$all_passed" "$all_failed"
exit "$((all_failed > 0))"
