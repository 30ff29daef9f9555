#!/usr/bin/env bash
# A private PostgreSQL of the project's own, everything in one folder.
#
#   postgres.sh start [--tcp] DIR    make the cluster if need be, start it, wait until it answers
#   postgres.sh stop DIR             stop it cleanly; its data stay
#   postgres.sh remove DIR           stop it and remove all of it, wherever its data are
#   postgres.sh kill DIR             end it as a crash would (SIGKILL), for tests
#   postgres.sh url [--tcp] DIR      print its URL: through its socket, or through loopback with a password
#   postgres.sh with DIR COMMAND…    run a command with EXCORE_TEST_POSTGRES, EXCORE_TEST_POSTGRES_TCP and
#                                    EXCORE_TEST_POSTGRES_SH (this script) set
#
# start prints the URL, and does nothing else when the server runs already. The role excore owns the
# database excore and is superuser. Without --tcp no port is opened. Needs Debian's `postgresql`, no
# root role; PostgreSQL refuses to run as root, so root runs it as the user postgres or nobody.
# Settings can be added in EXCORE_POSTGRES_OPTIONS, e.g. "-c shared_buffers=1GB".
set -euo pipefail

usage() {
    sed -n '4,10s/^# *//p' "$0" >&2
    exit 2
}

fail() {
    echo "postgres.sh: $*" >&2
    exit 1
}

# The folder with initdb, postgres and pg_ctl: pg_config's, else the newest that Debian installed.
find_programs() {
    local dir
    for dir in "$(pg_config --bindir 2>/dev/null || true)" \
        $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t/ -k5,5nr); do
        if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ]; then
            echo "$dir"
            return
        fi
    done
    fail "PostgreSQL's server programs are not installed (Debian: apt-get install postgresql)"
}

# Run as the owner of the cluster: ourselves, or for root a user that PostgreSQL accepts. Paths are
# absolute: that user may not see where we stand.
as_owner() (
    cd /
    if [ "$(id -u)" -ne 0 ]; then
        "$@"
    else
        setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups \
            env HOME=/ PATH="$PATH" LC_ALL=C "$@"
    fi
)

# Where data and socket are. Not in DIR itself when the owner cannot reach it (a clone below /root);
# the socket apart when its path would not fit into the 107 bytes of a socket address.
choose_places() {
    local place
    mkdir -p "$dir"
    [ ! -s "$dir/data.place" ] || return 0
    place=$dir
    if [ "$(id -u)" -eq 0 ]; then
        if ! as_owner test -x "$dir"; then
            place=$(mktemp -d "${TMPDIR:-/var/tmp}/excore-postgres.XXXXXX")
            chmod 755 "$place"
        fi
    fi
    mkdir -p "$place/data" "$place/socket"
    if [ ${#place} -gt 80 ]; then
        rmdir "$place/socket"
        socket=$(mktemp -d /tmp/excore-postgres.XXXXXX)
    else
        socket=$place/socket
    fi
    : >"$place/log"
    if [ "$(id -u)" -eq 0 ]; then
        chown "$owner" "$place/data" "$socket" "$place/log"
    fi
    chmod 700 "$place/data" "$socket"
    echo "$socket" >"$dir/socket.place"
    echo "$place" >"$dir/data.place"
}

read_places() {
    [ -s "$dir/data.place" ] || fail "no cluster in $dir"
    place=$(<"$dir/data.place")
    socket=$(<"$dir/socket.place")
    data=$place/data
    port=5432 # without --tcp only part of the socket's name
    [ ! -s "$dir/port" ] || port=$(<"$dir/port")
}

random_word() {
    od -An -N12 -tx1 /dev/urandom | tr -d ' \n'
}

make_cluster() {
    [ ! -s "$data/PG_VERSION" ] || return 0
    (umask 077 && random_word >"$place/password")
    if [ "$(id -u)" -eq 0 ]; then
        chown "$owner" "$place/password"
    fi
    as_owner "$programs/initdb" -D "$data" -U excore -E UTF8 --locale=C.UTF-8 \
        --auth-local=trust --auth-host=scram-sha-256 --pwfile="$place/password" >"$dir/initdb.log" 2>&1 ||
        fail "initdb failed, see $dir/initdb.log"
}

is_running() {
    [ -s "$data/postmaster.pid" ] && as_owner "$programs/pg_ctl" status -D "$data" >/dev/null
}

# Start with the port in $port; fails when the server does not come up.
launch() {
    local listen=""
    [ ! -s "$dir/port" ] || listen=127.0.0.1
    # pg_ctl hands them to a shell: a line break would end the command
    local options="-k '$socket' -p $port -c listen_addresses=$listen -c max_connections=200 -c fsync=on"
    as_owner "$programs/pg_ctl" start -w -t 60 -s -D "$data" -l "$place/log" \
        -o "$options ${EXCORE_POSTGRES_OPTIONS:-}" </dev/null >/dev/null 2>&1
}

# A port can only be taken by trying: PostgreSQL does not let the kernel choose.
launch_on_some_port() {
    local tries
    if [ -s "$dir/port" ] && launch; then
        return 0
    fi
    for tries in 1 2 3 4 5 6 7 8; do
        port=$((20000 + (RANDOM + tries) % 12000))
        echo "$port" >"$dir/port"
        if launch; then
            return 0
        fi
        grep -q "Address already in use" "$place/log" || return 1
    done
    return 1
}

start() {
    choose_places
    read_places
    make_cluster
    if ! is_running; then
        if [ -n "$tcp" ] || [ -s "$dir/port" ]; then
            launch_on_some_port || fail "PostgreSQL does not start, see $place/log"
        else
            launch || fail "PostgreSQL does not start, see $place/log"
        fi
    elif [ -n "$tcp" ] && [ ! -s "$dir/port" ]; then
        fail "the server in $dir runs without a TCP port: stop it first"
    fi
    as_owner "$programs/createdb" -h "$socket" -p "$port" -U excore excore 2>/dev/null || true
    url
}

encode() {
    local text=$1 out="" c i
    for ((i = 0; i < ${#text}; i++)); do
        c=${text:i:1}
        case $c in
        [A-Za-z0-9/._~-]) out+=$c ;;
        *) out+=$(printf '%%%02X' "'$c") ;;
        esac
    done
    echo "$out"
}

url() {
    if [ -z "$tcp" ]; then
        echo "postgres://excore@/excore?host=$(encode "$socket")&port=$port"
    elif [ -s "$dir/port" ]; then
        echo "postgres://excore:$(<"$place/password")@127.0.0.1:$port/excore"
    else
        fail "the cluster in $dir has no TCP port (start --tcp)"
    fi
}

stop() {
    if is_running; then
        as_owner "$programs/pg_ctl" stop -m fast -w -t 60 -s -D "$data" || fail "PostgreSQL does not stop, see $place/log"
    fi
}

remove() {
    stop
    rm -rf "$place/data" "$socket"
    rm -f "$place/log" "$place/password" "$dir"/{data.place,socket.place,port,initdb.log}
    rmdir "$place" "$dir" 2>/dev/null || true # what is not ours stays
}

# SIGKILL to the server and its children, as a crash of the machine would.
kill_server() {
    local pid children
    is_running || fail "no server runs in $dir"
    pid=$(head -n 1 "$data/postmaster.pid")
    children=$(cat "/proc/$pid/task/$pid/children")
    # shellcheck disable=SC2086
    kill -9 "$pid" $children 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.02
    done
}

[ $# -ge 2 ] || usage
verb=$1
shift
tcp=""
if [ "$1" = --tcp ]; then
    tcp=1
    shift
fi
[ $# -ge 1 ] || usage
case $1 in
/*) dir=$1 ;;
*) dir=$PWD/$1 ;;
esac
shift
if [ "$verb" != with ] && [ $# -gt 0 ]; then
    usage
fi
owner=postgres
id "$owner" >/dev/null 2>&1 || owner=nobody
programs=$(find_programs)

case $verb in
start) start ;;
stop)
    if [ -s "$dir/data.place" ]; then
        read_places
        stop
    fi
    ;;
remove)
    if [ -s "$dir/data.place" ]; then
        read_places
        remove
    fi
    ;;
kill)
    read_places
    kill_server
    ;;
url)
    read_places
    url
    ;;
with)
    [ $# -ge 1 ] || usage
    read_places
    EXCORE_TEST_POSTGRES=$(url)
    tcp=1
    [ ! -s "$dir/port" ] || EXCORE_TEST_POSTGRES_TCP=$(url)
    EXCORE_TEST_POSTGRES_SH=$(cd "$(dirname "$0")" && pwd)/postgres.sh
    export EXCORE_TEST_POSTGRES EXCORE_TEST_POSTGRES_TCP EXCORE_TEST_POSTGRES_SH
    exec "$@"
    ;;
*) usage ;;
esac
