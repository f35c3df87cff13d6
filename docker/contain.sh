# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts/docker-check.sh: runs a service over the files of its image as an engine would, as far as namespaces go: a root that is
# read-only, no capability, no way to more privileges, a network that is shared. `buildah run` offers none of that without cgroups of its
# own. Expects `image_configuration` and `volumes` (a folder), and the process ID of a network namespace's owner in `network_of`.

# read_service COMPOSE_FILE SERVICE: sets the variables that compose-service.py prints.
read_service() {
  local configuration facts
  configuration=$(image_configuration "$(/usr/bin/python3 docker/compose-service.py "$1" "$2" image)")
  facts=$(/usr/bin/python3 docker/compose-service.py "$1" "$2" <<<"$configuration")
  eval "$facts"
}

# contain ROOT: becomes the service that was read, over the files in ROOT. Its process is the child of the one that this becomes, and the first of a
# PID namespace.
# shellcheck disable=SC2154 # read_service sets them
contain() {
  # shellcheck disable=SC2034 # in the words below
  local root=$1
  exec nsenter --target "$network_of" --net unshare --mount --pid --ipc --uts --fork --kill-child bash -euc "
    $(declare -p root volumes user folder read_only privileges mounts tmpfs environment argv)
    $(declare -f claim_volume enter)
    enter"
}

# The rest of `contain`, in the namespaces.
# shellcheck disable=SC2154
enter() {
  local each source target mode bounds=()
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount -t tmpfs -o mode=0755 dev "$root/dev"
  for each in null zero full random urandom; do
    : >"$root/dev/$each"
    mount --bind "/dev/$each" "$root/dev/$each"
  done
  ln -s /proc/self/fd "$root/dev/fd"
  for each in "${mounts[@]}"; do
    IFS=: read -r source target mode <<<"$each"
    mkdir -p "$root${target%/*}"
    if [[ -f $source ]]; then
      : >>"$root$target"
    else
      mkdir -p "$root$target"
      [[ $source == /* ]] || claim_volume "$volumes/$source" "$root$target"
      [[ $source == /* ]] || source=$volumes/$source
    fi
    mount --bind "$source" "$root$target"
    [[ $mode != ro ]] || mount -o remount,bind,ro "$root$target"
  done
  for each in "${tmpfs[@]}"; do mount -t tmpfs -o mode=1777 tmpfs "$root$each"; done
  if [[ $read_only == yes ]]; then
    mount -o remount,ro "$root/dev"
    mount -o remount,bind,ro "$root"
  fi
  [[ $privileges == kept ]] || bounds=(--bounding-set=-all --inh-caps=-all --no-new-privs)
  cd /
  exec chroot "$root" /usr/bin/env -i --chdir="$folder" HOME="$folder" "${environment[@]}" \
    setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups "${bounds[@]}" "${argv[@]}"
}

# A new volume takes over owner and mode of what the image has in its place.
claim_volume() {
  [[ ! -d $1 ]] || return 0
  mkdir -p "$1"
  chown --reference="$2" "$1"
  chmod --reference="$2" "$1"
}

# beside PID COMMAND...: runs a command beside a contained process, as an engine's `exec` does.
# shellcheck disable=SC2154
beside() {
  nsenter --target "$1" --mount --net --pid --root="/proc/$1/root" --wd="/proc/$1/root" /usr/bin/env -i "${environment[@]}" \
    setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups "${@:2}"
}
