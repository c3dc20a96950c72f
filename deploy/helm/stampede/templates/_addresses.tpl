{{/* Where everything is. */}}

{{- define "stampede.redisScheme" -}}
{{- if .Values.secure.enabled }}rediss{{ else }}redis{{ end }}
{{- end }}

{{/* The Redis server with the queue. A pipeline of one's own may have none: then the log store stands for it. */}}
{{- define "stampede.redisUrl" -}}
{{- if .Values.redis.enabled -}}
{{ include "stampede.redisScheme" . }}://{{ include "stampede.fullname" . }}-redis:6379
{{- else -}}
{{ default (include "stampede.ownLogStoreUrl" .) .Values.externalRedis.url }}
{{- end }}
{{- end }}

{{- define "stampede.ownLogStoreUrl" -}}
{{- if .Values.logStore.enabled -}}
{{ include "stampede.redisScheme" . }}://{{ include "stampede.fullname" . }}-logstore:6379
{{- else -}}
{{ .Values.externalLogStore.url }}
{{- end }}
{{- end }}

{{- define "stampede.logStoreUrl" -}}
{{- default (include "stampede.redisUrl" .) (include "stampede.ownLogStoreUrl" .) }}
{{- end }}

{{- define "stampede.mqttUrl" -}}
{{- if not .Values.mosquitto.enabled -}}
{{ .Values.externalMqtt.url }}
{{- else if .Values.secure.enabled -}}
mqtts://{{ include "stampede.fullname" . }}-mosquitto:8883
{{- else -}}
mqtt://{{ include "stampede.fullname" . }}-mosquitto:1883
{{- end }}
{{- end }}

{{/* Of a service without an address of its own it is the pods' port that counts. */}}
{{- define "stampede.api" -}}
http://{{ include "stampede.fullname" . }}-apiserver:{{ ternary 8080 .Values.apiserver.service.port .Values.apiserver.service.headless }}
{{- end }}

{{- define "stampede.target" -}}
{{- if .Values.target -}}
{{ .Values.target }}
{{- else if .Values.apiserver.enabled -}}
{{ include "stampede.api" . }}
{{- end }}
{{- end }}

{{/* The port of an address. */}}
{{- define "stampede.port" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- $usual := dict "http" "80" "https" "443" "redis" "6379" "rediss" "6379" "mqtt" "1883" "tcp" "1883" "mqtts" "8883" "ssl" "8883" "tls" "8883" -}}
{{- default (get $usual $url.scheme) $port -}}
{{- end }}

{{/* What must be ready before a load begins, as JSON. */}}
{{- define "stampede.waits" -}}
{{- $name := include "stampede.fullname" . -}}
{{- $waits := list -}}
{{- if .Values.apiserver.enabled }}{{ $waits = append $waits (printf "%s/readyz" (include "stampede.api" .)) }}{{ end -}}
{{- if .Values.pushserver.enabled }}{{ $waits = append $waits (printf "http://%s-pushserver:8080/readyz" $name) }}{{ end -}}
{{- if .Values.mqttclient.enabled }}{{ $waits = append $waits (printf "http://%s-mqttclient:8080/readyz" $name) }}{{ end -}}
{{- concat $waits .Values.run.waitFor | toJson }}
{{- end }}

{{/* The Secrets with authorities. */}}
{{- define "stampede.redisCa" -}}
{{- $own := and .Values.secure.enabled (or .Values.redis.enabled .Values.logStore.enabled) -}}
{{- default (ternary .Values.secure.secret "" $own) .Values.redisAccess.ca.secret }}
{{- end }}

{{- define "stampede.mqttCa" -}}
{{- $own := and .Values.secure.enabled .Values.mosquitto.enabled -}}
{{- default (ternary .Values.secure.secret "" $own) .Values.mqttAccess.ca.secret }}
{{- end }}
