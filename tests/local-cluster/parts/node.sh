# shellcheck shell=bash
# A real node on this machine: kubelet, containerd and runc, with Debian's CNI plugins and a bridge podfit0. Its name is
# podfit-node; it carries the label podfit.dev/node=real and the taint podfit.dev/real-node:NoSchedule, so only pods that
# ask for it come here:
#
#   nodeSelector: {podfit.dev/node: real}
#   tolerations: [{key: podfit.dev/real-node}]
#
# Its images are localhost/podfit-workload:1 and what `load-images` brings. Host-network pods reach the API server and
# Services; pods on the bridge do not (127/8 is their own loopback). A machine has one such node: cgroup and bridge have
# fixed names. Works with cgroup v1 and v2.

node=$state/node
need /usr/lib/cni/bridge containernetworking-plugins sysctl procps

claim_node() {
  local holder
  until ln -sT "$state" "$node_holder" 2>/dev/null; do
    holder=$(readlink "$node_holder") || die "$node_holder is in the way"
    [ "$holder" != "$state" ] || return 0
    [ ! -d "$holder" ] || die "cluster '${holder##*/podfit-}' has this machine's real node; end it first: tests/local-cluster/down --name ${holder##*/podfit-}"
    rm -f "$node_holder" # its cluster is gone
  done
}

make_bridge() {
  ip link show podfit0 >/dev/null 2>&1 || ip link add podfit0 type bridge
  ip address replace "$node_net.1/24" dev podfit0
  ip link set podfit0 up
}

# containerd_ctr ARGUMENTS...: ctr for the kubelet's images and containers.
containerd_ctr() { ctr --address "$node/containerd.sock" --namespace k8s.io "$@"; }

start_containerd() {
  mkdir -p "$node/cni"
  render cni.json >"$node/cni/10-podfit.conflist"
  render containerd.toml | sed "s|{{runc}}|$bin/runc|" >"$node/containerd.toml"
  start containerd containerd --config "$node/containerd.toml"
  wait_for 30 "containerd answers" containerd_ctr version
  "$root/build" image
  podfit-image --program "$bin/podfit-workload" --name localhost/podfit-workload:1 --output "$node/workload.tar"
  quietly containerd_ctr images import --local "$node/workload.tar"
}

start_kubelet() {
  [ -e "$state/kubelet.kubeconfig" ] || client kubelet "/O=system:nodes/CN=system:node:$node_name"
  # The kubelet sets these; lib/node-down.sh puts them back.
  [ -e "$node/sysctl" ] || sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops >"$node/sysctl"
  [ -e "$node/before" ] || ls -d /var/log/containers /var/lib/cni /run/containerd >"$node/before" 2>/dev/null || true
  render kubelet.yaml >"$node/kubelet.yaml"
  start kubelet kubelet --config="$node/kubelet.yaml" --kubeconfig="$state/kubelet.kubeconfig" \
    --hostname-override="$node_name" --node-ip="$node_net.1" --node-labels=podfit.dev/node=real \
    --root-dir="$node/kubelet" --cert-dir="$node/kubelet/pki" --v=2
  wait_for 60 "the real node is ready" kubectl wait --for=condition=Ready --timeout=1s "node/$node_name"
}

claim_node
make_bridge
start_containerd
start_kubelet
