#!/usr/bin/env bash
# Sends requests to a service of the walk-through at a steady rate, and tells how fast they were answered.
#
#   load_generator.sh SERVICE REQUESTS-PER-SECOND MINUTES [--path PATH] [--from cluster|here] [--url URL]
#
#   load_generator.sh fraud-detector-api 30 5
#   load_generator.sh recommendation-api 20 2 --path '/infer?hold_ms=400' --from here
#
# --path PATH     what is asked for (default /infer); /infer?cpu_ms=20&mib=5&hold_ms=100 says what one request uses
# --from cluster  (default) a Job in the namespace ml-platform sends, made of the service's own image
# --from here     this machine sends, through the API server, which gives each request to one of the pods: for a trial, and
#                 where pods may not reach services. With `ml-workload` where it is on the PATH, else with curl
# --url URL       as --from here, straight to this address: an ingress, a load balancer, a port-forward
set -euo pipefail
# shellcheck source=walk_through.sh
. "$(dirname "$0")/walk_through.sh"

path=/infer from=cluster url='' words=()
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) help ;;
    --path | --from | --url)
      [ $# -gt 1 ] || misused "$1 needs a value"
      case $1 in
        --path) path=$2 ;;
        --from) from=$2 ;;
        --url) url=$2 from=here ;;
      esac
      shift
      ;;
    -*) misused "there is no $1" ;;
    *) words+=("$1") ;;
  esac
  shift
done
[ ${#words[@]} = 3 ] || misused "three words are needed: service, requests per second, minutes"
service=${words[0]} rate=${words[1]} minutes=${words[2]}
is_number "$rate" || misused "the rate must be a number above 0, not '$rate'"
is_number "$minutes" || misused "the minutes must be a number above 0, not '$minutes'"
[[ $path == /* ]] || misused "a path begins with /, not '$path'"
[ "$from" = cluster ] || [ "$from" = here ] || misused "--from is cluster or here, not '$from'"

# Told to end, this script ends at once, and takes along what it began.
job='' folder=''
leave() {
  local ids
  ids=$(jobs -p)
  # shellcheck disable=SC2086  # a list of ids
  [ -z "$ids" ] || kill $ids 2>/dev/null || true
  [ -z "$folder" ] || rm -rf "$folder"
  [ -z "$job" ] || kubectl -n "$namespace" delete job "$job" --ignore-not-found --wait=false >/dev/null 2>&1 || true
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# attended COMMAND...: a signal would wait for a command in the foreground; for one that is waited for it does not.
attended() {
  "$@" &
  wait $!
}

# of_pods FIELD: a field of the service's pods, from the first one.
of_pods() { kubectl -n "$namespace" get pods -l "$selector" -o "jsonpath={.items[0].spec.$1}"; }

find_service() {
  need_cluster
  has service "$service" "$namespace" ||
    die "there is no service $service in $namespace; there are: $(kubectl -n "$namespace" get services -o 'jsonpath={.items[*].metadata.name}')"
  selector=$(kubectl -n "$namespace" get service "$service" -o 'go-template={{range $k, $v := .spec.selector}}{{$k}}={{$v}},{{end}}')
  selector=${selector%,}
  [ -n "$(of_pods 'containers[0].image' 2>/dev/null)" ] || die "$service has no pods; see: kubectl -n $namespace get pods -l $selector"
}

# job: the Job that sends. It runs where the service's pods may run.
job() {
  local tolerations nodes
  tolerations=$(of_pods tolerations) nodes=$(of_pods nodeSelector)
  cat <<JSON
{"apiVersion": "batch/v1", "kind": "Job",
 "metadata": {"name": "$job", "namespace": "$namespace", "labels": {"app": "load-generator"}},
 "spec": {"backoffLimit": 0, "ttlSecondsAfterFinished": 600,
  "template": {"metadata": {"labels": {"app": "load-generator"}}, "spec": {"restartPolicy": "Never",
   "tolerations": ${tolerations:-[]}, "nodeSelector": ${nodes:-{\}},
   "containers": [{"name": "load", "image": "$(of_pods 'containers[0].image')",
    "args": ["load", "http://$service.$namespace.svc$path", "--rate", "$rate", "--minutes", "$minutes"],
    "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}}}]}}}}
JSON
}

from_cluster() {
  find_service
  job=load-$service-$$
  job | kubectl create -f - >/dev/null
  kubectl -n "$namespace" wait --for=jsonpath='{.status.ready}'=1 --timeout=60s "job/$job" >/dev/null ||
    die "the sending pod did not start; see: kubectl -n $namespace describe pods -l app=load-generator"
  attended kubectl -n "$namespace" logs --follow "job/$job"
  kubectl -n "$namespace" wait --for=condition=Complete --timeout=30s "job/$job" >/dev/null 2>&1 ||
    die "the load failed; are pods allowed to reach the service? Else: --from here"
}

# proxy: opens a way to the API server, and makes of it the service's URL.
proxy() {
  find_service
  local said=$folder/proxy
  kubectl proxy --port=0 >"$said" 2>&1 &
  proxy_id=$!
  wait_until 20 grep -q 'Starting to serve on' "$said" || die "kubectl proxy did not start: $(cat "$said")"
  url=http://$(sed -n 's/.*Starting to serve on //p' "$said")/api/v1/namespaces/$namespace/services/$service:http/proxy$path
}

# with_curl: a batch of requests each second; their times are added up at the end.
with_curl() {
  need curl https://curl.se
  local second=0 seconds due batch began=$SECONDS
  mkdir "$folder/batches"
  seconds=$(awk -v m="$minutes" 'BEGIN { s = m * 60; print s == int(s) ? s : int(s) + 1 }')
  echo "$rate requests/s for $minutes min, with curl"
  while [ "$second" -lt "$seconds" ]; do
    due=$(awk -v r="$rate" -v s="$second" 'BEGIN { print int(r * (s + 1)) - int(r * s) }')
    second=$((second + 1))
    # What follows # is not sent: it only has curl ask so many times.
    [ "$due" = 0 ] || curl --silent --max-time 10 --parallel --parallel-immediate --parallel-max 300 --output /dev/null \
      --write-out '%{http_code} %{time_total}\n' "$url#[1-$due]" >"$folder/batches/$second" 2>/dev/null &
    while [ $((SECONDS - began)) -lt "$second" ]; do sleep 0.1; done
  done
  for batch in $(jobs -p); do [ "$batch" = "${proxy_id:-}" ] || wait_until 12 gone "$batch" || true; done
  cat "$folder"/batches/* | sum_up "$seconds"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# sum_up SECONDS: of lines `status seconds`, what ml-workload says at its end; false when nothing was answered.
sum_up() {
  sort -k2n | awk -v seconds="$1" '
    $1 ~ /^2/ { ms[++n] = $2 * 1000; next }
    { failed++ }
    function at(percent, rank) { rank = int((n * percent + 99) / 100); return ms[rank < 1 ? 1 : rank] }
    END {
      printf "in all, in %d s: %.1f answers/s, %d failed; latency p50 %.0f ms, p95 %.0f ms, p99 %.0f ms\n",
        seconds, n / seconds, failed, at(50), at(95), at(99)
      exit n == 0
    }'
}

from_here() {
  folder=$(mktemp -d)
  [ -n "$url" ] || proxy
  if command -v ml-workload >/dev/null; then
    attended ml-workload load "$url" --rate "$rate" --minutes "$minutes"
  else
    with_curl || die "no request was answered: is the server there, and the URL right?"
  fi
}

if [ "$from" = here ]; then from_here; else from_cluster; fi
