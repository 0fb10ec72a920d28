{{/* Names, labels and small parts that several templates need. Those that take a dict get: root, name (of the component). */}}

{{- define "podfit.components" -}}recommender updater webhook{{- end }}

{{/* Where a component's values are. Upstream's name for the webhook, so that its values need not be moved. */}}
{{- define "podfit.section" -}}{{ eq . "webhook" | ternary "admissionController" . }}{{- end }}

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
{{- $account := (index .root.Values (include "podfit.section" .name)).serviceAccount -}}
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
{{- $own := (index .root.Values (include "podfit.section" .name)).image -}}
{{- $tag := $own.tag | default $shared.tag | default .root.Chart.AppVersion -}}
{{- $repository := $own.repository | default (printf "podfit-%s" .name) -}}
{{- /* Upstream has the registry in here: a first part with a dot or a port is one, as container engines see it. */ -}}
{{- $registry := regexMatch "^([^/]*[.:][^/]*|localhost)/" $repository | ternary "" $shared.registry -}}
{{- with $own.registry | default $registry }}{{ . }}/{{ end }}{{ $repository }}:{{ $tag }}
{{- end }}

{{- define "podfit.pullPolicy" -}}
{{ (index .root.Values (include "podfit.section" .name)).image.pullPolicy | default .root.Values.image.pullPolicy }}
{{- end }}

{{/* Not empty when the component's pods are in the nodes' network. */}}
{{- define "podfit.onHost" -}}
{{- if or .root.Values.hostNetwork (and (eq .name "webhook") .root.Values.admissionController.hostNetwork) -}}true{{- end -}}
{{- end }}

{{/* Takes a component's values. true or false: is one of its replicas chosen to act? As upstream's chart has it, where nothing is said. */}}
{{- define "podfit.elects" -}}
{{- $enabled := .leaderElection.enabled -}}
{{ kindIs "bool" $enabled | ternary $enabled (gt (int .replicas) 1) }}
{{- end }}

{{/* The port of the webhook's Service: upstream's chart has a list, of one. */}}
{{- define "podfit.servicePort" -}}
{{- with .Values.admissionController.service -}}
{{ with .ports }}{{ (first .).port }}{{ else }}{{ .port }}{{ end }}
{{- end -}}
{{- end }}

{{/*
The webhook's volumes that hold certificates which upstream's chart would have made, as a JSON array of names: upstream has
them among its values. Here nothing would ever fill them.
*/}}
{{- define "podfit.unfilledVolumes" -}}
{{- $names := list -}}
{{- with .Values.admissionController -}}
{{- if or .certManager.enabled (dig "certGen" "enabled" false .) (dig "tls" "create" false .) -}}
{{- $secret := dig "tls" "secretName" "vpa-tls-certs" . -}}
{{- range .volumes -}}
{{- if eq (dig "secret" "secretName" "" .) $secret -}}{{- $names = append $names .name -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toJson $names }}
{{- end }}

{{/* Takes a root, the component's name, and "volumes" or "volumeMounts". As a JSON array: those of the values that are filled. */}}
{{- define "podfit.filled" -}}
{{- $unfilled := eq .name "webhook" | ternary (include "podfit.unfilledVolumes" .root | fromJsonArray) list -}}
{{- $filled := list -}}
{{- range index .root.Values (include "podfit.section" .name) .of -}}
{{- if not (has .name $unfilled) -}}{{- $filled = append $filled . -}}{{- end -}}
{{- end -}}
{{ toJson $filled }}
{{- end }}

{{- define "podfit.webhookService" -}}
{{ .Values.admissionController.service.name | default (printf "%s-webhook" (include "podfit.fullname" .)) }}
{{- end }}

{{/* The port of an [IP]:PORT. */}}
{{- define "podfit.port" -}}{{ regexFind "[0-9]+$" . }}{{- end }}

{{/*
The namespaces that podfit leaves alone, as a JSON array: the given ones and its own, so that its pods never wait for
itself. All three components must agree: the updater would evict again and again what the webhook never sees.
*/}}
{{- define "podfit.ignoredNamespaces" -}}
{{- if not .Values.vpaObjectNamespace -}}
{{- $own := ternary (list) (list .Release.Namespace) (gt (len .Values.admissionController.mutatingWebhookConfiguration.namespaceSelector) 0) -}}
{{- with concat $own .Values.ignoredVpaObjectNamespaces | uniq }}{{ toJson . }}{{ end }}
{{- end -}}
{{- end }}

{{- define "podfit.namespaceSelector" -}}
{{- $webhook := .Values.admissionController.mutatingWebhookConfiguration -}}
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
{{- $selector := .Values.admissionController.mutatingWebhookConfiguration.namespaceSelector -}}
{{- if and (not $selector) (ne .Values.vpaObjectNamespace .Release.Namespace) -}}true{{- end -}}
{{- end }}
