{{/*
Values of upstream's chart that mean nothing here. Those that would mislead are refused; the others are named after the
installation. docs/migrate.md has them all.
*/}}

{{- define "podfit.refuseUpstreams" -}}
{{- range $name := splitList " " (include "podfit.components" $) -}}
{{- $section := include "podfit.section" $name -}}
{{- $component := index $.Values $section -}}
{{- if regexMatch "(^|/)vpa-(recommender|updater|admission-controller)$" ($component.image.repository | default "") -}}
{{- fail (printf "%s.image.repository is %s, upstream's program, which podfit is in place of: remove %s.image.repository and .tag, and say in image.registry where podfit's images are." $section $component.image.repository $section) -}}
{{- end -}}
{{- with $component.podDisruptionBudget -}}
{{- if and (not (has (toString .minAvailable) (list "" "<nil>"))) (not (has (toString .maxUnavailable) (list "" "<nil>"))) -}}
{{- fail (printf "Set %s.podDisruptionBudget.minAvailable or .maxUnavailable, not both: a PodDisruptionBudget has one of them." $section) -}}
{{- end -}}
{{- end -}}
{{- $namespace := dig "leaderElection" "resourceNamespace" "" $component -}}
{{- if and $namespace (ne $namespace $.Release.Namespace) -}}
{{- fail (printf "%s.leaderElection.resourceNamespace is %s, but podfit has rights to leases in its own namespace only: remove it." $section $namespace) -}}
{{- end -}}
{{- end -}}
{{- with .Values.namespaceOverride -}}
{{- if ne . $.Release.Namespace -}}
{{- fail (printf "namespaceOverride is %s, but podfit is installed where Helm is told: remove it, and give helm --namespace %s." . .) -}}
{{- end -}}
{{- end -}}
{{- with .Values.admissionController -}}
{{- with .tls -}}
{{- if or .caCert .cert .key -}}
{{- fail "admissionController.tls.caCert, .cert and .key would put a private key among the values: put it in a Secret, and mount that at /etc/tls-certs by admissionController.volumes and .volumeMounts (docs/install.md), or remove them: podfit makes its own." -}}
{{- end -}}
{{- end -}}
{{- /* As upstream's chart does. */ -}}
{{- range $other := list (list "certGen" "enabled") (list "tls" "create") -}}
{{- if and $.Values.admissionController.certManager.enabled (dig (first $other) (last $other) false $.Values.admissionController) -}}
{{- fail (printf "Have cert-manager make the webhook's certificates (admissionController.certManager.enabled) or not (admissionController.%s), not both: set one of them to false." (join "." $other)) -}}
{{- end -}}
{{- end -}}
{{- if and .certManager.enabled .registerWebhook -}}
{{- fail "With admissionController.certManager.enabled the chart registers the webhook, and cert-manager puts its CA in: set admissionController.registerWebhook to false." -}}
{{- end -}}
{{- with .service.ports -}}
{{- $target := dig "targetPort" "https" (first .) -}}
{{- if or (gt (len .) 1) (not (has (toString $target) (list "https" (toString $.Values.admissionController.port)))) -}}
{{- fail (printf "admissionController.service.ports may be one, with a targetPort of %v: set admissionController.service.port to the Service's port, and admissionController.port to the one that the webhook listens on." $.Values.admissionController.port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Which values say nothing here: what they ask for is so anyway, or there is no such part. */}}
{{- define "podfit.unused" -}}
{{- $names := list -}}
{{- range $name := list "certGen" "registerWebhook" "tls" -}}
{{- if hasKey $.Values.admissionController $name -}}{{- $names = append $names (printf "admissionController.%s" $name) -}}{{- end -}}
{{- end -}}
{{- if hasKey .Values "crds" -}}{{- $names = append $names "crds" -}}{{- end -}}
{{- join ", " $names -}}
{{- end }}
