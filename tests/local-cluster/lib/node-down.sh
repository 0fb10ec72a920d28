# shellcheck shell=bash
# Undoes parts/node.sh (sourced by `down`): pods, kubelet, containerd and its shims, mounts, cgroups, bridge, kernel
# settings, and folders that kubelet and containerd make outside the state folder.

node=$state/node
node_ctr() { ctr --address "$node/containerd.sock" --namespace k8s.io "$@" 2>/dev/null; }

stop kubelet
# In parallel: each kill waits for the container's end.
node_ctr tasks ls -q | xargs -r -P 8 -I{} "$bin/ctr" --address "$node/containerd.sock" --namespace k8s.io tasks rm -f {} >/dev/null 2>&1 || true
# A shim is ours when it was told our socket.
for process in /proc/[0-9]*; do
  mapfile -d '' -t words <"$process/cmdline" || continue
  [[ "${words[0]:-}" == *containerd-shim-runc-v2 && " ${words[*]} " == *" $node/containerd.sock "* ]] || continue
  kill "${process#/proc/}" 2>/dev/null || true
done 2>/dev/null
stop containerd

awk -v folder="$node/" 'index($2, folder) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do
  umount "$mount" 2>/dev/null || umount -l "$mount" || true
done
for group in /sys/fs/cgroup/kubepods /sys/fs/cgroup/*/kubepods; do
  [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
done
if [ -e "$node/sysctl" ]; then sysctl -q -p "$node/sysctl" || true; fi
ip link delete podfit0 2>/dev/null || true
for folder in /var/log/containers /var/lib/cni /run/containerd; do
  grep -qxF "$folder" "$node/before" 2>/dev/null || rm -rf "$folder"
done
rm -rf "$node"
rm -f "$node_holder"
