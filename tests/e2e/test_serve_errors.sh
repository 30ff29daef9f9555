#!/usr/bin/env bash
# Every start that must fail: one clear sentence, exit code 1 (78 for a faulty configuration), nothing on
# standard output, and what had started is stopped again.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

refused() {
    local code_wanted=$1 text=$2
    shift 2
    expect "$code_wanted" timeout "$patience" "$excore" serve "$@"
    has "$err" "$text"
    has "$err" "excore serve: "
    is "$out" ""
}

# ---- The directory ----
refused 1 "the directory above is missing" --data missing/store
touch file
refused 1 "/file' is not a directory" --data file
mkdir readonly
chmod 555 readonly
if [ "$(id -u)" = 0 ]; then
    # Root writes whatever the mode says, so somebody else tries.
    chmod 755 .
    expect 1 setpriv --reuid=65534 --regid=65534 --clear-groups "$excore" serve --data "$scratch/readonly"
else
    expect 1 "$excore" serve --data readonly
fi
has "$err" "excore serve: "
has "$err" "readonly"
has "$err" "Permission denied"

expect 0 "$excore" append s T '{}' --data newer
# user_version stands at offset 60 of the file, big-endian: 999
printf '\000\000\003\347' | dd of=newer/events.db bs=1 seek=60 conv=notrunc status=none
refused 1 "999" --data newer
has "$err" "newer"
expect 1 "$excore" read s --data newer
has "$err" "999"

mkdir alien
printf 'this is not a database, and longer than any header of one is%.0s' {1..20} >alien/events.db
refused 1 "alien" --data alien

start_server --data taken --listen 127.0.0.1:0
refused 1 "/taken' is in use by process $server" --data taken --listen 127.0.0.1:0

# ---- The address ----
refused 1 "cannot listen on 127.0.0.1:$port: address already in use" --data other --listen "127.0.0.1:$port"
# The store had been opened before that, and is free again.
expect 0 "$excore" append s T '{}' --data other
refused 1 "192.0.2.1" --data other --listen 192.0.2.1:0
refused 78 "server.port: 65536 is not within 0 to 65535" --data other --listen 127.0.0.1:65536
refused 2 "'--listen'" --data other --listen 127.0.0.1:http
refused 2 "an IPv6 address stands in brackets" --data other --listen ::1:0
stop_server

# ---- The configuration: every fault, each with its place ----
cat >faulty.yaml <<'YAML'
server:
  port: 70000
  prot: 8080
  idle_timeout: soon
store:
  durability: sometimes
YAML
refused 78 "the configuration is faulty:" --data other --config faulty.yaml --set api.log_page_events=0
for text in 'faulty.yaml:2: server.port: 70000 is not within 0 to 65535' 'faulty.yaml:3: server.prot: unknown key' \
    'faulty.yaml:4: server.idle_timeout: "soon"' 'faulty.yaml:6: store.durability: "sometimes"' 'api.log_page_events'; do
    has "$err" "$text"
done
refused 78 "nowhere.yaml" --config nowhere.yaml
refused 1 "no/such/dir" --data other --set log.output=no/such/dir/log
printf 'server: [\n' >broken.yaml
refused 78 "broken.yaml:" --config broken.yaml

# ---- The application ----
refused 1 "application missing.so: no such file" --data other --app missing.so
echo text >text.so
refused 1 "application text.so does not load: " --data other --app text.so
if command -v cc >/dev/null; then
    echo 'int nothing;' | cc -shared -fPIC -x c - -o empty.so
    refused 1 "application empty.so has no function excore_app" --data other --app empty.so
    echo 'const void *excore_app(void) { static const unsigned app[16] = {999}; return app; }' |
        cc -shared -fPIC -x c - -o old.so
    refused 1 "application ./old.so is built for version 999 of the interface" --data other --app ./old.so
    echo 'void ex_no_such_function(void); void *excore_app(void) { ex_no_such_function(); return 0; }' |
        cc -shared -fPIC -x c - -o unresolved.so
    refused 1 "ex_no_such_function" --data other --app unresolved.so
    echo 'const void *excore_app(void) { return 0; }' | cc -shared -fPIC -x c - -o null.so
    refused 1 "excore_app gives NULL" --data other --app null.so
fi
# Nothing of all that is in the way of a good start.
start_server --data other --listen 127.0.0.1:0
stop_server
is "$code" 0
finish
