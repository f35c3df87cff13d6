#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/setup.sh
# Installs what is missing on Debian and Ubuntu, then the npm packages, then builds. Needs git and Node; root or sudo
# only when a package is missing. Run again, it does only what has changed since. Asks nothing.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# softhsm2, libnss3, opencryptoki, libtpm2-pkcs11-1: the tokens · libnss3-tools: certutil · opensc: pkcs11-tool and
# pkcs11-spy · awscli, openssl: clients that know nothing of keyferry · python3, make, g++: pkcs11js is compiled ·
# util-linux: unshare for openCryptoki
PACKAGES=(softhsm2 libnss3 libnss3-tools opencryptoki opensc libtpm2-pkcs11-1 openssl python3 make g++ util-linux)

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

check_node() {
  command -v node >/dev/null || die 'Node.js is missing: install 20.19 or later (https://nodejs.org)'
  command -v npm >/dev/null || die 'npm is missing: it comes with Node.js, or as package npm'
  node -e '
    const [major, minor] = process.versions.node.split(".").map(Number)
    process.exit((major === 20 && minor >= 19) || (major === 22 && minor >= 13) || major >= 24 ? 0 : 1)
  ' || die "Node.js $(node --version) is too old: 20.19, 22.13 or 24 and later"
}

install_debian() {
  local missing=() package root=()
  for package in "${PACKAGES[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  # some releases of Ubuntu have no package of it
  aws_works || missing+=(awscli)
  ((${#missing[@]})) || return 0

  if ((EUID)); then
    command -v sudo >/dev/null || die "run as root or install sudo; missing: ${missing[*]}"
    root=(sudo)
  fi
  say "installing ${missing[*]}"
  # a list that cannot be fetched need not hold any of these packages: the installation tells
  "${root[@]}" apt-get update -qq || say 'some package lists could not be fetched'
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "${missing[@]}" >/dev/null ||
    die "apt-get could not install: ${missing[*]} (awscli is also at https://aws.amazon.com/cli)"
}

# Elsewhere nothing is installed: it says what is missing and where it comes from.
check_elsewhere() {
  local hint=$1 command module missing=()
  for command in softhsm2-util certutil pkcs11-tool openssl python3 make c++; do
    command -v "$command" >/dev/null || missing+=("$command")
  done
  aws_works || missing+=(aws)
  for module in softhsm nss spy; do
    softhsm/module-path.sh "$module" >/dev/null 2>&1 || missing+=("the module of $module")
  done
  for module in opencryptoki tpm2; do
    softhsm/module-path.sh "$module" >/dev/null 2>&1 || say "no module of $module: the tests that use it will fail"
  done
  ((${#missing[@]} == 0)) || die "missing: $(printf '%s, ' "${missing[@]}" | sed 's/, $//'). $hint"
}

install_system() {
  local ID='' ID_LIKE=''
  # shellcheck source=/dev/null
  [[ ! -r /etc/os-release ]] || source /etc/os-release
  case " $(uname -s) $ID $ID_LIKE " in
    *' debian '* | *' ubuntu '*) install_debian ;;
    *' fedora '* | *' rhel '*)
      check_elsewhere 'On Fedora: dnf install softhsm nss nss-tools opencryptoki opensc tpm2-pkcs11 awscli2 openssl python3 make gcc-c++ util-linux'
      ;;
    *' Darwin '*)
      check_elsewhere 'On macOS: brew install softhsm nss opensc awscli openssl python make, and xcode-select --install (openCryptoki and tpm2-pkcs11 need Linux)'
      ;;
    *)
      check_elsewhere 'Install SoftHSM 2, NSS with its tools, openCryptoki, OpenSC, tpm2-pkcs11, the AWS CLI, OpenSSL, python3, make and a C++ compiler'
      ;;
  esac
}

# npm ci runs when the lock file, Node's ABI or the platform is not what it last ran for.
install_packages() {
  local stamp=node_modules/.keyferry-setup wanted
  wanted=$(node -p '
    const files = ["package.json", "package-lock.json"].map((file) => require("node:fs").readFileSync(file))
    const digest = require("node:crypto").createHash("sha256").update(Buffer.concat(files)).digest("hex")
    const { versions, platform, arch } = process;
    [digest, versions.modules, platform, arch].join(" ")
  ')
  [[ $(cat "$stamp" 2>/dev/null) != "$wanted" ]] || return 0
  say 'npm ci'
  npm ci --no-audit --no-fund --loglevel error || die 'npm ci failed'
  # a user's ignore-scripts would leave the binding uncompiled
  node -e 'require("pkcs11js")' 2>/dev/null || npm rebuild --ignore-scripts=false pkcs11js ||
    die 'pkcs11js could not be compiled: it needs python3, make, a C++ compiler and headers of Node.js'
  printf '%s\n' "$wanted" >"$stamp"
}

check_node
install_system
install_packages
npm run --silent build
say 'ready'
