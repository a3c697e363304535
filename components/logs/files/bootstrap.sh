#!/usr/bin/env bash
# Applies a plan, one line after the other: VERB PATH [FILE]. What is as it should be stays so.
#   PUT    says how something has to be
#   MAKE   makes what isn't there
#   DROP   deletes what is there
#   IMPORT sends a file of saved objects to Kibana
# $1 is the plan's folder, $SERVER who is told, $AUTHORITY the certificate that it is known by (none: plain HTTP).
set -euo pipefail
folder=$1
answer=/tmp/answer
common=(--silent --show-error --globoff --max-time 120 --config /run/secrets/elastic/curl.conf --output "$answer")
common+=(--write-out '%{http_code}')
[ -z "${AUTHORITY:-}" ] || common+=(--cacert "$AUTHORITY")

# Prints the status. Connections that fail and servers that are busy are tried again.
ask() {
  local verb=$1 path=$2
  shift 2
  curl "${common[@]}" --retry 8 --retry-delay 5 --retry-connrefused --request "$verb" "$@" "$SERVER$path"
}

apply() {
  local verb=$1 path=$2 file=${3:-} status
  case $verb in
  PUT) status=$(ask PUT "$path" --header 'Content-Type: application/json' --data-binary "@$folder/$file") ;;
  MAKE)
    status=$(ask GET "$path")
    [ "$status" != 404 ] || status=$(ask PUT "$path")
    ;;
  DROP)
    status=$(ask DELETE "$path")
    [ "$status" != 404 ] || status=200
    ;;
  IMPORT) status=$(ask POST "$path" --header 'kbn-xsrf: platform' --form "file=@$folder/$file") ;;
  *)
    echo "the plan has an unknown verb: $verb" >&2
    return 1
    ;;
  esac
  echo "$verb $path: $status"
  case $status in 200 | 201) ;; *)
    head -c 2000 "$answer" >&2
    echo >&2
    return 1
    ;;
  esac
  # Kibana says so where some of the objects were refused.
  if [ "$verb" = IMPORT ] && ! grep -q '"success":true' "$answer"; then
    head -c 4000 "$answer" >&2
    return 1
  fi
}

for ((turn = 1; ; turn++)); do
  status=$(curl "${common[@]}" "$SERVER$HEALTH" || true)
  [ "$status" != 200 ] || break
  if [ "$turn" -ge 60 ]; then
    echo "$SERVER$HEALTH says $status after $turn looks" >&2
    exit 1
  fi
  sleep 10
done
while read -r verb path file; do
  apply "$verb" "$path" "$file"
done <"$folder/plan"
