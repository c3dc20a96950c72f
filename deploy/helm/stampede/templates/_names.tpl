{{/* What things are called, and by which labels they are found. The longest name is that of a worker's pod: 63 characters. */}}

{{- define "stampede.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 36 | trimSuffix "-" }}
{{- end }}

{{- define "stampede.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" }}
{{- else if contains (include "stampede.name" .) .Release.Name }}
{{- .Release.Name | trunc 36 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "stampede.name" .) | trunc 36 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Takes (list $ "component"). */}}
{{- define "stampede.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "stampede.name" $root | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "stampede.labels" -}}
{{- $root := index . 0 -}}
{{ include "stampede.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* A number may come as --set or as a file has it. */}}
{{- define "stampede.runId" -}}
{{- $id := default .Release.Revision .Values.run.id -}}
{{- if kindIs "string" $id }}{{ $id }}{{ else }}{{ int64 $id }}{{ end }}
{{- end }}

{{- define "stampede.runName" -}}
{{- printf "%s-run-%s" (include "stampede.fullname" .) (include "stampede.runId" .) }}
{{- end }}

{{- define "stampede.workerName" -}}
{{- printf "%s-worker-%s" (include "stampede.fullname" .) (include "stampede.runId" .) }}
{{- end }}

{{- define "stampede.tokenSecret" -}}
{{- default (printf "%s-ui-token" (include "stampede.fullname" .)) .Values.ui.token.existingSecret }}
{{- end }}

{{- define "stampede.claim" -}}
{{- default (printf "%s-reports" (include "stampede.fullname" .)) .Values.reports.persistence.existingClaim }}
{{- end }}
