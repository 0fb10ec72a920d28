{{/* The flags of each program, one a line. Flags of values come last, so that they win. What the API server is told of the
webhook stands in webhook-configuration.yaml alone: the webhook leaves an object of Helm as it is, but for the CA. */}}

{{- define "podfit.arguments" -}}
{{- $component := index .root.Values (include "podfit.section" .name) -}}
- --address={{ $component.metricsAddress }}
- --profile={{ .root.Values.profile }}
- --v={{ has (toString $component.logLevel) (list "" "<nil>") | ternary .root.Values.verbosity $component.logLevel }}
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
{{- include "podfit.arguments.leaderElection" (dict "root" . "component" .Values.recommender) }}
{{- end }}

{{- define "podfit.arguments.updater" }}
{{- include "podfit.arguments.leaderElection" (dict "root" . "component" .Values.updater) }}
- --admission-controller-status-lease-name={{ .Values.admissionController.statusLease.name }}
- --admission-controller-status-lease-namespace={{ .Release.Namespace }}
{{- if .Values.vpaObjectNamespace }}
- --node-fit=false
{{- end }}
{{- end }}

{{- define "podfit.arguments.webhook" }}
- --bind-address={{ .Values.admissionController.bindAddress }}
- --port={{ .Values.admissionController.port }}
{{- if .Values.admissionController.certManager.enabled }}
- --tls-cert-file=/etc/tls-certs/serverCert.pem
- --register-webhook=false
{{- else }}
- --certificate-secret={{ .Values.admissionController.certificateSecret }}
{{- end }}
- --webhook-service={{ include "podfit.webhookService" . }}
{{- with .Values.admissionController.url }}
- --register-by-url=true
- --webhook-address={{ (urlParse .).hostname }}
{{- end }}
{{- with .Values.admissionController.statusLease }}
- --status-lease-name={{ .name }}
- --status-lease-namespace={{ $.Release.Namespace }}
- --status-lease-update-interval={{ .updateInterval }}
{{- end }}
{{- end }}

{{- define "podfit.arguments.leaderElection" }}
{{- $elects := include "podfit.elects" .component }}
- --leader-elect={{ $elects }}
{{- if eq $elects "true" }}
{{- with .component.leaderElection }}
- --leader-elect-resource-name={{ .resourceName }}
- --leader-elect-resource-namespace={{ $.root.Release.Namespace }}
- --leader-elect-lease-duration={{ .leaseDuration }}
- --leader-elect-renew-deadline={{ .renewDeadline }}
- --leader-elect-retry-period={{ .retryPeriod }}
{{- end }}
{{- end }}
{{- end }}
