# shellcheck shell=bash
# Where things are, how progress is printed, and which Debian packages the scripts need. Sourced by every script here.
# Built programs live in $PODFIT_CACHE (kept between runs), a cluster's state in $PODFIT_STATE/podfit-NAME (removed by `down`).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PODFIT_CACHE=${PODFIT_CACHE:-$HOME/.cache/podfit}
PODFIT_STATE=${PODFIT_STATE:-/tmp}
bin=$PODFIT_CACHE/bin
sources=$PODFIT_CACHE/sources     # manifests taken from the programs' own modules
PATH=$bin:$PATH
export started_at=${started_at:-$(date +%s%N)}
set -E # functions, too
trap 'echo "$(basename "$0"): failed at ${BASH_SOURCE[0]}:$LINENO" >&2' ERR # never end without a word

# say TEXT...: one line with the seconds since the script began.
say() {
  local ms=$((($(date +%s%N) - started_at) / 1000000))
  printf '%4d.%ds  %s\n' $((ms / 1000)) $((ms / 100 % 10)) "$*"
}

# die TEXT...: an error that says what to do; ends the script.
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# need PATH-OR-COMMAND PACKAGE ...: installs the Debian packages whose file or command is missing.
need() {
  local missing=()
  while [ $# -gt 0 ]; do
    case $1 in
      /*) [ -e "$1" ] || missing+=("$2") ;;
      *) command -v "$1" >/dev/null || missing+=("$2") ;;
    esac
    shift 2
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "missing Debian packages: ${missing[*]}; install them, or run as root and they are installed"
  say "installing Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  local log
  log=$(mktemp)
  if ! { apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}" ||
    { apt-get -q update && apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"; }; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "apt-get could not install: ${missing[*]}"
  fi
  rm -f "$log"
}
