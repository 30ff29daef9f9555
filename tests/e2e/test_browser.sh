#!/usr/bin/env bash
# A real browser (issue 9, items 9 and 10): EventSource.onmessage gets unnamed frames and resumes by their ids; a page
# of another origin, and one whose name leads to the server, change and read nothing (G-901, G-902, G-903).
# Skipped without chromium.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
chromium=$(command -v chromium || command -v chromium-browser) || {
    echo "skipped: there is no chromium"
    exit 77
}

start_server --data :memory: --app "$orders" --listen 127.0.0.1:0 --set log.level=debug --set log.format=json
expect 0 curl -sSf "$url/v1/orders/order/o-1/create" --json '{"customer_id":"c-7"}'
expect 0 curl -sSf "$url/v1/streams/s-1" --json '{"events":[{"type":"T","data":1},{"type":"connected","data":2}]}'

# visit PAGE OPTION…: what the page has become in .out
visit() {
    run timeout "$patience" "$chromium" --headless --no-sandbox --disable-gpu --user-data-dir="$scratch/browser" \
        --host-resolver-rules="MAP evil.example 127.0.0.1" --virtual-time-budget=10000 --dump-dom "${@:2}" "file://$scratch/$1"
}

cat >follow.html <<END
<body><pre id=seen></pre><script>
const log = (line) => { document.getElementById('seen').textContent += line + ';' }
const unnamed = new EventSource('$url/v1/events?after=0&frames=unnamed')
unnamed.onmessage = (e) => log('message ' + e.lastEventId + ' ' + JSON.parse(e.data).type)
unnamed.addEventListener('caught-up', (e) => { log('caught up ' + JSON.parse(e.data).position); unnamed.close() })
</script></body>
END
visit follow.html --disable-web-security # a page of the server's own origin may read; it serves none yet
is "$(grep -o '<pre id="seen">[^<]*' <<<"$out")" \
    '<pre id="seen">message 1 OrderCreated;message 2 T;message 3 connected;caught up 3;'

cat >attack.html <<END
<body><script>
const confirm = '$url/v1/orders/order/o-1/cancel', rebound = 'http://evil.example:$port/v1/events'
fetch(confirm, { method: 'POST', mode: 'no-cors', body: '{"reason":"r"}' }).catch(() => {})
fetch(confirm, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"reason":"r"}' }).catch(() => {})
navigator.sendBeacon(confirm, new Blob(['{"reason":"r"}'], { type: 'text/plain' }))
fetch(rebound, { mode: 'no-cors' }).catch(() => {})
</script><iframe name=f></iframe><form id=form method=post target=f action="$url/v1/orders/order/o-1/cancel"></form>
<script>document.getElementById('form').submit()</script></body>
END
visit attack.html
refused() {
    [ "$(grep -c '"status_code":403' serve.log)" -ge 3 ] && grep -q '"status_code":421' serve.log
}
wait_for refused
is "$(curl -sS "$url/v1/streams/order-o-1" | jq -c '[.events[].type]')" '["OrderCreated"]'
stop_server
finish
