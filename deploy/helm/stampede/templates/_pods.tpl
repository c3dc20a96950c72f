{{/* What pods have in common. */}}

{{- define "stampede.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{/* The begin of a pod's spec. Takes (list $ values-of-the-part user). */}}
{{- define "stampede.pod" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- $user := int64 (index . 2) -}}
automountServiceAccountToken: false
# Variables of other services' addresses are not ours.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ int64 $root.Values.terminationGracePeriodSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $user }}
  runAsGroup: {{ $user }}
  fsGroup: {{ $user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "stampede.confined" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* The metadata of a pod; no versions, since a new one would start it anew. Takes (list $ "component" values-of-the-part annotations). */}}
{{- define "stampede.podMetadata" -}}
{{- $part := index . 2 -}}
labels:
  {{- include "stampede.selector" (list (index . 0) (index . 1)) | nindent 2 }}
  {{- with $part.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) $part.podAnnotations) (index . 3) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Variables of a program: addresses, and who it is there. Takes (list $ "program" "mqtt" or ""). */}}
{{- define "stampede.env" -}}
{{- $root := index . 0 -}}
{{- $program := index . 1 -}}
{{- $values := $root.Values -}}
- name: STAMPEDE_REDIS
  value: {{ include "stampede.redisUrl" $root | quote }}
- name: STAMPEDE_LOG_STORE
  value: {{ include "stampede.logStoreUrl" $root | quote }}
- name: STAMPEDE_EVERY
  value: {{ int64 $values.every | quote }}
- name: RUST_LOG
  value: {{ $values.logLevel | quote }}
{{- include "stampede.access" (list "STAMPEDE_REDIS" $values.redisAccess (get $values.redisAccess.secrets $program) (include "stampede.redisCa" $root) "redis") }}
{{- if index . 2 }}
- name: STAMPEDE_MQTT
  value: {{ include "stampede.mqttUrl" $root | quote }}
- name: STAMPEDE_MQTT_VERSION
  value: {{ $values.mqtt.version | quote }}
{{- include "stampede.access" (list "STAMPEDE_MQTT" $values.mqttAccess (get $values.mqttAccess.secrets $program) (include "stampede.mqttCa" $root) "mqtt") }}
{{- end }}
{{- end }}

{{/* Takes (list "PREFIX" access "secret" "secret of the authorities" "folder"). */}}
{{- define "stampede.access" -}}
{{- $prefix := index . 0 -}}
{{- $access := index . 1 -}}
{{- with index . 2 }}
{{- if $access.userKey }}
- name: {{ $prefix }}_USER
  valueFrom:
    secretKeyRef: {name: {{ . | quote }}, key: {{ $access.userKey | quote }}}
{{- end }}
- name: {{ $prefix }}_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ . | quote }}, key: {{ $access.passwordKey | quote }}}
{{- end }}
{{- if index . 3 }}
- name: {{ $prefix }}_CA
  value: /run/{{ index . 4 }}/authority.pem
{{- end }}
{{- end }}

{{/* Takes (list $ "mqtt" or ""). */}}
{{- define "stampede.authorityMounts" -}}
{{- $root := index . 0 -}}
{{- if include "stampede.redisCa" $root }}
- {name: redis-authority, mountPath: /run/redis, readOnly: true}
{{- end }}
{{- if and (index . 1) (include "stampede.mqttCa" $root) }}
- {name: mqtt-authority, mountPath: /run/mqtt, readOnly: true}
{{- end }}
{{- end }}

{{- define "stampede.authorityVolumes" -}}
{{- $root := index . 0 -}}
{{- with include "stampede.redisCa" $root }}
- name: redis-authority
  secret:
    secretName: {{ . | quote }}
    items: [{key: {{ $root.Values.redisAccess.ca.key | quote }}, path: authority.pem}]
{{- end }}
{{- if index . 1 }}
{{- with include "stampede.mqttCa" $root }}
- name: mqtt-authority
  secret:
    secretName: {{ . | quote }}
    items: [{key: {{ $root.Values.mqttAccess.ca.key | quote }}, path: authority.pem}]
{{- end }}
{{- end }}
{{- end }}

{{/* Probes of a service, and the moment in which others learn that it goes. */}}
{{- define "stampede.servicePart" -}}
ports:
  - {name: http, containerPort: 8080}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: {{ .Values.probes.periodSeconds }}
  timeoutSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: {{ .Values.probes.periodSeconds }}
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{/* Init containers that wait until the pipeline is ready. */}}
{{- define "stampede.waitContainers" -}}
{{- range $number, $url := include "stampede.waits" . | fromJsonArray }}
- name: wait-{{ $number }}
  image: {{ include "stampede.image" $ | quote }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  args: [health, {{ $url | quote }}, --wait, {{ $.Values.run.waitAtMost | quote }}]
  {{- include "stampede.confined" $ | nindent 2 }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 64Mi}
{{- end }}
{{- end }}

{{/* The volume with the plan and the files beside it. */}}
{{- define "stampede.hasFiles" -}}
{{- if or .Values.run.plan .Values.run.data .Values.run.dataSecret }}yes{{ end }}
{{- end }}

{{- define "stampede.filesVolume" -}}
{{- if include "stampede.hasFiles" . }}
- name: plan
  projected:
    sources:
      {{- if or .Values.run.plan .Values.run.data }}
      - configMap: {name: {{ include "stampede.fullname" . }}-plan}
      {{- end }}
      {{- with .Values.run.dataSecret }}
      - secret: {name: {{ . | quote }}}
      {{- end }}
{{- end }}
- name: reports
  {{- if .Values.reports.persistence.enabled }}
  persistentVolumeClaim: {claimName: {{ include "stampede.claim" . | quote }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}

{{- define "stampede.filesMounts" -}}
{{- if include "stampede.hasFiles" . }}
- {name: plan, mountPath: /plan, readOnly: true}
{{- end }}
- {name: reports, mountPath: /reports}
{{- end }}

{{/* Further arguments: numbers, as --set makes them, are texts here. */}}
{{- define "stampede.args" -}}
{{- range . }}
- {{ ternary (toString .) (printf "%d" (int64 (ternary 0 . (kindIs "string" .)))) (kindIs "string" .) | quote }}
{{- end }}
{{- end }}
