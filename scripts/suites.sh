# SPDX-License-Identifier: Apache-2.0
# Sourced by test.sh and release-check.sh after node.sh: which suites run where, and how.

# Long simulations, which seldom break: before a release only.
LONG=(life)
# Too slow for test:fast: processes killed at every step, the commands of the documentation, all key specs on all tokens.
SLOW=(kill docs matrix)

# Two processes at least, since each of them leaves a core idle half of the time; past four the tokens' files are in the way.
JOBS=$(nproc 2>/dev/null || echo 2)
JOBS=$((JOBS < 2 ? 2 : JOBS > 4 ? 4 : JOBS))

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
    { print (/\/(kill|docs|matrix|life)\//) ? 0 : (/\/(cli|invariants|softhsm)\//) ? 1 : (/\/app\//) ? 2 : 3, $0 }' |
    sort -s -k 1,1n | cut -d ' ' -f 2
}

# Runs test files, each in one of the processes; whichever is free takes the next. Ends with mocha's count.
run_files() {
  local files
  mapfile -t files
  mocha --no-color --parallel --jobs "$JOBS" "${files[@]}" 2>&1 </dev/null
}

# Sets passed and failed from the last line of a log, and fails where it is no count.
read_count() {
  [[ $(tail -n 1 "$1") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]] || return 1
  passed=${BASH_REMATCH[1]} failed=${BASH_REMATCH[2]}
}
