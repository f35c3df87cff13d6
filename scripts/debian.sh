# SPDX-License-Identifier: Apache-2.0
# Sourced by bare-root.sh, docker-check.sh and opencryptoki-check.sh: a bare Debian in a folder, and what it needs to get
# out as this machine does.

# Installs those of the packages that are missing.
install_packages() {
  local missing=() package
  command -v apt-get >/dev/null || {
    printf 'error: this check wants Debian or Ubuntu, for %s from their packages\n' "$*" >&2
    return 69
  }
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  printf 'installing %s\n' "${missing[*]}"
  apt-get update -qq || printf 'some package lists could not be fetched\n'
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "${missing[@]}" >/dev/null 2>&1 || {
    printf 'error: apt-get could not install %s\n' "${missing[*]}" >&2
    return 69
  }
}

# bare_debian SUITE FOLDER [OPTION of debootstrap]..., from the mirror that this machine uses for Debian, else debootstrap's default, which
# an empty name stands for.
bare_debian() {
  local mirror log script=$1
  log=$(mktemp)
  # a debootstrap that is older than the release has no script of its name: that of sid is the same one
  [[ -e /usr/share/debootstrap/scripts/$1 ]] || script=sid
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
    awk '$2 == "Debian" && $3 == "Debian" && !found++ { print $1 }')
  debootstrap --variant=minbase "${@:3}" "$1" "$2" "$mirror" "$script" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    rm -f -- "$log"
    printf 'error: debootstrap failed\n' >&2
    return 69
  }
  rm -f -- "$log"
}

# npm_settings FILE: the registry, proxy and CA bundle of this machine's npm.
npm_settings() {
  local name value
  : >"$1"
  for name in registry proxy https-proxy noproxy cafile; do
    value=$(npm config get "$name" 2>/dev/null)
    [[ -n $value && $value != null && $value != undefined ]] || continue
    printf '%s=%s\n' "$name" "$value" >>"$1"
  done
}

# apt_settings FILE: the proxies of this machine's apt.
apt_settings() {
  apt-config dump | grep -E '^Acquire::https?::Proxy ' >"$1" || true
}
