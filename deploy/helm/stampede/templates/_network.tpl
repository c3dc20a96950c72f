{{/* Pods of this release, as peers of a policy. Takes (list $ (list "component" …)). */}}
{{- define "stampede.peers" -}}
{{- $root := index . 0 -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ include "stampede.name" $root | quote }}
      app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: {{ index . 1 | toJson }}}
{{- end }}

{{/* Rules for names (some clusters ask at 5353), the queue and the log store. */}}
{{- define "stampede.toRedis" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
    - {port: 5353, protocol: UDP}
    - {port: 5353, protocol: TCP}
{{- if or .Values.redis.enabled .Values.logStore.enabled }}
- to:
    {{- include "stampede.peers" (list . (list "redis" "logstore")) | nindent 4 }}
  ports: [{port: 6379, protocol: TCP}]
{{- end }}
{{- $ports := list }}
{{- range compact (list .Values.externalRedis.url .Values.externalLogStore.url) }}{{ $ports = append $ports (include "stampede.port" .) }}{{ end }}
{{- with uniq $ports }}
- ports:
    {{- range . }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- end }}
