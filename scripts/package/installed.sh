#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run by scripts/install-check.sh in a bare Debian without a network, as root, with the packages in /packages. What is done
# is told and counted; the last line is the count alone.
set -uo pipefail
passed=0 failed=0
log=$(mktemp)
step() {
  local status=0
  "${@:2}" >"$log" 2>&1 </dev/null || status=$?
  if ((status == 0)); then passed=$((passed + 1)) && printf '%s: well\n' "$1"; else
    failed=$((failed + 1))
    printf '%s: failed with %d\n' "$1" "$status"
    cat "$log"
  fi
}
# files of the system that a package could have left behind
listing() { find / -xdev \( -path /proc -o -path /dev -o -path /packages -o -path /tmp -o -path /var/lib/dpkg -o -path /var/log -o -path /trial -o -path /run \) -prune -o -print | LC_ALL=C sort; }

bare() { ! command -v node && ! command -v npm && ! command -v cc && ! command -v keyferry && ! (: </dev/tcp/192.0.2.1/80); }
install_earlier() { dpkg -i /packages/keyferry_0.0.9.deb && [[ $(keyferry --version) == 0.0.9 ]]; }
# the unit's user, by the file that the package brings
make_user() { systemd-sysusers && getent passwd keyferry; }
start_kms() {
  keyferry local-kms --port 0 >/trial/kms.log 2>&1 &
  kms=$!
  for _ in {1..100}; do
    AWS_ENDPOINT_URL=$(sed -n 's/.* listening on \(http:[^ ]*\) .*/\1/p' /trial/kms.log)
    [[ -z $AWS_ENDPOINT_URL ]] || return 0
    sleep 0.1
  done
  return 1
}
provision() { keyferry provision --name payments --key-spec SYMMETRIC_DEFAULT --prove full --json >/trial/provisioned && jq -e '.proof.result == "proven"' /trial/provisioned; }
doctor() { keyferry doctor --json >/trial/doctor; jq -e '.checks | length > 5 and all(.status != "fail")' /trial/doctor; }
rewrap() { keyferry rewrap payments --json >/trial/rewrapped && jq -e '.keys[0].outcome == "done"' /trial/rewrapped; }
upgrade() { dpkg -i /packages/keyferry_*_*.deb && [[ $(keyferry --version) != 0.0.9 ]]; }
same_key() { keyferry status --json >/trial/status && [[ $(jq -r '.keys[0].keyArn' /trial/status) == "$(jq -r .keyArn /trial/provisioned)" ]]; }
# verify ends with 0 on directives that it does not know: whatever it says is a failure
units() {
  systemd-analyze verify /usr/lib/systemd/system/keyferry-*.service /usr/lib/systemd/system/keyferry-*.timer >/trial/units 2>&1
  cat /trial/units
  [[ ! -s /trial/units ]]
}
manual() { zcat /usr/share/man/man1/keyferry-rewrap.1.gz | grep -q '^.SH OPTIONS' && bash -n /usr/share/bash-completion/completions/keyferry && [[ -s /usr/share/doc/keyferry/copyright ]]; }
bill() { jq -e '.bomFormat == "CycloneDX" and (.components | map(.name) | index("node") and index("koffi"))' /usr/share/doc/keyferry/keyferry.cdx.json; }
intact() { [[ -z $(dpkg --verify keyferry) ]]; }
remove() {
  dpkg -r keyferry
  listing >/trial/after
  # what is there now and was not before: the user's entries are in files that were there
  [[ -z $(comm -13 /trial/before /trial/after | grep -v -e '^/var/lib/keyferry\(/\|$\)' -e '^/etc/.*-$' -e '^/etc/\(passwd\|group\|shadow\|gshadow\)' | tee /trial/left) ]] || { cat /trial/left && return 1; }
  [[ -s $KEYFERRY_STATE_DIR/custody.log.jsonl && -s $KEYFERRY_STATE_DIR/inventory/eu-west-3/payments.json ]]
}
archive() {
  mkdir -p "/trial/any where" && tar -xzf /packages/keyferry-*.tar.gz -C "/trial/any where" && ln -sf "/trial/any where"/keyferry-*/bin/keyferry /trial/keyferry &&
    /trial/keyferry --version && /trial/keyferry status --json >/trial/status && [[ $(jq -r '.keys[0].keyArn' /trial/status) == "$(jq -r .keyArn /trial/provisioned)" ]]
}

mkdir -p /trial
# where the units have it, so that a removal could take it
export KEYFERRY_STATE_DIR=/var/lib/keyferry AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=eu-west-3
environment=$(/packages/softhsm/make-softhsm.sh /trial/token) && eval "$environment"
. /etc/os-release
printf '%s, no network, no compiler, no Node.js\n' "$PRETTY_NAME"
step 'bare' bare
listing >/trial/before
step 'install' install_earlier
step 'user' make_user
start_kms
export AWS_ENDPOINT_URL
step 'doctor' doctor
step 'provision' provision
step 'rewrap' rewrap
step 'upgrade' upgrade
step 'the key is known after it' same_key
step 'rewrap after it' rewrap
step 'units' units
step 'manual, completion, licences' manual
step 'bill of materials' bill
step 'all files are as packed' intact
step 'the archive, unpacked elsewhere' archive
step 'removal leaves the state and nothing else' remove
kill "$kms"
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
