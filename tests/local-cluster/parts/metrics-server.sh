# shellcheck shell=bash
# metrics-server (metrics.k8s.io) on .10, reading the simulated nodes and the real one every 10 s, its shortest interval.
# A new pod has its first values after 25 to 35 s.

quietly kubectl apply -f "$sources/metrics-server/rbac.yaml" -f "$sources/metrics-server/apiservice.yaml"
render metrics-server-service.yaml | quietly kubectl apply -f -
service_account kube-system metrics-server
start metrics-server metrics-server --kubeconfig="$state/metrics-server.kubeconfig" \
  --authentication-kubeconfig="$state/metrics-server.kubeconfig" --authorization-kubeconfig="$state/metrics-server.kubeconfig" \
  --bind-address="$net.10" --secure-port=443 --tls-cert-file="$pki/serving.crt" --tls-private-key-file="$pki/serving.key" \
  --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
  --kubelet-use-node-status-port --metric-resolution=10s --kubelet-request-timeout=5s
wait_for 60 "metrics.k8s.io is available" kubectl wait --for=condition=Available --timeout=1s apiservice/v1beta1.metrics.k8s.io
