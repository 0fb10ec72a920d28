# shellcheck shell=bash
# Who is who in a cluster: certificate authorities, certificates and kubeconfigs. Keys are P-256: all of them take 0.3 s.
# A program either has a client certificate (kubelet, scheduler, ...) or the token of its own service account, so that
# every program runs with exactly the rights its manifests give it.

# authority NAME: a certificate authority in $pki/NAME.{crt,key}.
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=$1" \
    -keyout "$pki/$1.key" -out "$pki/$1.crt" 2>/dev/null
}

# certificate NAME AUTHORITY SUBJECT [SUBJECT-ALT-NAMES]: $pki/NAME.{crt,key}, for servers and clients.
certificate() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$3" \
    -keyout "$pki/$1.key" -out "$pki/$1.csr" 2>/dev/null
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/$2.crt" -CAkey "$pki/$2.key" -CAcreateserial -days 365 -out "$pki/$1.crt" \
    -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\n%s\n' "${4:+subjectAltName=$4}") 2>/dev/null
}

# kubeconfig FILE USER-FIELDS: a kubeconfig for this cluster's API server.
kubeconfig() {
  cat >"$1" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: podfit-$cluster, cluster: {server: "https://$net.1", certificate-authority: $pki/ca.crt}}]
users: [{name: user, user: {$2}}]
contexts: [{name: podfit-$cluster, context: {cluster: podfit-$cluster, user: user}}]
current-context: podfit-$cluster
YAML
}

# client NAME SUBJECT: a kubeconfig $state/NAME.kubeconfig with a client certificate.
client() {
  certificate "$1" ca "$2"
  kubeconfig "$state/$1.kubeconfig" "client-certificate: $pki/$1.crt, client-key: $pki/$1.key"
}

# service_account NAMESPACE NAME: a kubeconfig $state/NAME.kubeconfig with a day's token of that service account.
service_account() {
  kubeconfig "$state/$2.kubeconfig" "token: $(kubectl -n "$1" create token "$2" --duration=24h)"
}
