#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/demo.sh
# Sets the machine up, then runs the main job: key material of every key spec that SoftHSM and NSS softokn can carry
# between them, generated in the token, wrapped there, imported into the local KMS, used there and proven.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source scripts/node.sh
scripts/setup.sh
exec node build/scripts/demo.js
