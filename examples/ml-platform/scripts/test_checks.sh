# shellcheck shell=bash
# The checks of test_autoscaling.sh, which sources this and runs each in a shell of its own. A check prints what it saw, and ends
# with 0, with 1, or with 2 when it does not apply.
# shellcheck disable=SC2154,SC2317  # variables are test_autoscaling.sh's; functions are called by name

# field KIND NAME JSONPATH: of an object in the namespace; empty when it is not there.
field() { kubectl -n "$namespace" get "$1" "$2" -o "jsonpath=$3" 2>/dev/null || true; }

# A number that is 0 is left out of a status.
replicas() { field deployment "$1" '{.status.readyReplicas}' | awk 'NF { n = $1 } END { print n + 0 }'; }
wished() { field deployment "$1" '{.spec.replicas}' | awk 'NF { n = $1 } END { print NR ? n : "unknown" }'; }

at_least() { [ "$(replicas "$1")" -ge "$2" ]; }
at_most() { [[ $(wished "$1") =~ ^[0-9]+$ ]] && [ "${BASH_REMATCH[0]}" -le "$2" ]; }

# skip TEXT: why a check does not apply. Ends it.
skip() {
  echo "$*"
  exit 2
}

# fail TEXT: what was seen instead. Ends the check.
fail() {
  echo "$*"
  exit 1
}

# load SERVICE RATE PATH: in the background, until stop_load or the check's end.
load() {
  trap stop_load EXIT
  "$here/load_generator.sh" "$1" "$2" 60 --path "$3" --from "$load_from" >/dev/null 2>&1 &
  load_id=$!
}

stop_load() {
  # The Job, too: the generator's own trap removes it.
  kill "$load_id" 2>/dev/null || true
  wait "$load_id" 2>/dev/null || true
}

check_prerequisites() {
  local missing='' name
  available v1beta1.metrics.k8s.io || missing+=' metrics.k8s.io (metrics-server)'
  has crd verticalpodautoscalers.autoscaling.k8s.io || missing+=' VerticalPodAutoscaler (podfit)'
  has crd scaledobjects.keda.sh || missing+=' ScaledObject (KEDA)'
  available v1beta1.external.metrics.k8s.io || missing+=' external.metrics.k8s.io (KEDA)'
  for name in fraud-detector-api recommendation-api inference-queue; do
    # One that was just applied takes a moment; one that is not there does not come.
    { [ "$(wished "$name")" != unknown ] && wait_until "$patience" at_least "$name" 1; } || missing+=" a running pod of $name"
  done
  [ -z "$missing" ] || fail "missing:$missing; setup_environment.sh --check tells more"
  echo "metrics, VPA and KEDA answer, the samples run"
}

# values_of HPA: how many of its metrics have a value, of how many.
values_of() {
  local have want
  have=$(field hpa "$1" '{range .status.currentMetrics[*]}{.type}{"\n"}{end}' | grep -c . || true)
  want=$(field hpa "$1" '{range .spec.metrics[*]}{.type}{"\n"}{end}' | grep -c . || true)
  echo "$have of $want"
}

all_values() {
  local values
  values=$(values_of "$1")
  [ "${values% of *}" = "${values#* of }" ] && [ "${values#* of }" != 0 ]
}

# up_and_down HPA DEPLOYMENT RATE PATH: more pods under load, and none too many after it.
up_and_down() {
  local least most
  least=$(field hpa "$1" '{.spec.minReplicas}')
  [ -n "$least" ] || fail "there is no HPA $1"
  wait_until "$patience" all_values "$1" || fail "$(values_of "$1") metrics have a value; kubectl -n $namespace describe hpa $1"
  load "$2" "$3" "$4"
  wait_until "$patience" at_least "$2" $((least + 1)) ||
    fail "still $(replicas "$2") pods under $3 requests/s; kubectl -n $namespace describe hpa $1"
  # One sync more: where it goes to.
  sleep 20
  most=$(wished "$2")
  stop_load
  [ -z "$quick" ] || { echo "$least -> $most pods at $3 requests/s; the way down was not waited for" && return; }
  wait_until "$patience" at_most "$2" "$least" || fail "$least -> $most pods, and $(wished "$2") long after the load"
  echo "$least -> $most -> $least pods at $3 requests/s"
}

check_hpa_cpu() { up_and_down fraud-detector-hpa fraud-detector-api 30 '/infer?cpu_ms=20'; }

# 400 ms of waiting are twice the latency that is the target, and next to no CPU.
check_hpa_custom_metrics() {
  if ! available v1beta1.custom.metrics.k8s.io && ! has scaledobject recommendation-scaler "$namespace"; then
    skip "neither Prometheus Adapter nor recommendation-scaler is there"
  fi
  up_and_down recommendation-hpa recommendation-api 20 '/infer?cpu_ms=1&hold_ms=400'
}

# recommended VPA: its containers with target and bounds, `name cpu memory lower-cpu lower-memory upper-cpu upper-memory`.
recommended() {
  field vpa "$1" '{range .status.recommendation.containerRecommendations[*]}{.containerName} {.target.cpu} {.target.memory} {.lowerBound.cpu} {.lowerBound.memory} {.upperBound.cpu} {.upperBound.memory}{"\n"}{end}'
}
has_recommendation() { [ -n "$(recommended "$1")" ]; }

check_vpa_recommendations() {
  local vpa count=0 without=''
  for vpa in $(kubectl -n "$namespace" get vpa -o 'jsonpath={.items[*].metadata.name}'); do
    # What runs no pod may have had none yet to measure.
    if [ "$vpa" = batch-inference-vpa ] && [ "$(replicas batch-inference)" = 0 ]; then continue; fi
    if wait_until "$patience" has_recommendation "$vpa"; then count=$((count + 1)); else without+=" $vpa"; fi
  done
  [ -z "$without" ] || fail "no recommendation:$without; kubectl -n $namespace describe vpa$without"
  [ "$count" -gt 0 ] || fail "there is no VPA"
  echo "$count VPAs have one; vpa-mode-off: $(recommended vpa-mode-off | awk '{ print $2, "CPU,", $3, "memory" }')"
}

# pods APP: its pods, `name cpu memory restarts sized-at-admission`.
pods() {
  kubectl -n "$namespace" get pods -l "app=$1" --field-selector status.phase=Running -o 'go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}}{{with index .spec.containers 0}} {{.resources.requests.cpu}} {{.resources.requests.memory}}{{end}}{{with .status.containerStatuses}}{{with index . 0}} {{.restartCount}}{{end}}{{end}}{{with .metadata.annotations}}{{with index . "vpaUpdates"}} sized{{end}}{{end}}
{{end}}{{end}}'
}

# fitting APP: how many of its pods have requests within the bounds of the VPA of the same name, of how many.
fitting() {
  { recommended "$1" && echo pods && pods "$1"; } | awk '
    function number(text, unit) {
      unit = text; sub(/^[0-9.]+/, "", unit)
      return text * (unit == "m" ? 0.001 : unit == "k" ? 1e3 : unit == "Ki" ? 1024 : unit == "M" ? 1e6 : unit == "Mi" ? 1048576 : unit == "Gi" ? 1073741824 : 1)
    }
    $1 == "pods" { of_pods = 1; next }
    !of_pods { for (i = 4; i <= 7; i++) bound[i] = number($i); known = 1; next }
    NF { all++; cpu = number($2); memory = number($3)
      if (known && cpu >= bound[4] && memory >= bound[5] && cpu <= bound[6] && memory <= bound[7]) good++ }
    END { print good + 0, "of", all + 0 }'
}
# all_fit APP: does every pod that its Deployment wants run, with the recommended size?
all_fit() {
  local all
  all=$(wished "$1")
  [ "$all" != 0 ] && [ "$(fitting "$1")" = "$all of $all" ]
}

check_vpa_mode_off() {
  local cpu other
  wait_until "$patience" has_recommendation vpa-mode-off || fail "no recommendation"
  cpu=$(field deployment vpa-mode-off '{.spec.template.spec.containers[0].resources.requests.cpu}')
  other=$(pods vpa-mode-off | awk -v cpu="$cpu" '$2 != cpu { print $1, $2 }')
  [ -z "$other" ] || fail "changed all the same: $other"
  echo "recommended, and its pods still request $cpu CPU"
}

check_vpa_mode_initial() {
  local victim kept before new
  wait_until "$patience" has_recommendation vpa-mode-initial || fail "no recommendation"
  kept=$(pods vpa-mode-initial | sed -n 2p)
  victim=$(pods vpa-mode-initial | sed -n 1p)
  victim=${victim%% *} before=$(pods vpa-mode-initial | awk '{ print $1 }')
  kubectl -n "$namespace" delete pod "$victim" --wait=false >/dev/null
  # newcomer: the pod that was not there before, once it runs.
  newcomer() { pods vpa-mode-initial | grep -vF "$before" | grep .; }
  wait_until "$patience" newcomer >/dev/null || fail "$victim was not replaced"
  new=$(newcomer)
  [[ $new == *sized ]] || fail "the new pod was not sized: $new"
  [ -z "$kept" ] || [ "$(pods vpa-mode-initial | grep -F "${kept%% *}")" = "$kept" ] || fail "a running pod was changed: $kept"
  echo "the new pod requests $(awk '{ print $2, "CPU,", $3 }' <<<"$new"), the other one still $(awk '{ print $2, "CPU,", $3 }' <<<"$kept")"
}

# evicting MODE: all pods have the recommended size, as new pods.
evicting() {
  wait_until "$patience" all_fit "vpa-mode-$1" || fail "$(fitting "vpa-mode-$1") pods have the recommended size; kubectl podfit explain deployment/vpa-mode-$1 -n $namespace"
  [ "$(pods "vpa-mode-$1" | grep -c 'sized$')" -ge 1 ] || fail "no pod was made anew"
  echo "$(fitting "vpa-mode-$1") pods have the recommended size, made anew"
}

check_vpa_mode_recreate() { evicting recreate; }
check_vpa_mode_auto() { evicting auto; }

check_vpa_mode_in_place() {
  wait_until "$patience" all_fit vpa-mode-in-place || fail "$(fitting vpa-mode-in-place) pods have the recommended size; kubectl podfit explain deployment/vpa-mode-in-place -n $namespace"
  local live
  live=$(pods vpa-mode-in-place | awk '$4 == 0 && $5 == "" { n++ } END { print n + 0 }')
  echo "$(fitting vpa-mode-in-place) pods have the recommended size, $live of them without having been made anew or restarted"
}

# beside_vpa: what fraud-detector-vpa says of autoscalers beside it.
beside_vpa() { field vpa fraud-detector-vpa '{.status.conditions[?(@.type=="HorizontalAutoscaler")].message}'; }
names_hpa() { [[ $(beside_vpa) == *fraud-detector-hpa* ]]; }

check_vpa_beside_hpa() {
  local said cpu other
  has vpa fraud-detector-vpa "$namespace" || skip "there is no fraud-detector-vpa"
  wait_until "$patience" names_hpa || fail "no condition HorizontalAutoscaler that names fraud-detector-hpa: $(beside_vpa)"
  said=$(beside_vpa)
  cpu=$(field deployment fraud-detector-api '{.spec.template.spec.containers[0].resources.requests.cpu}')
  other=$(pods fraud-detector | awk -v cpu="$cpu" '$2 != cpu { print $1, $2 }')
  [ -z "$other" ] || fail "CPU was changed, which the HPA scales on: $other"
  echo "$said"
}

set_queue() {
  kubectl create --raw "/api/v1/namespaces/$namespace/services/inference-queue:http/proxy/queue?length=$1" -f /dev/null >/dev/null
}
# busy: keeps a hundred items waiting, and looks whether there is a worker for each ten.
busy() { set_queue 100 && ! at_most batch-inference 9; }

check_keda_to_zero_and_back() {
  local none
  has scaledobject batch-inference-scaler "$namespace" || skip "there is no batch-inference-scaler"
  # It may just have been applied.
  wait_until "$patience" set_queue 0 || fail "the queue does not answer; kubectl -n $namespace logs deployment/inference-queue"
  none=$(wished batch-inference)
  wait_until "$patience" busy || fail "$(wished batch-inference) workers for 100 items; kubectl -n $namespace describe scaledobject batch-inference-scaler"
  set_queue 0
  [ -z "$quick" ] || { echo "$none -> $(wished batch-inference) workers for 100 items; the way to zero was not waited for" && return; }
  wait_until "$patience" at_most batch-inference 0 || fail "$(wished batch-inference) workers for an empty queue"
  echo "$none -> 10 workers for 100 items -> 0"
}

# office_hours TIMEZONE: is it Monday to Friday, nine to eighteen, there?
office_hours() {
  local day hour
  read -r day hour < <(TZ=$1 date '+%u %H')
  [ "$day" -le 5 ] && [ "$((10#$hour))" -ge 9 ] && [ "$((10#$hour))" -lt 18 ]
}

check_keda_cron() {
  local want=0 zone start end
  has scaledobject scheduled-training-scaler "$namespace" || skip "there is no scheduled-training-scaler"
  zone=$(field scaledobject scheduled-training-scaler '{.spec.triggers[0].metadata.timezone}')
  start=$(field scaledobject scheduled-training-scaler '{.spec.triggers[0].metadata.start}')
  end=$(field scaledobject scheduled-training-scaler '{.spec.triggers[0].metadata.end}')
  [ "$start / $end" = '0 9 * * 1-5 / 0 18 * * 1-5' ] || skip "its hours were changed: $start to $end"
  ! office_hours "$zone" || want=3
  as_wanted() { [ "$(wished scheduled-training)" = "$want" ]; }
  wait_until "$patience" as_wanted || fail "$(wished scheduled-training) pods, not $want, at $(TZ=$zone date '+%a %H:%M') in $zone"
  echo "$want pods at $(TZ=$zone date '+%a %H:%M') in $zone"
}

# refused POD: would an eviction be refused for its budget? It is asked for as a dry run.
refused() {
  local eviction said
  eviction='{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "'$1'"}, "deleteOptions": {"dryRun": ["All"]}}'
  ! said=$(kubectl create --raw "/api/v1/namespaces/$namespace/pods/$1/eviction" -f - <<<"$eviction" 2>&1) &&
    [[ $said == *"disruption budget"* ]]
}

check_pdb_protection() {
  local pod budget=test-budget-of-zero
  has pdb fraud-detector-pdb "$namespace" || fail "there is no fraud-detector-pdb"
  trap 'kubectl -n "$namespace" delete pdb test-budget-of-zero --ignore-not-found >/dev/null' EXIT
  pod=$(pods vpa-mode-off | sed -n '1s/ .*//p')
  [ -n "$pod" ] || fail "vpa-mode-off has no pods"
  kubectl -n "$namespace" create poddisruptionbudget $budget --selector=app=vpa-mode-off --min-available=100% >/dev/null
  wait_until 60 refused "$pod" || fail "an eviction of $pod would pass, against a budget of zero"
  echo "an eviction against a budget of zero is refused; fraud-detector-pdb lets $(field pdb fraud-detector-pdb '{.status.disruptionsAllowed} of {.status.currentHealthy}') pods go"
}

check_resource_efficiency() {
  local report
  report=$("$here/cost_report.sh") || fail "$(tail -n 1 <<<"$report")"
  printf '%s; %s\n' "$(grep '^used of' <<<"$report")" "$(grep '^with what' <<<"$report")"
}
