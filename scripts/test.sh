#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/test.sh
# Sets up, checks and tests. The suites run in two halves at a time, since one process leaves a core idle: those of the
# command line, and the others. Coverage is that of the suites' own processes. Mocha's summaries are held back until it is
# told, so that the output ends with them, and its last line is the count of both alone: `N passed, N failed`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source scripts/node.sh

./scripts/setup.sh
npm run --silent check

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

commands=() others=('build/test/**/*.test.js')
for folder in cli docs host life matrix softhsm; do
  commands+=("build/test/$folder/**/*.test.js")
  others+=(--ignore "build/test/$folder/**")
done
half() { NODE_V8_COVERAGE=$work/v8 mocha --no-color "$@" 2>&1 </dev/null; }
summary='^  [0-9]+ passing \('
till_summary() { awk -v summary="$summary" '$0 ~ summary { held = 1 } !held { print; fflush() }'; }

started=$SECONDS
half "${commands[@]}" >"$work/commands" &
status=0
half "${others[@]}" |
  tee "$work/others" | till_summary || status=${PIPESTATUS[0]}
wait "$!" || status=$?
till_summary <"$work/commands"
c8 report --temp-directory "$work/v8" --include 'dist/**' --reporter text-summary || status=1
passed=0 failed=0
for name in others commands; do
  printf '\n'
  awk -v summary="$summary" '$0 ~ summary { held = 1 } held && !/^[0-9]+ passed, [0-9]+ failed$/ { print }' "$work/$name"
  [[ $(tail -n 1 "$work/$name") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]] || {
    printf 'test: error: mocha ended without its count: %s\n' "$(tail -n 1 "$work/$name")" >&2
    exit 70
  }
  passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
done
printf '\n  %d passing (%ds)\n' "$passed" "$((SECONDS - started))"
((failed == 0)) || printf '  %d failing\n' "$failed"
printf '\n%d passed, %d failed\n' "$passed" "$failed"
exit "$status"
