# shellcheck shell=bash
# What the scripts of the walk-through share: where its workloads are, how it speaks, how it waits. Sourced, never run.
# For bash 3.2 (macOS) and later; beside it and kubectl only what every system has.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
namespace=ml-platform
program=$(basename "$0")

# die TEXT: an error that says what to do; ends the script.
die() {
  printf '%s: %s\n' "$program" "$*" >&2
  exit 1
}

# misused TEXT: the command line makes no sense.
misused() {
  printf '%s: %s\nsee: %s --help\n' "$program" "$*" "$program" >&2
  exit 2
}

# help: the comment at the script's head.
help() {
  awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"
  exit 0
}

# need COMMAND WHERE: is it installed?
need() { command -v "$1" >/dev/null || die "$1 is not installed; get it: $2"; }

need_cluster() {
  need kubectl https://kubernetes.io/docs/tasks/tools/
  kubectl get --raw /version >/dev/null 2>&1 ||
    die "kubectl does not reach a cluster; 'kubectl config current-context' says: $(kubectl config current-context 2>&1)"
}

# has KIND NAME [IN]: is there such an object?
has() { kubectl ${3:+--namespace "$3"} get "$1" "$2" >/dev/null 2>&1; }

# available API: does an aggregated API, such as v1beta1.metrics.k8s.io, answer?
available() {
  [ "$(kubectl get apiservice "$1" -o 'jsonpath={.status.conditions[?(@.type=="Available")].status}' 2>/dev/null)" = True ]
}

# wait_until SECONDS COMMAND...: false when it is not true in time.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 2
  done
}

# is_number TEXT: such as 10 or 0.5, and more than 0.
is_number() { [[ $1 =~ ^[0-9]+(\.[0-9]+)?$ ]] && [[ $1 =~ [1-9] ]]; }
