#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: module-path.sh softhsm|nss|opencryptoki|tpm2|spy
# Prints where the module lies. KEYFERRY_SOFTHSM_MODULE and its like name another one.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
module_path "${1-}"
