#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/test.sh
# Sets up, checks and tests. Mocha's summary is held back until the coverage of src/ is told, so that the output ends with
# it, and its last line is the count alone: `N passed, N failed`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
PATH=$PWD/node_modules/.bin:$PATH

./scripts/setup.sh
npm run --silent check

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
touch "$work/summary"

status=0
c8 --temp-directory "$work/v8" --reporter none mocha --no-color 2>&1 </dev/null |
  awk -v summary="$work/summary" '
    /^  [0-9]+ passing \(/ { held = 1 }
    { if (held) print >summary; else { print; fflush() } }
  ' || status=${PIPESTATUS[0]}
c8 report --temp-directory "$work/v8" --include 'dist/**' --reporter text-summary || status=1
printf '\n'
cat "$work/summary"
tail -n 1 "$work/summary" | grep -qxE '[0-9]+ passed, [0-9]+ failed' || {
  printf 'test: error: mocha ended without its count\n' >&2
  exit 70
}
exit "$status"
