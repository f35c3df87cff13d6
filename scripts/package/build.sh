#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run by scripts/package.sh in its root, in /build: `source` is the commit, `node` the Node.js that is packed; `out` is made.
set -euo pipefail
umask 022
arch=$1
export PATH=/build/node/bin:$PATH npm_config_nodedir=/build/node npm_config_cache=/build/.npm npm_config_update_notifier=false
cd /build/source
date=$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)
version=$(node -p 'require("./package.json").version')

npm ci --ignore-scripts --no-audit --no-fund --loglevel error
npm rebuild --ignore-scripts=false --foreground-scripts=false pkcs11js --loglevel error
node_modules/.bin/tsc -b src
node scripts/bundle.mjs

# the tree of both packages: PREFIX/bin, lib, share
tree=/build/tree
lib=$tree/lib/keyferry
install -d "$tree/bin" "$lib/bin" "$tree/share/doc/keyferry"
install -m 0755 scripts/package/keyferry "$lib/bin/keyferry"
ln -s ../lib/keyferry/bin/keyferry "$tree/bin/keyferry"
install -m 0755 /build/node/bin/node "$lib/bin/node"
strip "$lib/bin/node"
cp -R dist package.json "$lib/"

# of the packages that are not bundled: what is loaded, and their licences
addon() {
  local package=$1 file
  shift
  for file in package.json "$@"; do install -D -m 0644 "node_modules/$package/$file" "$lib/node_modules/$package/$file"; done
}
koffi=@koromix/koffi-$(node -p '[process.platform, process.arch].join("-")')
addon pkcs11js index.js LICENSE build/Release/pkcs11.node
mapfile -t scripts < <(cd node_modules/koffi && ls src/koffi/src/*.cjs)
addon koffi index.cjs LICENSE.txt src/koffi/index.cjs "${scripts[@]}"
addon "$koffi" index.js "$(cd "node_modules/$koffi" && ls -d linux_*)/koffi.node"
strip --strip-unneeded "$lib"/node_modules/pkcs11js/build/Release/pkcs11.node

keyferry=$lib/bin/keyferry
completion() {
  install -d "$(dirname "$tree/share/$2")"
  "$keyferry" completion "$1" >"$tree/share/$2"
}
completion bash bash-completion/completions/keyferry
completion zsh zsh/vendor-completions/_keyferry
completion fish fish/vendor_completions.d/keyferry.fish
node scripts/package/man-pages.mjs "$tree/share/man/man1" "$date"
gzip -9n "$tree"/share/man/man1/*
install -d "$tree/share/keyferry"
cp -R deploy "$tree/share/keyferry/"
cp -R README.md CHANGELOG.md SECURITY.md LICENSE docs "$tree/share/doc/keyferry/"
{
  printf 'keyferry is under the Apache License 2.0; with it comes what is listed below.\n\n'
  cat LICENSE
  printf '\n%s\n\nNode.js\n\n' "$(printf -- '-%.0s' {1..80})"
  cat /build/node/LICENSE
  for package in pkcs11js koffi; do
    printf '\n%s\n\n%s\n\n' "$(printf -- '-%.0s' {1..80})" "$package"
    cat node_modules/"$package"/LICENSE*
  done
  printf '\n%s\n\n' "$(printf -- '-%.0s' {1..80})"
  cat dist/THIRD-PARTY-NOTICES.txt
} >"$tree/share/doc/keyferry/copyright"
rm "$lib/dist/THIRD-PARTY-NOTICES.txt"

name=keyferry-$version-linux-$arch
mkdir -p /build/out
npm sbom --sbom-format cyclonedx --loglevel error >/build/all.cdx.json
node scripts/package/bill-of-materials.mjs /build/all.cdx.json "$SOURCE_DATE_EPOCH" "$(node -p process.versions.node)" "$koffi" \
  >"/build/out/$name.cdx.json"
cp "/build/out/$name.cdx.json" "$tree/share/doc/keyferry/keyferry.cdx.json"

# the archive: unpacked anywhere, it runs there
mkdir /build/archive
cp -a "$tree" "/build/archive/$name"
tar -C /build/archive --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu \
  -cf "/build/$name.tar" "$name"
# its header has no time and no name
libdeflate-gzip -12 -c "/build/$name.tar" >"/build/out/$name.tar.gz"

deb=/build/deb
install -d "$deb/DEBIAN" "$deb/usr/lib/systemd/system" "$deb/usr/lib/sysusers.d"
cp -a "$tree/." "$deb/usr/"
install -m 0644 deploy/systemd/*.service deploy/systemd/*.timer "$deb/usr/lib/systemd/system/"
install -m 0644 deploy/sysusers.d/keyferry.conf "$deb/usr/lib/sysusers.d/keyferry.conf"
rm -r "$deb"/usr/share/keyferry/deploy/{systemd,sysusers.d}
cat >"$deb/DEBIAN/control" <<CONTROL
Package: keyferry
Version: $version
Architecture: $arch
Maintainer: keyferry <keyferry@users.noreply.github.com>
Section: admin
Priority: optional
Homepage: https://github.com/keyferry/keyferry
Installed-Size: $(du -sk --apparent-size "$deb/usr" | cut -f1)
Depends: libc6 (>= 2.36), libstdc++6, libgcc-s1
Suggests: softhsm2, opensc
Description: carries keys born in an HSM to AWS KMS and keeps them alive there
 Generates key material in a PKCS#11 token, wraps it there for AWS KMS, imports
 it, proves that KMS holds the same key, and imports it again before it expires.
 With its own Node.js, no other is needed.
CONTROL
(cd "$deb" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$deb" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz -z3 --build "$deb" "/build/out/keyferry_${version}_$arch.deb" >/dev/null
