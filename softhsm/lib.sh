# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts beside it: where modules lie, how facts are printed, how PINs are made.

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

die() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  exit "${2:-69}"
}

need() {
  command -v "$1" >/dev/null || die "$1 is missing: install package $2 (scripts/setup.sh does)"
}

# Prints the absolute path of a module: the override, what the package installed, then well-known folders.
# Multiarch folders differ (x86_64-linux-gnu, aarch64-linux-gnu, ...), so nothing here names one.
module_path() {
  local name=$1 variable packages file candidate candidates
  case $name in
    softhsm) variable=KEYFERRY_SOFTHSM_MODULE packages='softhsm2 libsofthsm2' file=softhsm/libsofthsm2.so ;;
    nss) variable=KEYFERRY_NSS_MODULE packages=libnss3 file=libsoftokn3.so ;;
    opencryptoki) variable=KEYFERRY_OPENCRYPTOKI_MODULE packages='opencryptoki libopencryptoki0' file=pkcs11/libopencryptoki.so ;;
    tpm2) variable=KEYFERRY_TPM2_MODULE packages=libtpm2-pkcs11-1 file=pkcs11/libtpm2_pkcs11.so ;;
    spy) variable=KEYFERRY_SPY_MODULE packages='opensc opensc-pkcs11' file=pkcs11-spy.so ;;
    *) die "no such module: '$name' (softhsm, nss, opencryptoki, tpm2, spy)" 64 ;;
  esac
  if [[ -n ${!variable-} ]]; then
    [[ -f ${!variable} ]] || die "$variable names ${!variable}, which is not a file"
    printf '%s\n' "${!variable}"
    return
  fi
  mapfile -t candidates < <(
    # shellcheck disable=SC2086 # several packages
    dpkg -L $packages 2>/dev/null
    compgen -G "/usr/lib/*/$file"
    printf '%s\n' {/usr/lib64,/usr/lib64/pkcs11,/usr/lib,/usr/lib/pkcs11,/usr/local/lib,/opt/homebrew/lib}/{"$file","${file##*/}"}
  )
  for candidate in "${candidates[@]}"; do
    if [[ $candidate == */"${file##*/}" && -f $candidate ]]; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "no ${file##*/} found: install package ${packages%% *} (scripts/setup.sh does), or set $variable"
}

# Makes the folder of a token, private to its owner, and prints its absolute path.
new_folder() {
  [[ -n ${1-} ]] || die "usage: ${0##*/} DIR" 64
  [[ $1 != *$'\n'* ]] || die 'the path of the folder holds a line break' 64
  mkdir -p -m 0700 -- "$1"
  [[ -z $(ls -A -- "$1") ]] || die "$1 is not empty" 73
  cd -- "$1" && pwd
}

# Prints random lower case hexadecimal digits: every token here takes them as a PIN.
random_pin() {
  od -An -N "$(($1 / 2))" -tx1 /dev/urandom | tr -d ' \n'
}

write_pin() {
  (umask 077 && printf '%s\n' "$2" >"$1")
}

# Percent-encodes all but what RFC 3986 calls unreserved, and the slash.
percent_encode() {
  local LC_ALL=C text=$1 out='' i byte
  for ((i = 0; i < ${#text}; i++)); do
    byte=${text:i:1}
    case $byte in
      [A-Za-z0-9._~/-]) out+=$byte ;;
      *) printf -v byte '%%%02X' "'$byte" && out+=$byte ;;
    esac
  done
  printf '%s\n' "$out"
}

# Fills @NAME@ in a template beside this file from NAME VALUE pairs.
fill() {
  local text
  text=$(<"$here/$1")
  shift
  while (($#)); do
    text=${text//"@$1@"/"$2"}
    shift 2
  done
  printf '%s\n' "$text"
}

quote() {
  printf "'%s'" "${1//\'/\'\\\'\'}"
}

# A fact about the token: NAME='value'. With `eval` it becomes a shell variable.
fact() {
  printf '%s=%s\n' "$1" "$(quote "$2")"
}

# What a client must have in its environment: export NAME='value'.
environment() {
  printf 'export '
  fact "$1" "$2"
}

# The facts that every token has.
describe() {
  local label=$1 module=$2 folder=$3 extra=${4-}
  fact TOKEN_LABEL "$label"
  fact TOKEN_MODULE "$module"
  fact TOKEN_PIN_FILE "$folder/pin"
  environment KEYFERRY_TOKEN \
    "pkcs11:token=$(percent_encode "$label")?module-path=$(percent_encode "$module")&pin-source=file:$(percent_encode "$folder/pin")$extra"
}
