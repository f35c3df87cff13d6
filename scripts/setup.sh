#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/setup.sh
# Installs what is missing on Debian and Ubuntu, brings Node.js from the npm registry where the machine's own is too old,
# then the npm packages, then builds. Needs root or sudo only when a package is missing. Run again, it does only what has
# changed since. Asks nothing.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source scripts/node.sh

# softhsm2, libnss3, opencryptoki, libtpm2-pkcs11-1: the tokens · libnss3-tools: certutil · opensc: pkcs11-tool and
# pkcs11-spy · awscli, openssl, curl: clients that know nothing of keyferry · python3, make, g++: pkcs11js is compiled ·
# util-linux, mount: openCryptoki in namespaces of its own · less: the AWS CLI's pager · unzip: the console's zip · jq: JSON
# in the pages of docs/ · strace: what is written, and in which order · faketime: hosts whose clock is wrong ·
# zsh, fish: shells that complete names · chromium: the agent's pages · postgresql: the state in a database; the tests start
# servers of their own, so the one that the package may start need not run · iproute2: hosts that are cut off
PACKAGES=(softhsm2 libnss3 libnss3-tools opencryptoki opensc libtpm2-pkcs11-1 openssl curl python3 make g++ util-linux
  mount less unzip jq strace faketime zsh fish prometheus systemd chromium postgresql iproute2)
# what `.node` is given where the machine's own Node.js is none of those that package.json takes
NODE_MAJOR=24

log=$(mktemp)
trap 'rm -f -- "$log"' EXIT

say() {
  printf 'setup: %s\n' "$1" >&2
}

die() {
  printf 'setup: error: %s\n' "$1" >&2
  exit 69
}

# A stub named aws may come first on PATH, so both places are tried.
aws_works() {
  /usr/bin/aws --version >/dev/null 2>&1 || aws --version 2>/dev/null | grep -q '^aws-cli/'
}

install_debian() {
  local missing=() package root=()
  for package in "${PACKAGES[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  # some releases of Ubuntu have no package of it
  aws_works || missing+=(awscli)
  command -v npm >/dev/null || missing+=(npm)
  ((${#missing[@]})) || return 0

  if ((EUID)); then
    command -v sudo >/dev/null || die "run as root or install sudo; missing: ${missing[*]}"
    root=(sudo)
  fi
  say "installing ${missing[*]}"
  # a list that cannot be fetched need not hold any of these packages: the installation tells
  "${root[@]}" apt-get update -qq >"$log" 2>&1 || say 'some package lists could not be fetched'
  # what packages say while they are set up (no debconf, no services to start) is of use only where it fails
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "${missing[@]}" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "apt-get could not install: ${missing[*]} (awscli is also at https://aws.amazon.com/cli)"
  }
}

# Elsewhere nothing is installed: it says what is missing and where it comes from.
check_elsewhere() {
  local hint=$1 command module missing=()
  for command in npm softhsm2-util certutil pkcs11-tool openssl curl python3 make c++ less unzip jq; do
    command -v "$command" >/dev/null || missing+=("$command")
  done
  aws_works || missing+=(aws)
  for module in softhsm nss spy; do
    softhsm/module-path.sh "$module" >/dev/null 2>&1 || missing+=("the module of $module")
  done
  for module in opencryptoki tpm2; do
    softhsm/module-path.sh "$module" >/dev/null 2>&1 || say "no module of $module: the tests that use it will fail"
  done
  command -v faketime >/dev/null || say "no faketime: tests of a host's clock will fail"
  for command in zsh fish; do
    command -v "$command" >/dev/null || say "no $command: the tests of its completion will fail"
  done
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ||
    say 'no PostgreSQL in /usr/lib/postgresql: the tests of the state in a database will fail'
  [[ -x /usr/bin/chromium ]] || say 'no /usr/bin/chromium: the tests of the agent'"'"'s pages will fail'
  ((${#missing[@]} == 0)) || die "missing: $(printf '%s, ' "${missing[@]}" | sed 's/, $//'). $hint"
}

install_system() {
  local ID='' ID_LIKE=''
  # shellcheck source=/dev/null
  [[ ! -r /etc/os-release ]] || source /etc/os-release
  case " $(uname -s) $ID $ID_LIKE " in
    *' debian '* | *' ubuntu '*) install_debian ;;
    *' fedora '* | *' rhel '*)
      check_elsewhere 'On Fedora: dnf install nodejs-npm softhsm nss nss-tools opencryptoki opensc tpm2-pkcs11 awscli2 openssl curl python3 make gcc-c++ util-linux less unzip jq strace'
      ;;
    *' Darwin '*)
      check_elsewhere 'On macOS: brew install node softhsm nss opensc awscli openssl python make jq, and xcode-select --install (openCryptoki and tpm2-pkcs11 need Linux)'
      ;;
    *)
      check_elsewhere 'Install npm, SoftHSM 2, NSS with its tools, openCryptoki, OpenSC, tpm2-pkcs11, the AWS CLI, OpenSSL, curl, python3, make, a C++ compiler, less, unzip and jq'
      ;;
  esac
}

# Whether the first Node.js on PATH is one that package.json takes ("engines").
node_fits() {
  node -e '
    const [major, minor] = process.versions.node.split(".").map(Number)
    process.exit((major === 22 && minor >= 13) || major >= 24 ? 0 : 1)
  ' 2>/dev/null
}

bring_node() {
  local global
  node_fits && return
  say "bringing Node.js $NODE_MAJOR into .node: $(node --version 2>/dev/null || echo none) is here, and 22.13 or 24 are the oldest that will do"
  rm -rf .node .node.new
  scripts/fetch-node.sh "$NODE_MAJOR" .node.new || die "Node.js $NODE_MAJOR could not be fetched from the npm registry"
  # what this machine's npm is set to for all users, such as a registry or a CA bundle, holds for the npm that is brought too
  global=$(npm config get globalconfig)
  mkdir .node.new/etc
  [[ ! -e $global ]] || ln -s "$global" .node.new/etc/npmrc
  mv .node.new .node
  hash -r
  node_fits || die "Node.js $NODE_MAJOR of the npm registry does not run on this machine"
}

# npm ci runs when the lock file or the platform is not what it last ran for. Compiled packages are Node-API, which any
# Node.js takes.
install_packages() {
  local stamp=node_modules/.keyferry-setup wanted headers
  wanted=$(node -p '
    const files = ["package.json", "package-lock.json"].map((file) => require("node:fs").readFileSync(file))
    const digest = require("node:crypto").createHash("sha256").update(Buffer.concat(files)).digest("hex");
    [digest, process.platform, process.arch].join(" ")
  ')
  [[ $(cat "$stamp" 2>/dev/null) != "$wanted" ]] || return 0
  say 'npm ci'
  # the headers beside this very Node.js, where there are some: node-gyp would fetch them from nodejs.org
  headers=$(node -p 'require("node:path").resolve(process.execPath, "../..")')
  [[ ! -e $headers/include/node/node_api.h ]] || export npm_config_nodedir=$headers
  npm ci --no-audit --no-fund --loglevel error ||
    die 'npm ci failed; where a proxy opens TLS, name its CA: NODE_EXTRA_CA_CERTS=/path/to/ca.pem'
  # a user's ignore-scripts would leave the binding uncompiled
  node -e 'require("pkcs11js")' 2>/dev/null || npm rebuild --ignore-scripts=false pkcs11js ||
    die 'pkcs11js could not be compiled: it needs python3, make, a C++ compiler and headers of Node.js'
  printf '%s\n' "$wanted" >"$stamp"
}

# `npm run` and `npx` look here first, so that they take the Node.js of .node as well; and `keyferry` is there for a shell.
link_commands() {
  if [[ -x .node/bin/node ]]; then ln -sfn ../../.node/bin/node node_modules/.bin/node; else rm -f node_modules/.bin/node; fi
  ln -sfn ../../dist/main.cjs node_modules/.bin/keyferry
}

install_system
bring_node
install_packages
link_commands
npm run --silent build
say "ready, on Node.js $(node --version)"
