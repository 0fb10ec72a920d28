# shellcheck shell=bash
# KWOK: two simulated nodes of 32 CPUs and 256 GiB, whose pods run at once and use what a test says. Nodes carry the label
# podfit.dev/node=simulated. A test sets usage by annotations on a pod, per container or for all of them:
#
#   kubectl annotate pod P --overwrite usage.podfit.dev/cpu.CONTAINER=900m usage.podfit.dev/memory=400Mi
#
# or by a ResourceUsage object named like the pod. In-place resizes apply at once; an OOM kill is a patch of the pod's status.

kwok_files=$sources/kwok
quietly kubectl apply --server-side -f "$kwok_files/crd/bases"
# Asked again and again, as kubectl takes a CRD without any condition yet for an error.
wait_for 30 "KWOK's kinds are served" kubectl wait --for=condition=Established --timeout=1s crd/stages.kwok.x-k8s.io crd/metrics.kwok.x-k8s.io \
  crd/clusterresourceusages.kwok.x-k8s.io crd/resourceusages.kwok.x-k8s.io
quietly kubectl apply -n kube-system -k "$kwok_files/rbac"
# With the Stage CRD the built-in stages are off, so all that are needed are applied.
quietly kubectl apply -f "$kwok_files/metrics/resource/metrics-resource.yaml" \
  -f "$kwok_files/stage/node/fast/node-initialize.yaml" \
  -f "$kwok_files/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml" \
  -f "$kwok_files/stage/pod/fast/pod-ready.yaml" -f "$kwok_files/stage/pod/fast/pod-complete.yaml" \
  -f "$kwok_files/stage/pod/fast/pod-delete.yaml" \
  -f "$root/manifests/simulated-resize.yaml" -f "$root/manifests/simulated-usage.yaml"
service_account kube-system kwok-controller
# Without leases nodes go NotReady after 50 s, and their pods lose the Ready condition for good.
start kwok kwok --kubeconfig="$state/kwok-controller.kubeconfig" --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake \
  --node-ip="$net.5" --node-port=10247 --server-address="$net.5:10247" --cidr=10.0.0.1/24 --node-lease-duration-seconds=40 \
  --tls-cert-file="$pki/serving.crt" --tls-private-key-file="$pki/serving.key" \
  --enable-crds=Stage,Metric,ResourceUsage,ClusterResourceUsage,Logs,ClusterLogs
for simulated in simulated-0 simulated-1; do
  render simulated-node.yaml | sed "s/{{name}}/$simulated/" | quietly kubectl apply -f -
done
wait_for 30 "simulated nodes are ready" kubectl wait --for=condition=Ready --timeout=1s node -l podfit.dev/node=simulated
