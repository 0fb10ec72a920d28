# shellcheck shell=bash
# One cluster: its name, its loopback network and its folder. A network is a /24 inside 127/8, written without the last
# number (127.66.0): the API server is .1, etcd .2, controller-manager .3, scheduler .4, KWOK .5, metrics-server .10,
# Prometheus .11; .12 is free for podfit's webhook, .13 for another; Services get the rest.

# shellcheck source=lib/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=lib/process.sh
. "$root/lib/process.sh"
# shellcheck source=lib/identity.sh
. "$root/lib/identity.sh"

# shellcheck disable=SC2034  # used by the scripts that source this file
node_name=podfit-node
node_net=198.51.100               # a range for documentation (RFC 5737): on nobody's network
node_holder=/run/podfit-node      # a link to the state of the cluster that has this machine's real node

# use_cluster NAME: sets cluster, state, pki, KUBECONFIG, and net when the cluster exists.
use_cluster() {
  [[ $1 =~ ^[a-z0-9][a-z0-9-]{0,29}$ ]] || die "a cluster's name is up to 30 small letters, digits and dashes, not '$1'"
  cluster=$1
  state=$PODFIT_STATE/podfit-$cluster
  pki=$state/pki
  net=$(cat "$state/net" 2>/dev/null || true)
  export KUBECONFIG=$state/admin.kubeconfig KUBECACHEDIR=$state/kubectl-cache
}

# existing_cluster NAME: use_cluster, or an error when it was not started.
existing_cluster() {
  use_cluster "$1"
  [ -n "$net" ] || die "there is no cluster '$1' (no $state/net); start it with: tests/local-cluster/up --name $1"
}

# claim_network [NET]: takes the network for this cluster, or the first free one of 127.66.0 to 127.126.0.
claim_network() {
  exec 9>"$PODFIT_CACHE/networks.lock"
  flock 9
  local taken candidate
  # Also what other programs listen on, whoever they are.
  taken=" $({ cat "$PODFIT_STATE"/podfit-*/net 2>/dev/null || true; ss -Hltn | awk '{ sub(/\.[0-9]+:[0-9]+$/, "", $4); print $4 }'; } | tr '\n' ' ') "
  for candidate in ${1:-$(seq -f '127.%g.0' 66 126)}; do
    [[ $candidate =~ ^127\.[0-9]{1,3}\.[0-9]{1,3}$ ]] || die "a network is a /24 inside 127/8 such as 127.66.0, not '$candidate'"
    [[ $taken == *" $candidate "* ]] && continue
    mkdir -p "$state/pids" "$state/log" "$pki"
    echo "$candidate" >"$state/net"
    net=$candidate
    exec 9>&-
    return
  done
  die "network ${1:-127.66.0 to 127.126.0} is in use; clusters: $(grep -l . "$PODFIT_STATE"/podfit-*/net 2>/dev/null | xargs -r -n1 dirname | tr '\n' ' ')"
}

# render FILE: a manifest of ours with this cluster's values put in.
render() {
  sed -e "s/{{net}}/$net/g" -e "s/{{node_net}}/$node_net/g" -e "s|{{state}}|$state|g" "$root/manifests/$1"
}

# quietly COMMAND...: shows the command's output only when it fails.
quietly() {
  local out
  out=$("$@" 2>&1) || {
    printf '%s\n' "$out" >&2
    return 1
  }
}
