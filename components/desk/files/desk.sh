#!/usr/bin/env bash
# Makes a role and a database for each request, and drops those that nobody asks for any more. Run by bash, beside the
# administrator's password. Only ever touches roles that bear this desk's mark.
folder=/run/requests
settled=
trap 'exit 0' TERM

ask() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --set="mark=$DESK_MARK" "$@"; }

make() { # request's folder, its name
  local connections role=airflow_${2//-/_}
  # What heard the request is not trusted: it runs on an image that DAG authors build.
  [[ $2 =~ ^dev-[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$ ]] || { echo "request $2: no such name"; return; }
  connections=$(cat "$1/connections")
  [[ $connections =~ ^[1-9][0-9]{0,2}$ ]] || { echo "request $2: no such number of connections"; return; }
  cp "$1/password" /run/secrets/role/password || return 1
  # Refused for good where the name is somebody else's: trying again would not help.
  if [[ $(ask --set="role=$role" --file=/run/desk/theirs.sql) != 0 ]]; then
    echo "request $2: there is a role or database $role that is no dev stack's; left alone"
    return
  fi
  ask --set="role=$role" --file=/run/desk/mark.sql &&
    psql --no-psqlrc --set="role=$role" --set="database=$role" --set="connections=$connections" --set=others=false \
      --file=/run/desk/bootstrap.sql
}

while true; do
  list=$(readlink "$folder/asked")
  if [[ -n $list && $list != "$settled" ]]; then
    good=yes wanted=
    for request in "$list"/*/; do
      [[ -d $request ]] || continue
      name=$(basename "$request")
      wanted+=" airflow_${name//-/_}"
      make "${request%/}" "$name" || good=
    done
    roles=$(ask --file=/run/desk/ours.sql) || good=
    if [[ -n $good ]]; then
      for role in $roles; do
        [[ " $wanted " == *" $role "* ]] && continue
        if ask --set="role=$role" --file=/run/desk/drop.sql; then
          echo "dropped role and database $role"
        else
          good=
        fi
      done
      ask --file=/run/desk/ours.sql >"$folder/made.new" && mv "$folder/made.new" "$folder/made" || good=
    fi
    rm -f /run/secrets/role/password
    # Otherwise once more: the list did not change, but not all of it could be done.
    [[ -n $good ]] && settled=$list
  fi
  touch "$folder/worked"
  sleep 1 &
  wait $!
done
