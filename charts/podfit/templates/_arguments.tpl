{{/* The flags of each program, one a line. Flags of values come last, so that they win. What the API server is told of the
webhook stands in webhook-configuration.yaml alone: the webhook leaves an object of Helm as it is, but for the CA. */}}

{{- define "podfit.arguments" -}}
{{- $component := index .root.Values .name -}}
- --address={{ $component.metricsAddress }}
- --profile={{ .root.Values.profile }}
- --v={{ .root.Values.verbosity }}
- --log-format={{ .root.Values.logFormat }}
{{- if .root.Values.shadow }}
- --shadow=true
{{- end }}
{{- with .root.Values.vpaObjectNamespace }}
- --vpa-object-namespace={{ . }}
{{- end }}
{{- with include "podfit.ignoredNamespaces" .root }}
- --ignored-vpa-object-namespaces={{ join "," (fromJsonArray .) }}
{{- end }}
{{- include (printf "podfit.arguments.%s" .name) .root }}
{{- range $component.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "podfit.arguments.recommender" }}
{{- with .Values.optIn }}
- --opt-in={{ .enabled }}
{{- if .enabled }}
- --opt-in-rate-limit={{ .rateLimit }}
- --goldilocks-labels={{ .goldilocksLabels }}
{{- end }}
{{- end }}
{{- with .Values.prometheus.preset }}
- --prometheus-preset={{ . }}
{{- end }}
{{- with .Values.prometheus.address }}
- --prometheus-address={{ . }}
{{- end }}
{{- with .Values.externalMetrics }}
{{- if .enabled }}
- --use-external-metrics=true
- --external-metrics-cpu-metric={{ .cpuMetric }}
- --external-metrics-memory-metric={{ .memoryMetric }}
{{- end }}
{{- end }}
{{- include "podfit.arguments.leaderElection" (dict "root" . "election" .Values.recommender.leaderElection) }}
{{- end }}

{{- define "podfit.arguments.updater" }}
{{- include "podfit.arguments.leaderElection" (dict "root" . "election" .Values.updater.leaderElection) }}
- --admission-controller-status-lease-name={{ .Values.webhook.statusLease.name }}
- --admission-controller-status-lease-namespace={{ .Release.Namespace }}
{{- if .Values.vpaObjectNamespace }}
- --node-fit=false
{{- end }}
{{- end }}

{{- define "podfit.arguments.webhook" }}
- --bind-address={{ .Values.webhook.bindAddress }}
- --port={{ .Values.webhook.port }}
{{- if .Values.webhook.certManager.enabled }}
- --tls-cert-file=/etc/tls-certs/serverCert.pem
- --register-webhook=false
{{- else }}
- --certificate-secret={{ .Values.webhook.certificateSecret }}
{{- end }}
- --webhook-service={{ include "podfit.webhookService" . }}
{{- with .Values.webhook.url }}
- --register-by-url=true
- --webhook-address={{ (urlParse .).hostname }}
{{- end }}
{{- with .Values.webhook.statusLease }}
- --status-lease-name={{ .name }}
- --status-lease-namespace={{ $.Release.Namespace }}
- --status-lease-update-interval={{ .updateInterval }}
{{- end }}
{{- end }}

{{- define "podfit.arguments.leaderElection" }}
- --leader-elect={{ .election.enabled }}
{{- if .election.enabled }}
- --leader-elect-resource-name={{ .election.resourceName }}
- --leader-elect-resource-namespace={{ .root.Release.Namespace }}
- --leader-elect-lease-duration={{ .election.leaseDuration }}
- --leader-elect-renew-deadline={{ .election.renewDeadline }}
- --leader-elect-retry-period={{ .election.retryPeriod }}
{{- end }}
{{- end }}
