#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: make-nss.sh DIR
# Makes a throw-away NSS softokn database in DIR (new or empty) and prints, for `eval`, what a client needs.
# softokn takes its folder from C_Initialize's library parameters and from nowhere else (3.87); the URI carries them
# percent-encoded in the vendor attribute x-library-parameters, TOKEN_LIBRARY_PARAMETERS has them plain.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
need certutil libnss3-tools
module=$(module_path nss)
folder=$(new_folder "${1-}")
# quoted inside the parameters, where a quote or a backslash would need escaping of its own
[[ $folder != *[\'\\]* ]] || die 'the path of the folder holds a quote or a backslash' 64
mkdir -m 0700 "$folder/db"
write_pin "$folder/pin" "$(random_pin 16)"
output=$(certutil -N -d "sql:$folder/db" -f "$folder/pin" 2>&1) || die "certutil: $output"

# the last byte is a space on purpose: pkcs11js drops the last byte of the parameters
parameters=$(fill nss.parameters.template DIR "$folder/db")
[[ $parameters == *' ' ]] || die 'the library parameters lost their trailing space' 70
describe 'NSS Certificate DB' "$module" "$folder" "&x-library-parameters=$(percent_encode "$parameters")"
fact TOKEN_LIBRARY_PARAMETERS "$parameters"
