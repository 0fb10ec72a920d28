# shellcheck shell=bash
# Upstream's VPA recommender on .13, with its own CRDs and rights, for comparing behaviour and for tests that read what it
# wrote and the other way round. Programs of upstream's that change pods are not here. `stop` and `start` it in a test by
# the process id in $state/pids/vpa-recommender.

quietly kubectl apply --server-side --force-conflicts -f "$sources/vpa-recommender/vpa-v1-crd-gen.yaml"
wait_for 30 "upstream's kinds are served" kubectl wait --for=condition=Established --timeout=1s crd/verticalpodautoscalers.autoscaling.k8s.io
quietly kubectl apply -f "$sources/vpa-recommender/vpa-rbac.yaml"
service_account kube-system vpa-recommender
start vpa-recommender env NAMESPACE=kube-system vpa-recommender --kubeconfig="$state/vpa-recommender.kubeconfig" \
  --address="$net.13:8942" --recommender-interval=5s --v=4
wait_for 30 "upstream's recommender runs" curl -sf "http://$net.13:8942/health-check"
