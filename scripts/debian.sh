# SPDX-License-Identifier: Apache-2.0
# Sourced by bare-root.sh, docker-check.sh, kubernetes-check.sh, opencryptoki-check.sh, package.sh and install-check.sh: a bare Debian in
# a folder, and what it needs to get out as this machine does.

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

# cached_debian SUITE FOLDER [PACKAGE]...: the same with packages, from a tar that is kept (KEYFERRY_CACHE, else the user's
# cache folder) for two weeks, since packages are updated.
cached_debian() {
  local cache=${KEYFERRY_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/keyferry} tar lock
  tar=$cache/$(printf '%s' "${*:3}" | sha256sum | cut -c1-12)-$1.tar
  mkdir -p "$cache"
  exec {lock}>"$tar.lock"
  flock "$lock"
  if [[ -n $(find "$tar" -mtime -14 2>/dev/null) ]]; then
    mkdir -p "$2"
    tar -C "$2" --numeric-owner -xf "$tar"
  else
    if (($# == 2)); then
      install_packages debootstrap debian-archive-keyring
      printf 'debootstrap %s\n' "$1"
      bare_debian "$1" "$2"
      network_settings "$2"
    else
      cached_debian "$1" "$2"
      printf 'installing in %s: %s\n' "$1" "${*:3}"
      # a release that moves has lists for a week alone, and mirrors may lag; signatures are checked all the same
      [[ $1 != forky ]] || printf 'Acquire::Check-Valid-Until "false";\n' >"$2/etc/apt/apt.conf.d/98lag"
      # shellcheck disable=SC2016 # the inner shell's
      in_root "$2" DEBIAN_FRONTEND=noninteractive bash -euc '
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@"
        } >/tmp/apt.log 2>&1 || { tail -n 20 /tmp/apt.log >&2 && exit 69; }
      ' bash "${@:3}"
      in_root "$2" apt-get clean
    fi
    tar -C "$2" --numeric-owner -cf "$tar.part" .
    mv -- "$tar.part" "$tar"
  fi
  exec {lock}>&-
}

# in_root ROOT [--no-network] COMMAND...: runs it there, in namespaces of its own: nothing stays mounted, and no process stays, when this ends or is
# killed.
in_root() {
  local root=$1 spaces=()
  shift
  if [[ $1 == --no-network ]]; then
    spaces=(--net)
    shift
  fi
  # shellcheck disable=SC2016 # the inner shell's
  unshare "${spaces[@]}" --mount --pid --fork --kill-child bash -euc '
    root=$1
    shift
    # of a network of its own, the loopback device alone
    ip link set lo up
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    exec chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
  ' in-root "$root" "$@"
}

# network_settings ROOT: npm and apt reach there what they reach on this machine.
network_settings() {
  local cafile
  npm_settings "$1/root/.npmrc"
  apt_settings "$1/etc/apt/apt.conf.d/99host"
  # what this machine's npm trusts, where no package of the root writes
  cafile=$(sed -n 's/^cafile=//p' "$1/root/.npmrc")
  [[ -n $cafile ]] || return 0
  install -m 0644 "$cafile" "$1/etc/npm-cafile.pem"
  sed -i 's|^cafile=.*|cafile=/etc/npm-cafile.pem|' "$1/root/.npmrc"
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
