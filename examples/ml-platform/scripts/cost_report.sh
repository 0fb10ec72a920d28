#!/usr/bin/env bash
# What the walk-through's pods request, what they use, what podfit recommends, and what each comes to in a month.
#
#   cost_report.sh [--prices FILE] [--save DIR] [--before DIR] [--from DIR]
#
#   cost_report.sh --save before      as it is now; keeps the figures in the folder `before`
#   cost_report.sh --before before    later: now, and the change since
#
# --prices FILE  prices of a core and of a GiB for an hour (default: prices.csv beside this script, whose figures are examples:
#                put your own in)
# --save DIR     keeps what the report is made of
# --before DIR   compares with what was kept
# --from DIR     reports on what was kept, without a cluster
#
# Requests are what is paid for: nodes are made for them. Use is what it is at this moment, so ask under the usual load.
set -euo pipefail
# shellcheck source=walk_through.sh
. "$(dirname "$0")/walk_through.sh"

prices=$here/prices.csv save='' before='' from=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) help ;;
    --prices | --save | --before | --from) [ $# -gt 1 ] || misused "$1 needs a value" ;;
    *) misused "there is no $1" ;;
  esac
  case $1 in
    --prices) prices=$2 ;;
    --save) save=$2 ;;
    --before) before=$2 ;;
    --from) from=$2 ;;
  esac
  shift 2
done

# look FOLDER: writes what the cluster says now. Fields are parted by tabs.
look() {
  # pod, kind and name of its controller, hash, container, requested CPU and memory
  kubectl -n "$namespace" get pods --field-selector status.phase=Running -o 'go-template={{range .items}}{{$pod := .metadata}}{{range .spec.containers}}{{$pod.name}}	{{with $pod.ownerReferences}}{{with index . 0}}{{.kind}}	{{.name}}{{end}}{{else}}Pod	{{$pod.name}}{{end}}	{{with $pod.labels}}{{with index . "pod-template-hash"}}{{.}}{{else}}-{{end}}{{else}}-{{end}}	{{.name}}	{{with .resources.requests}}{{with .cpu}}{{.}}{{else}}0{{end}}	{{with .memory}}{{.}}{{else}}0{{end}}{{else}}0	0{{end}}
{{end}}{{end}}' >"$1/requested.tsv"
  # pod, container, used CPU and memory
  kubectl -n "$namespace" top pods --containers --no-headers 2>/dev/null |
    awk -v OFS='\t' '{ print $1, $2, $3, $4 }' >"$1/used.tsv" ||
    die "there are no figures of use: is metrics-server there? setup_environment.sh --check"
  # workload, container, recommended CPU and memory
  kubectl -n "$namespace" get verticalpodautoscalers -o 'go-template={{range .items}}{{$workload := .spec.targetRef.name}}{{with .status}}{{with .recommendation}}{{range .containerRecommendations}}{{$workload}}	{{.containerName}}	{{with .target.cpu}}{{.}}{{else}}-{{end}}	{{with .target.memory}}{{.}}{{else}}-{{end}}
{{end}}{{end}}{{end}}{{end}}' >"$1/recommended.tsv" 2>/dev/null || : >"$1/recommended.tsv"
}

# report FOLDER [total]: the table and the arithmetic; with `total` one line: requested, used, recommended a month.
report() {
  awk -F'\t' -v prices="$prices" -v only="${2:-}" -f "$here/cost_report.awk" \
    part=recommended "$1/recommended.tsv" part=used "$1/used.tsv" part=requested "$1/requested.tsv"
}

[ -r "$prices" ] || die "cannot read $prices; it has lines as in $here/prices.csv"
now=$from
if [ -z "$from" ]; then
  need_cluster
  now=${save:-$(mktemp -d)}
  mkdir -p "$now"
  [ -n "$save" ] || trap 'rm -r "$now"' EXIT
  look "$now"
fi
for folder in "$now" ${before:+"$before"}; do
  [ -r "$folder/requested.tsv" ] || die "there is nothing kept in $folder; --save writes it"
  [ -s "$folder/requested.tsv" ] || die "no pod runs in $namespace; apply the samples: setup_environment.sh"
done
report "$now"
if [ -n "$before" ]; then
  read -r was _ < <(report "$before" total)
  read -r is _ < <(report "$now" total)
  awk -v was="$was" -v is="$is" 'BEGIN {
    less = was - is
    size = less < 0 ? -less : less
    printf "\nrequested before %.2f, now %.2f: %.2f USD a month %s (%.0f %%)\n", was, is, size, (less < 0 ? "more" : "less"),
      (was ? 100 * size / was : 0) }'
fi
