#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/package-check.sh
# Packs the package as it would be published, looks at what it holds, installs it in an empty folder and provisions a key
# with it, on SoftHSM and the local KMS; then installs it where there is no compiler. After scripts/setup.sh.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source scripts/node.sh
root=$PWD
work=$(mktemp -d)
kms=
trap '[[ -z $kms ]] || kill "$kms"; rm -rf -- "$work"' EXIT
die() {
  printf 'package-check: error: %s\n' "$1" >&2
  exit 1
}

npm pack --silent --pack-destination "$work" >"$work/name"
tar -xzf "$work/$(<"$work/name")" -C "$work"

# what has no business in it, and what must be there
strays=$(cd "$work/package" && find . -name '*.map' -o -name '*.ts' -o -name '*.tsbuildinfo' -o -path './src/*' -o -path './test/*')
[[ -z $strays ]] || die "in the package: $strays"
for file in README.md LICENSE CHANGELOG.md SECURITY.md dist/main.cjs dist/THIRD-PARTY-NOTICES.txt; do
  [[ -s $work/package/$file ]] || die "not in the package: $file"
done
# links of the README to files beside it
while read -r link; do
  [[ -e $work/package/$link ]] || die "README.md links to $link, which is not in the package"
done < <(grep -oE '\]\([^)#:]+' "$work/package/README.md" | cut -c 3- | sort -u)

mkdir "$work/installed"
cd "$work/installed"
headers=$(node -p 'require("node:path").resolve(process.execPath, "../..")')
[[ ! -e $headers/include/node/node_api.h ]] || export npm_config_nodedir=$headers
printf '{"private":true,"allowScripts":{"pkcs11js":true}}\n' >package.json
npm install --no-audit --no-fund --loglevel error "$work/$(<"$work/name")" ||
  die 'the package could not be installed'
node -e 'require("pkcs11js")' 2>/dev/null || npm rebuild --ignore-scripts=false pkcs11js
printf 'package-check: %s, with %s\n' "$(<"$work/name")" "$(ls node_modules | tr '\n' ' ')"

# without a compiler npm installs it all the same, and keyferry says what is missing
mkdir "$work/commands" "$work/uncompiled"
for command in /usr/bin/* /bin/*; do
  case ${command##*/} in
    cc | c++ | gcc* | g++* | clang* | make | gmake | python*) ;;
    *) ln -sf "$command" "$work/commands/" ;;
  esac
done
(
  cd "$work/uncompiled"
  jq '{private, allowScripts}' "$work/installed/package.json" >package.json
  export PATH=$(dirname -- "$(readlink -f -- "$(command -v node)")"):$work/commands
  unset CC CXX
  npm install --no-audit --no-fund --loglevel error "$work/$(<"$work/name")" || die 'without a compiler the package could not be installed'
  status=0
  node_modules/.bin/keyferry token list --module "$("$root/softhsm/module-path.sh" softhsm)" 2>"$work/said" || status=$?
  cat "$work/said"
  [[ $status == 69 ]] && grep -q 'pkcs11js.*not compiled.*ERR_ADDON_MISSING' "$work/said" && grep -q 'python3 make g++' "$work/said" ||
    die "without a compiler keyferry ended with $status"
)

export PATH=$work/installed/node_modules/.bin:$PATH KEYFERRY_STATE_DIR=$work/state
environment=$("$root/softhsm/make-softhsm.sh" "$work/token")
eval "$environment"
keyferry local-kms --port 0 >"$work/kms.log" 2>&1 &
kms=$!
for _ in {1..100}; do
  AWS_ENDPOINT_URL=$(sed -n 's/.* listening on \(http:[^ ]*\) .*/\1/p' "$work/kms.log")
  [[ -z $AWS_ENDPOINT_URL ]] || break
  sleep 0.1
done
export AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1
keyferry --version
keyferry provision --name packed --key-spec SYMMETRIC_DEFAULT --custody token --prove full --json >"$work/provisioned"
jq -e '.proof.result == "proven"' "$work/provisioned" || die 'the key was not proven'
keyferry status

# the example of docs/embedding.md, as JavaScript and for the compiler
sed -n '/^```js$/,/^```$/p' "$root/docs/embedding.md" | sed '1d;$d' >example.mjs
cp example.mjs example.mts
"$root/node_modules/.bin/tsc" --noEmit --strict --module nodenext --target es2023 --types node --typeRoots "$root/node_modules/@types" example.mts ||
  die 'the types of the package do not fit its example'
cat >keyferry.yaml <<CONFIG
version: 1
tokens: { primary: { uri: "${KEYFERRY_TOKEN%%\?*}?module-path=$("$root/softhsm/module-path.sh" softhsm)", pin: { file: "$(ls "$work"/token/pin)" } } }
targets: { local: { region: us-east-1 } }
keys: { payments: { keySpec: SYMMETRIC_DEFAULT, custody: token } }
CONFIG
KEYFERRY_CONFIG=$PWD/keyferry.yaml KEYFERRY_STATE_DIR=$work/embedded node example.mjs | tee "$work/example"
grep -q '^payments local done' "$work/example" && grep -q '^arn:aws:kms:' "$work/example" || die 'the example did not do its work'
printf 'package-check: well\n'
