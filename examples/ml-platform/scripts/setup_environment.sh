#!/usr/bin/env bash
# Brings everything that the walk-through needs to the cluster that kubectl points to, and then the samples. What is there
# already, however it came there, is left as it is, so it may be run again and again. Ends with a summary.
#
#   setup_environment.sh [--check] [--skip PART,...] [--samples DIR] [--image IMAGE] [--prometheus URL]
#                        [--podfit-values FILE] [--charts DIR] [--timeout TIME]
#
# Parts: metrics-server, prometheus, prometheus-adapter, keda, podfit, samples
#
# --check               install nothing: say what is there, what is missing, and how to get it
# --skip PART,...       leave these out
# --samples DIR         what is applied as samples: a folder with a kustomization (default: ../manifests with Prometheus Adapter,
#                       ../with-keda without)
# --image IMAGE         the samples' image (default localhost/podfit-ml-workload:0.1.0, which `make images` builds)
# --prometheus URL      a Prometheus that is there already, as seen by pods (default http://prometheus-server.monitoring.svc)
# --podfit-values FILE  values of podfit's chart; image.registry is what one usually has to set
# --charts DIR          charts from this folder (DIR/keda, DIR/prometheus, ...) in place of their authors' sites
# --timeout TIME        how long one part may take to start (default 5m)
set -euo pipefail
# shellcheck source=walk_through.sh
. "$(dirname "$0")/walk_through.sh"

parts=(metrics-server prometheus prometheus-adapter keda podfit samples)
image=localhost/podfit-ml-workload:0.1.0 default_prometheus=http://prometheus-server.monitoring.svc
check='' skip='' samples='' prometheus='' podfit_values='' charts='' timeout=5m
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) help ;;
    --check) check=yes && shift && continue ;;
    --skip | --samples | --image | --prometheus | --podfit-values | --charts | --timeout)
      [ $# -gt 1 ] || misused "$1 needs a value"
      ;;
    *) misused "there is no $1" ;;
  esac
  case $1 in
    --skip) skip=$2 ;;
    --samples) samples=$2 ;;
    --image) image=$2 ;;
    --prometheus) prometheus=$2 ;;
    --podfit-values) podfit_values=$2 ;;
    --charts) charts=$2 ;;
    --timeout) timeout=$2 ;;
  esac
  shift 2
done
for part in ${skip//,/ }; do
  [[ " ${parts[*]} " == *" $part "* ]] || misused "there is no part '$part'; there are: ${parts[*]}"
done

# found PART: is it there? Prints how it was recognised.
found() {
  case $1 in
    metrics-server) available v1beta1.metrics.k8s.io && echo "metrics.k8s.io answers" ;;
    prometheus)
      if [ -n "$prometheus" ]; then
        echo "$prometheus"
      else
        has service prometheus-server monitoring && echo "$default_prometheus"
      fi
      ;;
    prometheus-adapter) available v1beta1.custom.metrics.k8s.io && echo "custom.metrics.k8s.io answers" ;;
    keda) has crd scaledobjects.keda.sh && available v1beta1.external.metrics.k8s.io && echo "external.metrics.k8s.io answers" ;;
    podfit) podfit_runs ;;
    samples) has deployment fraud-detector-api "$namespace" && echo "in namespace $namespace" ;;
  esac
}

# podfit_runs: a lease of its own, such as the webhook's sign of life, was renewed in the last two minutes, however it runs.
podfit_runs() {
  local since lease
  has crd verticalpodautoscalers.autoscaling.k8s.io || return 1
  since=$(($(date +%s) - 120))
  # GNU's date, or BSD's.
  since=$(date -u -d "@$since" +%Y-%m-%dT%H:%M:%S 2>/dev/null || date -u -r "$since" +%Y-%m-%dT%H:%M:%S)
  lease=$(kubectl get leases --all-namespaces -o 'go-template={{range .items}}{{if .metadata.annotations}}{{if index .metadata.annotations "podfit.dev/holder"}}{{.metadata.namespace}}/{{.metadata.name}} {{.spec.renewTime}}
{{end}}{{end}}{{end}}' 2>/dev/null | awk -v since="$since" '$2 > since { print $1; exit }')
  [ -n "$lease" ] && echo "renews its lease $lease"
}

# chart NAME SITE: where Helm finds it.
chart() {
  if [ -n "$charts" ]; then
    [ -e "$charts/$1" ] || die "there is no chart $charts/$1"
    echo "$charts/$1"
  else
    echo "$1 --repo $2"
  fi
}

# release PART NAMESPACE CHART-AND-REPOSITORY [FLAG...]: installs a chart, or brings the release to these values.
release() {
  local name=$1 in=$2 from=$3
  shift 3
  need helm https://helm.sh/docs/intro/install/
  # shellcheck disable=SC2086  # the chart, and where from
  helm upgrade --install "$name" $from --namespace "$in" --create-namespace --wait --timeout "$timeout" "$@" >/dev/null ||
    die "$name could not be installed; what stands above is Helm's word. Installed by other means, or with --skip $name, this goes on"
}

# Prometheus' address in the two pieces that the adapter's chart wants.
without_port() { sed -E 's|^([a-z]+://[^/:]+)(:[0-9]+)?.*|\1|' <<<"$prometheus"; }
port() { sed -nE -e 's|^[a-z]+://[^/:]+:([0-9]+).*|\1|p' -e t -e 's|^https:.*|443|p' -e t -e 's|.*|80|p' <<<"$prometheus"; }

# install PART
install() {
  case $1 in
    metrics-server) release metrics-server kube-system "$(chart metrics-server https://kubernetes-sigs.github.io/metrics-server/)" ;;
    prometheus)
      release prometheus monitoring "$(chart prometheus https://prometheus-community.github.io/helm-charts)" \
        --values "$here/../helm/prometheus-values.yaml"
      ;;
    prometheus-adapter)
      release prometheus-adapter monitoring "$(chart prometheus-adapter https://prometheus-community.github.io/helm-charts)" \
        --values "$here/../helm/prometheus-adapter-values.yaml" ${prometheus:+--set "prometheus.url=$(without_port)" --set "prometheus.port=$(port)"}
      ;;
    keda) release keda keda "$(chart keda https://kedacore.github.io/charts)" ;;
    podfit) release podfit podfit "$here/../../../charts/podfit" ${podfit_values:+--values "$podfit_values"} ;;
    samples) apply_samples ;;
  esac
}

# apply_samples: the folder's manifests, with this cluster's image and Prometheus. A training run that was begun is not touched:
# a Job cannot be changed.
apply_samples() {
  local folder=$samples manifests
  if [ -z "$folder" ]; then
    folder=$here/../with-keda
    ! available v1beta1.custom.metrics.k8s.io || folder=$here/../manifests
  fi
  manifests=$(kubectl kustomize "$folder") || die "$folder has no kustomization that kubectl understands"
  printf '%s\n' "$manifests" |
    sed -e "s|localhost/podfit-ml-workload:0.1.0|$image|g" -e "s|$default_prometheus|${prometheus:-$default_prometheus}|g" |
    { if has job model-training "$namespace"; then without_jobs; else cat; fi; } |
    kubectl apply -f - >/dev/null || die "the samples could not be applied; what stands above is kubectl's word"
}

# without_jobs: leaves Jobs out of manifests.
without_jobs() {
  awk 'BEGIN { RS = "\n---\n" } !/(^|\n)kind: Job(\n|$)/ { print sep $0; sep = "---\n" }'
}

# how PART: to get it by other means.
how() {
  case $1 in
    metrics-server) echo "https://github.com/kubernetes-sigs/metrics-server" ;;
    prometheus) echo "any Prometheus that reads pods annotated prometheus.io/scrape; then --prometheus URL" ;;
    prometheus-adapter) echo "not needed with KEDA, which asks Prometheus itself" ;;
    keda) echo "https://keda.sh/docs/latest/deploy/" ;;
    podfit) echo "docs/install.md" ;;
    samples) echo "setup_environment.sh, without --check" ;;
  esac
}

# settle PART: sees to it that it is there, and notes what came of it.
settle() {
  local detail
  if [[ ",$skip," == *",$1,"* ]]; then
    note "$1" skipped "--skip"
  elif detail=$(found "$1") && [ "$1$check" != samples ]; then # those are applied anew, for they may have changed
    note "$1" present "$detail"
  elif [ -n "$check" ]; then
    note "$1" missing "$(how "$1")"
    # Adapter or KEDA: one of them is enough.
    [ "$1" = prometheus-adapter ] || missing=$((missing + 1))
  elif [ "$1" = prometheus-adapter ] && has crd scaledobjects.keda.sh && has scaledobject recommendation-scaler "$namespace"; then
    note "$1" "not needed" "KEDA's recommendation-scaler asks Prometheus"
  else
    echo "installing $1"
    install "$1"
    wait_until 120 found "$1" >/dev/null || die "$1 is installed, and does not answer; see: kubectl get pods --all-namespaces"
    note "$1" installed "$(found "$1")"
  fi
}

note() { summary+=$(printf '%-20s %-11s %s' "$1" "$2" "$3")$'\n'; }

need_cluster
summary='' missing=0
for part in "${parts[@]}"; do settle "$part"; done
printf '\n%-20s %-11s %s\n%s' part state detail "$summary"
if has namespace "$namespace"; then
  printf '\n'
  kubectl -n "$namespace" get deployments,jobs,hpa 2>/dev/null || true
fi
[ "$missing" = 0 ] || die "$missing parts are missing; without --check this script installs them"
