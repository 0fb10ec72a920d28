{{/* Names, labels and small parts that several templates need. Those that take a dict get: root, name (of the component). */}}

{{- define "podfit.components" -}}recommender updater webhook{{- end }}

{{- define "podfit.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The release's name where that says podfit already, else <release>-podfit. */}}
{{- define "podfit.fullname" -}}
{{- $name := include "podfit.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "podfit.selectorLabels" -}}
app.kubernetes.io/name: {{ include "podfit.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "podfit.labels" -}}
{{ include "podfit.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "podfit.serviceAccountName" -}}
{{- $account := (index .root.Values .name).serviceAccount -}}
{{- if $account.name -}}
{{ $account.name }}
{{- else if $account.create -}}
{{ include "podfit.fullname" .root }}-{{ .name }}
{{- else -}}
default
{{- end -}}
{{- end }}

{{- define "podfit.image" -}}
{{- $shared := .root.Values.image -}}
{{- $own := (index .root.Values .name).image -}}
{{- $tag := $own.tag | default $shared.tag | default .root.Chart.AppVersion -}}
{{- with $own.registry | default $shared.registry }}{{ . }}/{{ end }}{{ $own.repository }}:{{ $tag }}
{{- end }}

{{- define "podfit.webhookService" -}}
{{ .Values.webhook.service.name | default (printf "%s-webhook" (include "podfit.fullname" .)) }}
{{- end }}

{{/* The port of an [IP]:PORT. */}}
{{- define "podfit.port" -}}{{ regexFind "[0-9]+$" . }}{{- end }}

{{/*
The namespaces that podfit leaves alone, as a JSON array: the given ones and its own, so that its pods never wait for
itself. All three components must agree: the updater would evict again and again what the webhook never sees.
*/}}
{{- define "podfit.ignoredNamespaces" -}}
{{- if not .Values.vpaObjectNamespace -}}
{{- $own := ternary (list) (list .Release.Namespace) (gt (len .Values.webhook.mutatingWebhookConfiguration.namespaceSelector) 0) -}}
{{- with concat $own .Values.ignoredVpaObjectNamespaces | uniq }}{{ toJson . }}{{ end }}
{{- end -}}
{{- end }}

{{- define "podfit.namespaceSelector" -}}
{{- $webhook := .Values.webhook.mutatingWebhookConfiguration -}}
{{- if $webhook.namespaceSelector -}}
{{ toYaml $webhook.namespaceSelector }}
{{- else -}}
{{- $left := list -}}
{{- if not .Values.vpaObjectNamespace -}}
{{- $left = without (include "podfit.ignoredNamespaces" . | fromJsonArray) .Release.Namespace -}}
{{- end -}}
{{- if or .Values.vpaObjectNamespace $left -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
{{- if .Values.vpaObjectNamespace }}
    operator: In
    values: {{ list .Values.vpaObjectNamespace .Release.Namespace | uniq | toJson }}
{{- else }}
    operator: NotIn
    values: {{ toJson $left }}
{{- end }}
{{- else -}}
{}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Not empty when nothing of podfit's own namespace is sent to the webhook but the updater's probes. */}}
{{- define "podfit.probesOnly" -}}
{{- $selector := .Values.webhook.mutatingWebhookConfiguration.namespaceSelector -}}
{{- if and (not $selector) (ne .Values.vpaObjectNamespace .Release.Namespace) -}}true{{- end -}}
{{- end }}
