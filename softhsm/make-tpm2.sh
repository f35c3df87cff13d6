#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: make-tpm2.sh DIR
# Prepares an empty store for tpm2-pkcs11 in DIR (new or empty) and prints, for `eval`, what a client needs.
# There is no TPM and no token behind it, so C_Initialize answers CKR_GENERAL_ERROR: a fixture for refusals.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
module=$(module_path tpm2)
folder=$(new_folder "${1-}")
write_pin "$folder/pin" "$(random_pin 16)"
describe keyferry "$module" "$folder"
environment TPM2_PKCS11_STORE "$folder"
# names a device that is not there, so that a real TPM of the machine is left alone
environment TPM2_PKCS11_TCTI "device:$folder/no-tpm"
