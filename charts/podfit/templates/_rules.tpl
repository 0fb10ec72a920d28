{{/*
What each component may do, and in brackets where it does it. tests/e2e/kwok/rights.rs finds no right missing and none idle.
By the role it stands in:
  workloads      in all namespaces, or in vpaObjectNamespace alone
  own            in podfit's own namespace
  configuration  cluster-wide whatever vpaObjectNamespace says
  nodes          cluster-wide; not with vpaObjectNamespace, where nodes are not looked at
  other-vpa      cluster-wide; not with vpaObjectNamespace, nor for a shadow, which need not know
With `shadow` no rule lets anything be written.
*/}}

{{- define "podfit.rules.recommender.workloads" -}}
# What to size, and how. [cluster/src/index/watches.rs]
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers]
  verbs: [list, watch]
{{- if not .Values.shadow }}
# The recommendation and its conditions. [cluster/src/writes.rs]
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers/status]
  verbs: [patch]
{{- end }}
# What was measured, kept over restarts; deleted when its VPA is gone. [cluster/src/checkpoints.rs]
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalercheckpoints]
  verbs: {{ .Values.shadow | ternary "[list]" "[get, list, create, patch, delete]" }}
# Which containers there are, their requests, and their OOM kills. [cluster/src/index/watches.rs]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# Evictions of pods whose node ran short of memory. [cluster/src/index/watches.rs]
- apiGroups: [""]
  resources: [events]
  verbs: [list, watch]
# KEDA's, where it is installed: is one paused? [cluster/src/index/watches.rs]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list, watch]
# What the containers use. [cluster/src/usage.rs]
- apiGroups: [metrics.k8s.io]
  resources: [pods]
  verbs: [list]
{{- if and .Values.optIn.enabled (not .Values.shadow) }}
# The VPAs that labels ask for: made, changed, and removed with the label. [cluster/src/opt_in.rs]
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers]
  verbs: [create, patch, delete]
# Events on workloads and VPAs say why a label is not followed, or not in full. [cluster/src/events.rs]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if not .Values.vpaObjectNamespace }}
# The labels of namespaces. [cluster/src/index/watches.rs]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- end }}
{{- with .Values.externalMetrics }}
{{- if .enabled }}
# What the containers use, from there. [cluster/src/external_metrics.rs]
- apiGroups: [external.metrics.k8s.io]
  resources: {{ compact (list .cpuMetric .memoryMetric) | toJson }}
  verbs: [list]
{{- end }}
{{- end }}
{{ include "podfit.rules.horizontals" . }}
{{ include "podfit.rules.owners" . }}
{{- end }}

{{- define "podfit.rules.recommender.own" -}}
{{ include "podfit.rules.leadership" .Values.recommender.leaderElection }}
{{ include "podfit.rules.own-events" . }}
{{- end }}

{{- define "podfit.rules.updater.workloads" -}}
# The recommendations. [cluster/src/index/watches.rs]
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers]
  verbs: [list, watch]
# Which pods run with which requests. [cluster/src/index/watches.rs]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- if not .Values.shadow }}
# The conditions that say what was done and what is in the way. [cluster/src/writes.rs]
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers/status]
  verbs: [patch]
# Notes on the pod that it was resized. [cluster/src/writes.rs]
- apiGroups: [""]
  resources: [pods]
  verbs: [patch]
# Resizing in place. [cluster/src/writes.rs]
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
# Evicting, which the API server refuses where a disruption budget forbids it. [cluster/src/writes.rs]
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
# Where a VPA asks for it, the target of an HPA moves with the requests of its pods: in the HPA, or in the ScaledObject that it is made from. [cluster/src/retarget.rs]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, patch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, patch]
# Events on pods, VPAs and HPAs say what was done and why. [cluster/src/events.rs]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}
# Nothing is applied that a LimitRange would refuse, and nothing evicted that a quota would not let come back. [cluster/src/index/watches.rs]
- apiGroups: [""]
  resources: [limitranges, resourcequotas]
  verbs: [list, watch]
# Has a budget changed since it refused an eviction? [cluster/src/index/watches.rs]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch]
{{ include "podfit.rules.horizontals" . }}
{{ include "podfit.rules.owners" . }}
{{- end }}

{{- define "podfit.rules.updater.own" -}}
{{ include "podfit.rules.leadership" .Values.updater.leaderElection }}
{{ include "podfit.rules.own-events" . }}
# Is the webhook alive? If not, an evicted pod would come back as it was. [cluster/src/lease.rs]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ .Values.admissionController.statusLease.name }}]
  verbs: [get]
# Are new pods sized? Asked by dry runs, while evicted pods come back otherwise than asked. In no other namespace. [cluster/src/probe.rs]
- apiGroups: [""]
  resources: [pods]
  verbs: [create]
{{- end }}

{{- define "podfit.rules.updater.nodes" -}}
# No pod is given more than a node can hold. [cluster/src/index/watches.rs]
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
{{- end }}

{{- define "podfit.rules.webhook.workloads" -}}
# The recommendations. [cluster/src/index/watches.rs]
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers]
  verbs: [list, watch]
# No pod is given what a LimitRange would refuse. [cluster/src/index/watches.rs]
- apiGroups: [""]
  resources: [limitranges]
  verbs: [list, watch]
{{ include "podfit.rules.horizontals" . }}
{{ include "podfit.rules.owners" . }}
{{- end }}

{{- define "podfit.rules.webhook.own" -}}
{{- if not .Values.admissionController.certManager.enabled -}}
# Its certificates. It may not make Secrets: that right would give it the tokens of other service accounts. [webhook/src/certificates/secret.rs]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ .Values.admissionController.certificateSecret }}]
  verbs: [get, update]
{{ end -}}
# The sign of life that the updater reads. [webhook/src/lease.rs]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ .Values.admissionController.statusLease.name }}]
  verbs: [get, update]
{{ include "podfit.rules.own-events" . }}
{{- end }}

{{- define "podfit.rules.webhook.configuration" -}}
# To put its certificate authority into the one configuration that this chart makes. It may not make one itself. [webhook/src/registration.rs]
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations]
  resourceNames: [vpa-webhook-config]
  verbs: [get, patch]
{{- end }}

{{/* The same for all three. */}}
{{- define "podfit.rules.other-vpa" -}}
# Does another VPA act? Then podfit must not. Upstream's programs hold these leases, in kube-system as a rule. [cluster/src/other_vpa/lookout.rs]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [vpa-recommender-lease, vpa-updater, vpa-updater-lease, vpa-admission-controller]
  verbs: [list]
# Are new pods sent to another VPA's webhook? [cluster/src/other_vpa/lookout.rs]
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations]
  resourceNames: [vpa-webhook-config]
  verbs: [get]
{{- end }}

{{- define "podfit.rules.own-events" -}}
# Events on its own pod: that another VPA is active, or is gone. [cluster/src/events.rs]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* Which resources are an HPA's. */}}
{{- define "podfit.rules.horizontals" -}}
# What a HorizontalPodAutoscaler scales on by utilisation is left to it. [cluster/src/index/watches.rs]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
{{- end }}

{{/* The built-in controllers, and those of rbac.scalableKinds. */}}
{{- define "podfit.rules.owners" -}}
# Which controller a pod belongs to, and how many replicas that wants. [cluster/src/index/watches.rs]
- apiGroups: [apps]
  resources: [daemonsets, deployments, replicasets, statefulsets]
  verbs: [list, watch]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [replicationcontrollers]
  verbs: [list, watch]
{{- range .Values.rbac.scalableKinds }}
- apiGroups: [{{ .apiGroup | quote }}]
  resources: [{{ range $i, $r := .resources }}{{ if $i }}, {{ end }}{{ $r | quote }}{{ end }}]
  verbs: [list, watch]
{{- end }}
{{- end }}

{{/* Takes the leaderElection values. */}}
{{- define "podfit.rules.leadership" -}}
# Its turn to act. Making an object cannot be limited to a name. [cluster/src/lease.rs]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ .resourceName }}]
  verbs: [get, update]
{{- end }}

{{/* What the pod of `helm test` may do, for as long as that runs. */}}
{{- define "podfit.rules.test.configuration" -}}
# Is the webhook registered, with a CA? [webhook/src/self_test/facts.rs]
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations]
  resourceNames: [vpa-webhook-config]
  verbs: [get]
{{- end }}

{{- define "podfit.rules.test.own" -}}
# Is there a pod behind its Service? [webhook/src/self_test/facts.rs]
- apiGroups: [""]
  resources: [services]
  resourceNames: [{{ include "podfit.webhookService" . }}]
  verbs: [get]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
# Is its answer applied? Asked by dry runs. [webhook/src/self_test.rs]
- apiGroups: [""]
  resources: [pods]
  verbs: [create]
{{- end }}

{{- define "podfit.rules.test.workload" -}}
# A workload without replicas, its VPA with a recommendation, and dry runs of its pods. [webhook/src/self_test/workload.rs]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [create, delete]
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers]
  verbs: [create, delete]
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [create]
{{- end }}
