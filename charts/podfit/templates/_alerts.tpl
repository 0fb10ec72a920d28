{{/*
The alerts. Metrics are named without a job: podfit's and upstream's names are nobody else's, and replicas are taken
together, so that a standby's silence is no alarm.
*/}}

{{- define "podfit.alerts" -}}
{{- $rule := .Values.metrics.prometheusRule }}
{{- $loops := dict "recommender" "Recommendations stay as they are, and out-of-memory kills are not seen." "updater" "No running pod is resized or evicted." }}
{{- range $name, $consequence := $loops }}
{{- if (index $.Values $name).enabled }}
- alert: Podfit{{ title $name }}DoesNothing
  expr: sum(increase(vpa_{{ $name }}_execution_latency_seconds_count{step="total"}[15m])) == 0
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: podfit's {{ $name }} has gone through no loop for 15 minutes.
    description: >-
      {{ $consequence }}{{ if eq $name "updater" }} It also pauses while the webhook shows no sign of life.{{ end }} Its log says what it waits for.
    {{- include "podfit.runbook" (list $rule (printf "Podfit%sDoesNothing" (title $name))) }}
- alert: Podfit{{ title $name }}HasNoLeader
  expr: max(leader_election_master_status{name="podfit-{{ $name }}"}) == 0
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: No replica of podfit's {{ $name }} leads.
    description: >-
      {{ $consequence }} Nobody holds the lease {{ (index $.Values $name).leaderElection.resourceName }} in namespace {{ $.Release.Namespace }}, or somebody who is not there.
    {{- include "podfit.runbook" (list $rule (printf "Podfit%sHasNoLeader" (title $name))) }}
{{- end }}
{{- end }}
{{- if .Values.recommender.enabled }}
- alert: PodfitUsageMissing
  expr: >-
    sum(rate(vpa_recommender_metric_server_responses{is_error="true"}[10m]))
    / sum(rate(vpa_recommender_metric_server_responses[10m])) > 0.5
  for: 10m
  labels: {severity: warning}
  annotations:
    summary: podfit cannot read what containers use.
    description: >-
      {{ printf "{{ $value | humanizePercentage }}" }} of the requests to the metrics API failed. Recommendations stay as they are.
    {{- include "podfit.runbook" (list $rule "PodfitUsageMissing") }}
- alert: PodfitStatusWritesFail
  expr: sum(increase(podfit_recommender_status_writes_total{outcome="failed"}[15m])) > 5
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: podfit cannot write recommendations.
    description: >-
      {{ printf "{{ $value | humanize }}" }} writes of VPA statuses failed in 15 minutes.
    {{- include "podfit.runbook" (list $rule "PodfitStatusWritesFail") }}
- alert: PodfitManyOutOfMemoryKills
  expr: max by (vpa_namespace) (increase(podfit_recommender_oom_kills_total[1h])) > {{ $rule.oomKillsPerHour }}
  labels: {severity: warning}
  annotations:
    summary: Many containers in namespace {{ printf "{{ $labels.vpa_namespace }}" }} run out of memory.
    description: >-
      {{ printf "{{ $value | humanize }}" }} containers under VPAs were killed for memory within an hour. podfit recommends more after each kill, unless something holds it back.
    {{- include "podfit.runbook" (list $rule "PodfitManyOutOfMemoryKills") }}
{{- end }}
{{- if .Values.updater.enabled }}
- alert: PodfitEvictionsStopped
  expr: max(podfit_updater_evictions_stopped) == 1
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: podfit evicts nothing any more.
    description: >-
      Evicted pods of several workloads came back otherwise than asked, so podfit waits until a new pod is seen to be sized.
    {{- include "podfit.runbook" (list $rule "PodfitEvictionsStopped") }}
- alert: PodfitDisruptionBreakerOpen
  expr: max(podfit_updater_breaker_open) == 1
  for: 30m
  labels: {severity: warning}
  annotations:
    summary: podfit wants to disrupt far more pods than usual, and holds back.
    description: >-
      Only as many as is the norm are resized or evicted, since so many at once is more likely a mistake than a need.
    {{- include "podfit.runbook" (list $rule "PodfitDisruptionBreakerOpen") }}
{{- end }}
{{- if .Values.admissionController.enabled }}
- alert: PodfitWebhookErrors
  expr: >-
    sum(rate(vpa_admission_controller_admission_latency_seconds_count{status="error"}[10m]))
    / sum(rate(vpa_admission_controller_admission_latency_seconds_count[10m])) > 0.05
  for: 10m
  labels: {severity: warning}
  annotations:
    summary: podfit's webhook answers with errors.
    description: >-
      {{ printf "{{ $value | humanizePercentage }}" }} of the admission requests could not be understood or were refused.
    {{- include "podfit.runbook" (list $rule "PodfitWebhookErrors") }}
- alert: PodfitWebhookSlow
  expr: histogram_quantile(0.99, sum by (le) (rate(vpa_admission_controller_admission_latency_seconds_bucket[10m]))) > {{ divf .Values.admissionController.mutatingWebhookConfiguration.timeoutSeconds 2 }}
  for: 10m
  labels: {severity: warning}
  annotations:
    summary: podfit's webhook is slow.
    description: >-
      One in a hundred admissions takes {{ printf "{{ $value | humanizeDuration }}" }}. The API server waits {{ .Values.admissionController.mutatingWebhookConfiguration.timeoutSeconds }} s, and then {{ eq .Values.admissionController.mutatingWebhookConfiguration.failurePolicy "Fail" | ternary "refuses the pod" "starts the pod with its old size" }}.
    {{- include "podfit.runbook" (list $rule "PodfitWebhookSlow") }}
- alert: PodfitWebhookNotReached
  expr: sum(increase(apiserver_admission_webhook_fail_open_count{name="vpa.k8s.io"}[10m])) > 0
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: The API server does not reach podfit's webhook.
    description: >-
      {{ printf "{{ $value | humanize }}" }} pods or VPAs were let through within 10 minutes without its answer. Such pods start with their old size.
    {{- include "podfit.runbook" (list $rule "PodfitWebhookNotReached") }}
- alert: PodfitCertificateEndsSoon
  expr: min(podfit_webhook_certificate_days_to_expiry) < {{ $rule.certificateDays }}
  for: 15m
  labels: {severity: critical}
  annotations:
    summary: The certificate of podfit's webhook is not renewed.
    description: >-
      It ends in {{ printf "{{ $value | humanize }}" }} days. After that the API server does not believe the webhook, and new pods start with their old size.
    {{- include "podfit.runbook" (list $rule "PodfitCertificateEndsSoon") }}
{{- end }}
- alert: PodfitStandsAside
  expr: max(podfit_other_vpa_active) == 1
  for: 15m
  labels: {severity: warning}
  annotations:
    summary: podfit does nothing, as another VPA is active.
    description: >-
      No recommendation is written, and no pod is sized, resized or evicted by podfit. Its log and its events AnotherVpaActive name the other one.
    {{- include "podfit.runbook" (list $rule "PodfitStandsAside") }}
{{- $alive := dict "recommender" "vpa_recommender_execution_latency_seconds_count" "updater" "podfit_updater_evictions_stopped" "webhook" "podfit_webhook_certificate_days_to_expiry" }}
{{- range $name, $metric := $alive }}
{{- if (index $.Values (include "podfit.section" $name)).enabled }}
- alert: Podfit{{ title $name }}MetricsMissing
  expr: absent({{ $metric }})
  for: 15m
  labels: {severity: critical}
  annotations:
    summary: Nothing is heard of podfit's {{ $name }}.
    description: >-
      Prometheus has no metrics of it. Either it does not run, or it is not scraped.
    {{- include "podfit.runbook" (list $rule (printf "Podfit%sMetricsMissing" (title $name))) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes the prometheusRule values and the alert's name. */}}
{{- define "podfit.runbook" -}}
{{- $anchor := lower (index . 1) }}
{{- with (index . 0).runbookUrl }}
    runbook_url: {{ . }}#{{ $anchor }}
{{- else }}
    runbook: docs/alerts.md#{{ $anchor }} of podfit's repository
{{- end }}
{{- end }}
