# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts/docker-check.sh, after scripts/debian.sh: makes stand-ins for the official images that the Dockerfile builds on, of Debian's
# packages and the npm registry's. Expects `say`, `die`, `work` (a scratch folder) and `storage` (buildah with its storage).

# The names that the Dockerfile takes: node:MAJOR-SUITE-slim and debian:SUITE-slim, of one suite.
NODE_BASE=$(sed -n 's/^FROM \([^ ]*\) AS build$/\1/p' docker/Dockerfile)
DEBIAN_BASE=$(sed -n 's/^FROM \([^ ]*\) AS keyferry$/\1/p' docker/Dockerfile)
[[ $NODE_BASE =~ ^docker\.io/library/node:([0-9]+)-([a-z]+)-slim$ ]] || die "not node:MAJOR-SUITE-slim: $NODE_BASE"
node_major=${BASH_REMATCH[1]} suite=${BASH_REMATCH[2]}
[[ $DEBIAN_BASE == docker.io/library/debian:$suite-slim ]] || die "not debian:$suite-slim: $DEBIAN_BASE"

# Stand-ins for the official images: Debian, and over it Node with its headers under /usr/local, and npm.
make_bases() {
  local stamp root=$work/root
  stamp=localhost/keyferry-base:$(declare -f make_bases | sha256sum | cut -c1-12)-$node_major-$suite
  if [[ -n $("${storage[@]}" images -q "$stamp" 2>/dev/null) ]]; then
    say "$NODE_BASE and $DEBIAN_BASE are there"
    return
  fi
  say "making $DEBIAN_BASE by debootstrap"
  bare_debian "$suite" "$root"
  rm -rf "$root"/usr/share/{doc,man,locale,info}/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
  rm -f "$root"/var/cache/apt/archives/*.deb
  printf 'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n' >"$root/etc/apt/apt.conf.d/docker-clean"
  printf 'FROM scratch\nCOPY . /\n' >"$work/Basefile"
  "${storage[@]}" bud --quiet --isolation chroot -f "$work/Basefile" -t "$DEBIAN_BASE" "$root" >/dev/null

  say "making $NODE_BASE by the npm registry's Node.js"
  scripts/fetch-node.sh "$node_major" "$work/node"
  printf 'FROM %s\nCOPY bin /usr/local/bin\nCOPY lib /usr/local/lib\nCOPY include /usr/local/include\n' \
    "$DEBIAN_BASE" >"$work/Basefile"
  "${storage[@]}" bud --quiet --pull-never --isolation chroot -f "$work/Basefile" -t "$NODE_BASE" "$work/node" >/dev/null
  "${storage[@]}" tag "$NODE_BASE" "$stamp"
  rm -rf -- "$root" "$work/node"
}
