# shellcheck shell=bash
# KEDA's operator, metrics adapter and webhooks, by KEDA's own manifests: the API server gives their Services addresses,
# and processes listen there. KWOK must be up: it plays the Deployments' pods, so that the Services have endpoints.

need /usr/share/zoneinfo/America/New_York tzdata # of cron triggers
[ -e "$state/pids/kwok" ] || die "keda needs kwok: --with kwok,...,keda"
# Server-side: the ScaledJob definition is too big for kubectl's annotation.
quietly kubectl apply --server-side -k "$sources/keda-operator/default"
bundle=$(base64 -w0 "$pki/ca.crt")
quietly kubectl patch apiservice v1beta1.external.metrics.k8s.io -p "{\"spec\":{\"caBundle\":\"$bundle\"}}"
kubectl get validatingwebhookconfiguration keda-admission -o json |
  jq --arg bundle "$bundle" '.webhooks[].clientConfig.caBundle = $bundle' |
  quietly kubectl apply --server-side --force-conflicts -f -

address() { kubectl -n keda get service "$1" -o jsonpath='{.spec.clusterIP}'; }
operator=$(address keda-operator) adapter=$(address keda-metrics-apiserver) webhooks=$(address keda-admission-webhooks)
service_account keda keda-operator
mkdir -p "$state/keda"
cp "$pki/ca.crt" "$state/keda/ca.crt"
cp "$pki/serving.crt" "$state/keda/tls.crt"
cp "$pki/serving.key" "$state/keda/tls.key"
keda_kubeconfig=$state/keda-operator.kubeconfig
keda=(env KUBECONFIG="$keda_kubeconfig" POD_NAMESPACE=keda KEDA_CLUSTER_OBJECT_NAMESPACE=keda WATCH_NAMESPACE=)
start keda-operator "${keda[@]}" keda-operator --cert-dir="$state/keda" --enable-cert-rotation=false --zap-log-level=info \
  --metrics-bind-address="$operator:8080" --health-probe-bind-address="$operator:8081" --metrics-service-bind-address="$operator:9666"
start keda-webhooks "${keda[@]}" LISTEN_HOST="$webhooks" keda-webhooks --cert-dir="$state/keda" --port=443 \
  --metrics-bind-address="$webhooks:8080" --health-probe-bind-address="$webhooks:8081"
start keda-adapter "${keda[@]}" LISTEN_HOST="$adapter" keda-adapter --bind-address="$adapter" --secure-port=443 --port=8080 \
  --metrics-service-address="$operator:9666" --cert-dir="$state/keda" --client-ca-file="$pki/ca.crt" \
  --tls-cert-file="$pki/serving.crt" --tls-private-key-file="$pki/serving.key" --lister-kubeconfig="$keda_kubeconfig" \
  --authentication-kubeconfig="$keda_kubeconfig" --authorization-kubeconfig="$keda_kubeconfig"
wait_for 60 "external.metrics.k8s.io is available" kubectl wait --for=condition=Available --timeout=1s apiservice/v1beta1.external.metrics.k8s.io
