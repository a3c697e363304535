#!/usr/bin/env bash
# Ready once the cluster has been green since this process began: a roll then takes the next node only when every shard
# has all its copies again. From then on, as long as the node answers. A cluster that can't become green must still be
# reached, to be mended: after PATIENCE seconds a node that answers is ready all the same.
set -u
PATIENCE=1200
CONFIG=/usr/share/elasticsearch/config

ask() {
  curl --silent --show-error --max-time 8 --cacert "$CONFIG/certs/ca.crt" --config /run/secrets/elastic/curl.conf \
    "https://localhost:9200$1"
}

# Fields 3 and on of /proc/1/stat; the 22nd is the start, in hundredths of a second since the machine's.
about=$(</proc/1/stat)
read -r -a fields <<<"${about##*) }"
started=${fields[19]}
read -r up _ </proc/uptime
age=$((${up%%.*} - started / 100))
marker=/tmp/was-green-$started

if [ -e "$marker" ] || [ "$age" -ge "$PATIENCE" ]; then
  ask / >/dev/null
elif ask '/_cluster/health?filter_path=status' | grep -q '"status":"green"'; then
  touch "$marker"
else
  exit 1
fi
