# shellcheck shell=bash
# Prometheus at http://$net.11:9090. Every second it reads $state/metrics/metrics, a text file that a test writes, and
# every five seconds the nodes' container metrics, simulated or real.

mkdir -p "$state/metrics" "$state/prometheus"
touch "$state/metrics/metrics"
render prometheus.yaml >"$state/prometheus.yaml"
start metrics-file podfit-files --address "$net.11:8000" --folder "$state/metrics"
start prometheus prometheus --config.file="$state/prometheus.yaml" --storage.tsdb.path="$state/prometheus" \
  --web.listen-address="$net.11:9090" --log.level=warn
wait_for 30 "Prometheus is ready" curl -sf "http://$net.11:9090/-/ready"
