#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: make-opencryptoki.sh DIR [LABEL]
# Makes a throw-away openCryptoki soft token in DIR (new or empty; LABEL is 'keyferry' unless given) and prints, for
# `eval`, what a client needs. Both default PINs are replaced. Clients must be started by in-opencryptoki.sh DIR.
# With DIR already made by this script, adds another token to it, in a slot of its own: same PINs, same configuration.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
need pkcs11-tool opensc
label=${2-keyferry}
module=$(module_path opencryptoki)

# The second half, inside the namespaces. The PINs go through the environment, not through arguments.
initialise() {
  # shellcheck disable=SC2034 # read by pkcs11-tool (env:NAME)
  export FIRST_SO=87654321 FIRST_USER=$(random_pin 8) SO USER_PIN
  SO=$(<"$folder/so-pin") USER_PIN=$(<"$folder/pin")
  local tool=(pkcs11-tool --module "$module" --slot "$slot")
  "${tool[@]}" --init-token --label "$label" --so-pin env:FIRST_SO
  "${tool[@]}" --login --login-type so --so-pin env:FIRST_SO --change-pin --new-pin env:SO
  "${tool[@]}" --login --login-type so --so-pin env:SO --init-pin --new-pin env:FIRST_USER
  # until its user changes it, a PIN set by the security officer serves for nothing else
  "${tool[@]}" --login --pin env:FIRST_USER --change-pin --new-pin env:USER_PIN
}

if [[ ${KEYFERRY_OPENCRYPTOKI_STEP-} == initialise ]]; then
  folder=$1 slot=$3
  initialise
  exit
fi

if [[ -f ${1-}/etc/opencryptoki.conf ]]; then
  folder=$(cd -- "$1" && pwd)
  # the first has slot 3
  slot=$((3 + $(grep -c '^slot ' "$folder/etc/opencryptoki.conf")))
  mkdir -p "$folder/lib/swtok$slot/TOK_OBJ"
  printf '\nslot %d\n{\nstdll = libpkcs11_sw.so\ntokname = swtok%d\n}\n' "$slot" "$slot" >>"$folder/etc/opencryptoki.conf"
else
  folder=$(new_folder "${1-}")
  slot=3
  mkdir -p "$folder/etc" "$folder/lib/swtok/TOK_OBJ"
  fill opencryptoki.conf.template >"$folder/etc/opencryptoki.conf"
  # this token's PINs have 4 to 8 characters
  write_pin "$folder/pin" "$(random_pin 8)"
  write_pin "$folder/so-pin" "$(random_pin 8)"
fi
output=$(KEYFERRY_OPENCRYPTOKI_STEP=initialise "$here/in-opencryptoki.sh" "$folder" \
  "${BASH_SOURCE[0]}" "$folder" "$label" "$slot" 2>&1) || { printf '%s\n' "$output" >&2 && exit 77; }

describe "$label" "$module" "$folder"
