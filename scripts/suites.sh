# SPDX-License-Identifier: Apache-2.0
# Sourced by test.sh and release-check.sh after node.sh: which suites run where, and how.

# Long simulations, which seldom break: before a release only.
LONG=(life)
# What this machine's Debian has no token for: opencryptoki-check.sh runs it in a root of the next release.
OTHER_DEBIAN=(opencryptoki)
# Too slow for test:fast: processes killed at every step, the commands of the documentation, all key specs on all tokens.
SLOW=(kill docs matrix)

# Twice as many processes as cores, since each of them waits half of the time.
JOBS=$(($(nproc 2>/dev/null || echo 2) * 2))
JOBS=$((JOBS > 8 ? 8 : JOBS))

# Compiled files of the suites that are named, or of all but those that are named after --not; by the sources, since those
# that were compiled from a source that is gone stay behind.
files_of() {
  local suite paths=() tests=(-name '*.test.ts')
  if [[ $1 == --not ]]; then
    for suite in "${@:2}"; do tests+=(-not -path "test/$suite/*"); done
    paths=(test)
  else
    paths=("${@/#/test/}")
  fi
  # slow suites first, so that no long file is left for the end when the other processes have none
  find "${paths[@]}" "${tests[@]}" | sort | sed 's|^|build/|; s|\.ts$|.js|' | awk '
    { print (/\/(kill|docs|matrix|life)\//) ? 0 : (/\/(browser|cli|invariants|jobs|postgres|softhsm)\//) ? 1 : (/\/app\//) ? 2 : 3, $0 }' |
    sort -s -k 1,1n | cut -d ' ' -f 2
}

# Joins files that load no PKCS #11 module into one line for each folder: they can share a process. Those that work with a
# PostgreSQL take too long to stand in one line.
shared() {
  awk -F / '
    $3 ~ /^(config|core|kms|local-kms|log|store)$/ && $4 != "postgres" { files[$3] = files[$3] " " $0; next }
    { print }
    END { for (folder in files) print substr(files[folder], 2) }'
}

# In s. What hangs is ended, and is a failure by its name: the slowest takes less than half of it.
FILE_LIMIT=900

# Runs test files, so many at a time, those of a token each in a process of its own: its module is loaded once for each
# process, and what one file leaves there would be the next one's. What failed is shown again at the end, and appended to the
# file $FAILURES where there is one; the last line is the count of all.
run_files() {
  local logs log passed failed all_passed=0 all_failed=0
  logs=$(mktemp -d)
  # a command is compiled once, not by each of the thousands of processes that run it
  export FILE_LIMIT KEYFERRY_TEST_COMPILED=$logs/compiled
  [[ -n ${NODE_V8_COVERAGE-} ]] || export NODE_COMPILE_CACHE=$KEYFERRY_TEST_COMPILED
  shared | xargs -P "$JOBS" -L 1 bash -c '
    log=$0/${1//\//_}
    timeout --kill-after=30 "$FILE_LIMIT" mocha --no-color "$@" >"$log" 2>&1 </dev/null || printf "%d\n" "$?" >"$log.status"
    flock "$0" grep -vE "^[0-9]+ passed, [0-9]+ failed$" "$log"
  ' "$logs" || :
  for log in "$logs"/*.js; do
    # one that dies before it has counted, or fails without a test that did, is one failure
    read_count "$log" || {
      passed=0 failed=1
      printf '  %s ended without its count\n' "${log##*/}" | tee -a "${FAILURES:-/dev/null}"
    }
    [[ ! -e $log.status ]] || ((failed > 0)) || failed=1
    ((failed == 0)) || awk '/^  [0-9]+ failing/ { held = 1 } /^[0-9]+ passed, / { held = 0 } held' "$log" | tee -a "${FAILURES:-/dev/null}"
    all_passed=$((all_passed + passed)) all_failed=$((all_failed + failed))
  done
  rm -rf -- "$logs"
  printf '\n%d passed, %d failed\n' "$all_passed" "$all_failed"
  ((all_failed == 0))
}

# Sets passed and failed from the last line of a log, and fails where it is no count.
read_count() {
  [[ $(tail -n 1 "$1") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]] || return 1
  passed=${BASH_REMATCH[1]} failed=${BASH_REMATCH[2]}
}
