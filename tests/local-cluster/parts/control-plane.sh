# shellcheck shell=bash
# etcd, API server, controller-manager and scheduler, each on its own loopback address.
#
# Services work without kube-proxy: their addresses come from this cluster's /24 of 127/8, all of which is local on
# Linux, and API server and aggregator dial a Service's cluster IP. So a process that listens on a Service's address and
# port *is* that Service: an aggregated API, a webhook. 127.x.y.1:443 is the API server itself, hence in-cluster
# configuration works for host-network pods.

make_identities() {
  authority ca
  authority front-proxy-ca
  # One certificate for every server: all addresses of the network, all Service names of the namespaces used here.
  local names="IP:127.0.0.1,IP:$node_net.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc" i
  for i in $(seq 254); do names+=",IP:$net.$i"; done
  for i in default kube-system podfit keda; do names+=",DNS:*.$i.svc,DNS:*.$i.svc.cluster.local"; done
  certificate serving ca /CN=serving "$names"
  certificate front-proxy front-proxy-ca /CN=front-proxy
  certificate kubelet-client ca /O=system:masters/CN=kube-apiserver
  client admin /O=system:masters/CN=admin
  client controller-manager /CN=system:kube-controller-manager
  client scheduler /CN=system:kube-scheduler
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/service-accounts.key"
  openssl ec -in "$pki/service-accounts.key" -pubout -out "$pki/service-accounts.pub" 2>/dev/null
}

[ -e "$pki/service-accounts.pub" ] || make_identities
tls=(--tls-cert-file="$pki/serving.crt" --tls-private-key-file="$pki/serving.key")

start etcd etcd --data-dir="$state/etcd" --unsafe-no-fsync --log-level=warn \
  --listen-client-urls="http://$net.2:2379" --advertise-client-urls="http://$net.2:2379" \
  --listen-peer-urls="http://$net.2:2380" --initial-advertise-peer-urls="http://$net.2:2380" \
  --initial-cluster="default=http://$net.2:2380"

# --endpoint-reconciler-type=none: otherwise it tries for ever to write a loopback address into an EndpointSlice.
start kube-apiserver kube-apiserver --etcd-servers="http://$net.2:2379" \
  --bind-address="$net.1" --secure-port=443 --advertise-address="$net.1" --endpoint-reconciler-type=none \
  --service-cluster-ip-range="$net.0/24" --cert-dir="$state/apiserver" "${tls[@]}" --client-ca-file="$pki/ca.crt" \
  --audit-policy-file="$root/manifests/audit-policy.yaml" --audit-log-path="$state/audit.log" \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
  --service-account-issuer=https://kubernetes.default.svc \
  --service-account-key-file="$pki/service-accounts.pub" --service-account-signing-key-file="$pki/service-accounts.key" \
  --requestheader-client-ca-file="$pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy \
  --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
  --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key" "${flags[@]}" \
  --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
  --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP
wait_for 60 "API server is ready" kubectl get --raw /readyz

# Only now: started earlier, both meet missing RBAC roles and back off for seconds. The HPA's times are test times.
start kube-controller-manager kube-controller-manager --kubeconfig="$state/controller-manager.kubeconfig" \
  --bind-address="$net.3" "${tls[@]}" --leader-elect=false --use-service-account-credentials=true \
  --kube-api-qps=500 --kube-api-burst=1000 \
  --root-ca-file="$pki/ca.crt" --service-account-private-key-file="$pki/service-accounts.key" \
  --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
  --horizontal-pod-autoscaler-sync-period=5s --horizontal-pod-autoscaler-downscale-stabilization=10s \
  --horizontal-pod-autoscaler-cpu-initialization-period=10s --horizontal-pod-autoscaler-initial-readiness-delay=1s "${flags[@]}"
start kube-scheduler kube-scheduler --kubeconfig="$state/scheduler.kubeconfig" --bind-address="$net.4" "${tls[@]}" --leader-elect=false "${flags[@]}"
wait_for 30 "controllers work" kubectl -n default get serviceaccount default
