#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/package-check.sh
# Packs the package as it would be published, looks at what it holds, installs it for all with the oldest Node.js that
# package.json takes, where there is no compiler and where there is one, and provisions a key with it, on SoftHSM and the
# local KMS. After scripts/setup.sh.
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
for file in README.md LICENSE CHANGELOG.md SECURITY.md dist/main.cjs docs/json/plan.schema.json deploy/prometheus/prometheus.yaml deploy/kubernetes/README.md deploy/kubernetes/base/kustomization.yaml dist/THIRD-PARTY-NOTICES.txt; do
  [[ -s $work/package/$file ]] || die "not in the package: $file"
done
# links of the README to files beside it
while read -r link; do
  [[ -e $work/package/$link ]] || die "README.md links to $link, which is not in the package"
done < <(grep -oE '\]\([^)#:]+' "$work/package/README.md" | cut -c 3- | sort -u)

# the oldest Node.js, with headers of its own: node-gyp would fetch them from nodejs.org
node22=$work/node22
scripts/fetch-node.sh 22.13.0 "$node22"
export npm_config_globalconfig=$(npm config get globalconfig) npm_config_nodedir=$node22
unset CC CXX
module=$(softhsm/module-path.sh softhsm)

# all commands of this machine but compilers, in another folder
mkdir "$work/commands"
for command in /usr/bin/* /bin/*; do
  case ${command##*/} in
    cc | c++ | c[89]9* | gcc* | g++* | *-gcc* | *-g++* | clang* | make | gmake | python* | node | npm | npx) ;;
    *) ln -sf "$command" "$work/commands/" ;;
  esac
done

# installed PREFIX: as one types it, for all users of the machine
installed() {
  printf 'package-check: npm install --global ./%s, Node.js %s, %s\n' "$(<"$work/name")" "$(node --version)" "$2"
  npm install --global --prefix "$1" --allow-scripts=pkcs11js --no-audit --no-fund --loglevel error "$work/$(<"$work/name")" ||
    die "$2 the package could not be installed"
  hash -r
  keyferry --version
}

# without a compiler npm installs it all the same, and keyferry says what is missing
(
  export PATH=$work/uncompiled/bin:$node22/bin:$work/commands
  installed "$work/uncompiled" 'without a compiler'
  status=0
  keyferry token list --module "$module" 2>"$work/said" || status=$?
  cat "$work/said"
  [[ $status == 69 ]] && grep -q 'pkcs11js.*not compiled.*ERR_ADDON_MISSING' "$work/said" && grep -q 'python3 make g++' "$work/said" ||
    die "without a compiler keyferry ended with $status"
)

export PATH=$work/compiled/bin:$node22/bin:$PATH
installed "$work/compiled" 'with a compiler'
[[ $(command -v keyferry) == "$work/compiled/bin/keyferry" ]] || die 'another keyferry is found first'

export KEYFERRY_STATE_DIR=$work/state
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
keyferry doctor
keyferry provision --name packed --key-spec SYMMETRIC_DEFAULT --custody token --prove full --json >"$work/provisioned"
jq -e '.proof.result == "proven"' "$work/provisioned" || die 'the key was not proven'
keyferry status

# the example of docs/embedding.md, as JavaScript and for the compiler, in a project that has the package
mkdir -p "$work/project/node_modules"
ln -s "$work/compiled/lib/node_modules/keyferry" "$work/project/node_modules/"
cd "$work/project"
sed -n '/^```js$/,/^```$/p' "$root/docs/embedding.md" | sed '1d;$d' >example.mjs
cp example.mjs example.mts
"$root/node_modules/.bin/tsc" --noEmit --strict --module nodenext --target es2023 --types node --typeRoots "$root/node_modules/@types" example.mts ||
  die 'the types of the package do not fit its example'
cat >keyferry.yaml <<CONFIG
version: 1
tokens: { primary: { uri: "${KEYFERRY_TOKEN%%\?*}?module-path=$module", pin: { file: "$(ls "$work"/token/pin)" } } }
targets: { local: { region: us-east-1 } }
keys: { payments: { keySpec: SYMMETRIC_DEFAULT, custody: token } }
CONFIG
KEYFERRY_CONFIG=$PWD/keyferry.yaml KEYFERRY_STATE_DIR=$work/embedded node example.mjs | tee "$work/example"
grep -q '^payments local done' "$work/example" && grep -q '^arn:aws:kms:' "$work/example" || die 'the example did not do its work'
printf 'package-check: well\n'
