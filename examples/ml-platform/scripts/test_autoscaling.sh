#!/usr/bin/env bash
# Tries out every autoscaler of the walk-through on the cluster that kubectl points to. One line each:
#
#   ok|FAILED|skipped NAME: what was seen
#
# and an exit code that is not 0 when anything FAILED. It changes only the namespace ml-platform, and takes about half an hour
# with the samples' own cool-downs, most of it waiting.
#
#   test_autoscaling.sh [--quick] [--load-from cluster|here] [--patience SECONDS] [WORD...]
#
# WORD...        only checks whose name has one of the words; --list prints the names
# --quick        do not wait for the way back down (scale-down windows and cool-downs of five minutes)
# --load-from    where load comes from, see load_generator.sh (default cluster)
# --patience     how long to wait for one thing to happen (default 600)
set -euo pipefail
# shellcheck source=walk_through.sh
. "$(dirname "$0")/walk_through.sh"
# shellcheck source=test_checks.sh
. "$here/test_checks.sh"

checks=(prerequisites hpa-cpu hpa-custom-metrics vpa-recommendations vpa-mode-off vpa-mode-initial vpa-mode-recreate
  vpa-mode-auto vpa-mode-in-place vpa-beside-hpa keda-to-zero-and-back keda-cron pdb-protection resource-efficiency)
quick='' load_from=cluster patience=600 words=()
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) help ;;
    --list) printf '%s\n' "${checks[@]}" && exit 0 ;;
    --quick) quick=yes ;;
    --load-from | --patience)
      [ $# -gt 1 ] || misused "$1 needs a value"
      if [ "$1" = --patience ]; then patience=$2; else load_from=$2; fi
      shift
      ;;
    -*) misused "there is no $1" ;;
    *) words+=("$1") ;;
  esac
  shift
done
is_number "$patience" || misused "--patience takes seconds, not '$patience'"
[ "$load_from" = cluster ] || [ "$load_from" = here ] || misused "--load-from is cluster or here, not '$load_from'"

# wanted NAME: is it asked for?
wanted() {
  local word
  [ ${#words[@]} -gt 0 ] || return 0
  for word in "${words[@]}"; do [[ $1 != *"$word"* ]] || return 0; done
  return 1
}

# run NAME: runs the function check_NAME. What it prints last is what was seen; it returns 0, 1, or 2 for skipped.
run() {
  local seen result=0
  seen=$("check_${1//-/_}" 2>&1) || result=$?
  seen=$(tail -n 1 <<<"$seen")
  case $result in
    0) passed=$((passed + 1)) && echo "ok $1: $seen" ;;
    2) skipped=$((skipped + 1)) && echo "skipped $1: $seen" ;;
    *) failed=$((failed + 1)) && echo "FAILED $1: $seen" ;;
  esac
}

passed=0 failed=0 skipped=0 some=''
for name in "${checks[@]}"; do ! wanted "$name" || some=yes; done
[ -n "$some" ] || misused "no check has that in its name; --list prints them"
need_cluster
has namespace "$namespace" || die "there is no namespace $namespace; apply the samples: setup_environment.sh"
for name in "${checks[@]}"; do
  ! wanted "$name" || run "$name"
done
echo "$passed ok, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
