#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: make-softhsm.sh DIR [LABEL]
# Makes a throw-away SoftHSM token in DIR (new or empty; LABEL is 'keyferry' unless given) and prints, for `eval`,
# what a client needs. SOFTHSM2_CONF must be set before the module is loaded. With DIR already made by this script
# and another LABEL, adds a second token to it: same PINs, same configuration.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
need softhsm2-util softhsm2
label=${2-keyferry}
module=$(module_path softhsm)

if [[ -f ${1-}/softhsm2.conf ]]; then
  folder=$(cd -- "$1" && pwd)
else
  folder=$(new_folder "${1-}")
  mkdir -m 0700 "$folder/tokens"
  fill softhsm2.conf.template DIR "$folder" >"$folder/softhsm2.conf"
  write_pin "$folder/pin" "$(random_pin 16)"
  write_pin "$folder/so-pin" "$(random_pin 16)"
fi
export SOFTHSM2_CONF=$folder/softhsm2.conf

# softhsm2-util takes PINs as arguments only: seen in the process list for a moment, of a token that guards nothing
output=$(softhsm2-util --module "$module" --init-token --free --label "$label" \
  --pin "$(<"$folder/pin")" --so-pin "$(<"$folder/so-pin")" 2>&1) || die "softhsm2-util: $output"

describe "$label" "$module" "$folder"
environment SOFTHSM2_CONF "$SOFTHSM2_CONF"
