#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/kubernetes-check.sh
# Renders every overlay of deploy/kubernetes, alone and with the components that fit it, by Debian 13's kustomize, and holds what comes out to the
# schemas of Kubernetes and of the Prometheus operator, to pod security 'restricted', and to rules of our own: what is named is there, one round
# at a time, `keyferry config check`. No cluster is asked. Wants root or sudo, on Debian or Ubuntu, after scripts/setup.sh. The last line is the
# count alone: `N passed, N failed`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source scripts/node.sh
if ((EUID)); then
  exec sudo -n -E env "PATH=$PATH" "$0" "$@"
fi
source scripts/debian.sh

work=$(mktemp -d)
root=$work/root
trap 'rm -rf --one-file-system -- "$work"' EXIT
mkdir "$work/rendered"

# render NAME FOLDER
render() {
  in_root "$root" --no-network kustomize build "/kubernetes/$2" >"$work/rendered/$1.yaml"
}

# combine NAME OVERLAY COMPONENT...: as somebody would in a folder of their own
combine() {
  local own=$root/kubernetes/overlays/check-$1 component
  mkdir "$own"
  {
    printf 'resources: [../%s]\ncomponents:\n' "$2"
    for component in "${@:3}"; do printf '  - ../../components/%s\n' "$component"; done
    printf 'images: [{ name: hsm-library, newName: registry.example.com/hsm-library, newTag: "1.0" }]\n'
  } >"$own/kustomization.yaml"
  render "$1" "overlays/check-$1"
}

cached_debian trixie "$root" kustomize iproute2
# shellcheck disable=SC2016 # dpkg-query's
printf 'kubernetes-check: rendered by kustomize %s of Debian 13\n' "$(in_root "$root" dpkg-query -W -f '${Version}' kustomize)"
cp -R deploy/kubernetes "$root/kubernetes"
for overlay in deploy/kubernetes/overlays/*/; do
  render "$(basename "$overlay")" "overlays/$(basename "$overlay")"
done
combine agents-with-all agents library-volume pin-csi monitoring migrate
combine agents-with-image agents library-image pin-csi monitoring
combine cronjob-with-volume cronjob library-volume pin-csi
combine cronjob-with-image cronjob library-image pin-csi

# the README's own example, with what it names beside it
own=$root/my
mkdir "$own"
sed -n '/^```yaml$/,/^```$/p' deploy/kubernetes/README.md | sed '/^```/d' >"$own/kustomization.yaml"
cp deploy/kubernetes/base/{keyferry,network-policy,service-account}.yaml "$own/"
render readme ../my
# and its alert rules
mkdir "$work/commands"
printf '#!/bin/sh\nexec cat >"%s"\n' "$work/rendered/alert-rules.yaml" >"$work/commands/kubectl"
chmod +x "$work/commands/kubectl"
rules=$(sed -n '/^{$/,/^} /p' deploy/kubernetes/README.md)
[[ -n $rules ]]
(cd deploy/kubernetes && PATH=$work/commands:$PATH bash -euc "$rules")

npm install --loglevel error --ignore-scripts --no-audit --no-fund --prefix "$work/schemas" kubernetes-models@5.1.0 \
  @kubernetes-models/prometheus-operator@6.0.0
node build/scripts/kubernetes/main.js --rendered "$work/rendered" --schemas "$work/schemas"
