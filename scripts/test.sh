#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/test.sh [fast]
# Sets up, checks and tests all but what scripts/release-check.sh is for; `fast` only builds, and leaves slow suites out.
# Coverage is that of the suites' own processes. The last line is the count alone: `N passed, N failed`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source scripts/node.sh
source scripts/suites.sh

if [[ ${1-} == fast ]]; then
  printf 'test: about 20 minutes on two cores\n'
  npm run --silent build
  files_of --not "${LONG[@]}" "${OTHER_DEBIAN[@]}" "${SLOW[@]}" | run_files
  exit
fi

printf 'test: about 40 minutes on two cores: set-up, checks, then the suites\n'
./scripts/setup.sh
printf 'test: checks: eslint, prettier, layers, unused code, generated pages\n'
npm run --silent check
printf 'test: suites, in %d processes\n' "$JOBS"

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
status=0
# of the places to be killed at, every sixteenth: release-check.sh takes every eighth
export KEYFERRY_TEST_STRIDE=16
files_of --not "${LONG[@]}" "${OTHER_DEBIAN[@]}" | NODE_V8_COVERAGE=$work/v8 run_files | tee "$work/log" || status=$?
read_count "$work/log" || {
  printf 'test: error: mocha ended without its count\n' >&2
  exit 70
}
c8 report --temp-directory "$work/v8" --include 'build/src/**' --reporter text-summary || status=1
printf '\n%d passed, %d failed\n' "$passed" "$failed"
exit "$status"
