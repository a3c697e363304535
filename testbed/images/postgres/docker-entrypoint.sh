#!/bin/bash
# The official image's contract, as far as it is used: POSTGRES_USER, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE,
# POSTGRES_DB, POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD, PGDATA. A database is made where PGDATA holds none.
set -Eeuo pipefail

fail() {
    echo "docker-entrypoint.sh: $*" >&2
    exit 1
}

read_settings() {
    if [[ -n "${POSTGRES_PASSWORD:-}" && -n "${POSTGRES_PASSWORD_FILE:-}" ]]; then
        fail "both POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set: give one"
    fi
    if [[ -n "${POSTGRES_PASSWORD_FILE:-}" ]]; then
        POSTGRES_PASSWORD="$(< "${POSTGRES_PASSWORD_FILE}")"
    fi
    : "${POSTGRES_USER:=postgres}" "${POSTGRES_HOST_AUTH_METHOD:=scram-sha-256}"
    : "${POSTGRES_DB:=${POSTGRES_USER}}"
    if [[ -z "${POSTGRES_PASSWORD:-}" && "${POSTGRES_HOST_AUTH_METHOD}" != trust ]]; then
        fail "no password for the superuser ${POSTGRES_USER}: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE"
    fi
}

# initdb asks for the name of the user that it runs as; a user id given by the pod may have none.
lend_a_name() {
    getent passwd "$(id -u)" > /dev/null && return
    NSS_WRAPPER_PASSWD="$(mktemp)" NSS_WRAPPER_GROUP="$(mktemp)"
    printf 'postgres:x:%s:%s:PostgreSQL:%s:/bin/false\n' "$(id -u)" "$(id -g)" "${PGDATA}" > "${NSS_WRAPPER_PASSWD}"
    printf 'postgres:x:%s:\n' "$(id -g)" > "${NSS_WRAPPER_GROUP}"
    local library
    for library in /usr/lib/*/libnss_wrapper.so; do
        export LD_PRELOAD="${library}" NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
    done
}

# Everything is made in ${PGDATA}/.making and moved up whole, PG_VERSION last: being killed on the way leaves a folder
# that the next start recognises as unfinished (.making, no PG_VERSION) and clears. A folder with foreign files in it
# is never touched.
make_database() {
    local making="${PGDATA}/.making" entry
    if [[ -e "${making}" ]]; then
        echo "docker-entrypoint.sh: clearing an unfinished database in ${PGDATA}"
        find "${PGDATA}" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +
    elif [[ -n "$(find "${PGDATA}" -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit)" ]]; then
        fail "${PGDATA} holds files but no database (no PG_VERSION): empty it, or point PGDATA to another folder"
    fi
    lend_a_name
    mkdir -m 0700 "${making}"
    # shellcheck disable=SC2086 # the arguments are meant to be split
    initdb --pgdata="${making}" --username="${POSTGRES_USER}" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-}") \
        --encoding=UTF8 --auth=trust ${POSTGRES_INITDB_ARGS:-}
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD}" >> "${making}/pg_hba.conf"
    if [[ "${POSTGRES_DB}" != postgres ]]; then
        postgres --single -D "${making}" postgres <<< "CREATE DATABASE \"${POSTGRES_DB//\"/\"\"}\"" > /dev/null
    fi
    sync
    for entry in "${making}"/*; do
        [[ "${entry##*/}" == PG_VERSION ]] || mv "${entry}" "${PGDATA}/"
    done
    mv "${making}/PG_VERSION" "${PGDATA}/"
    rmdir "${making}"
    unset LD_PRELOAD
}

if [[ "${1:-}" == -* ]]; then
    set -- postgres "$@"
fi
if [[ "${1:-}" == postgres ]]; then
    if [[ "$(id -u)" == 0 ]]; then
        install -d -o 999 -g 999 -m 0700 "${PGDATA}"
        exec setpriv --reuid=999 --regid=999 --init-groups "$0" "$@"
    fi
    mkdir -p "${PGDATA}"
    chmod 0700 "${PGDATA}" 2> /dev/null || true # as a volume's own root it may belong to somebody else
    if [[ ! -s "${PGDATA}/PG_VERSION" ]]; then
        read_settings
        make_database
    fi
    unset POSTGRES_PASSWORD
fi
exec "$@"
