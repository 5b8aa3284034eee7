#!/bin/sh
# What curl sees of the examples: pages, statuses, the opening handshake; and how a program ends.
command -v curl >/dev/null || { echo "no curl"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
work=build/interop/curl
mkdir -p $work
passed=0 failed=0 children=
trap 'for child in $children; do kill -9 "$child" 2>/dev/null; done' EXIT

expect() { # NAME GOT WANTED-PATTERN
    case $2 in
    $3) passed=$((passed + 1)); echo "ok      curl: $1" ;;
    *) failed=$((failed + 1)); echo "FAILED  curl: $1: got \"$2\", not \"$3\"" ;;
    esac
}

start() { # PROGRAM ARGUMENT...: sets child, and address to what it printed
    : >$work/address
    "$@" >$work/address 2>$work/errors &
    child=$!
    children="$children $child"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
        [ -s $work/address ] && break
        sleep 0.1
    done
    address=$(sed 's/^ws:/http:/; q' $work/address)
}

request() { curl -s --http1.1 --noproxy '*' --max-time 5 "$@"; }
header() { tr -d '\r' <$work/head | sed -n "s/^$1: //Ip"; }
status() { request -o $work/body -D $work/head -w '%{http_code}' "$@"; }

start build/rooms 0
expect "the address is printed" "$address" "http://127.0.0.1:[0-9]*/"
expect "the page" "$(status "$address")" 200
expect "it is HTML" "$(header content-type)" "text/html; charset=utf-8"
expect "Content-Length is right" "$(header content-length)" "$(wc -c <$work/body | tr -d ' ')"
length=$(header content-length)
expect "it is complete" "$(tail -c 20 $work/body)" "*</script>"
expect "HEAD" "$(status --head "$address")" 200
expect "HEAD has the same Content-Length" "$(header content-length)" "$length"
expect "the page with a query" "$(status "$address?a=b")" 200
expect "the style sheet" "$(status "${address}page.css") $(header content-type)" "200 text/css; charset=utf-8"
expect "an unknown path" "$(status "${address}nothing")" 404
expect "POST to a page" "$(status -X POST "$address")" 405
expect "GET on a WebSocket route" "$(status "${address}ws/lobby")" 426
expect "it names the upgrade" "$(header upgrade)" websocket
expect "two requests on one connection" \
    "$(request -o $work/body -o $work/body -w '%{num_connects} ' "$address" "$address")" "1 0 "

shake() { # URL, and what differs from a good handshake
    status --max-time 1 -H 'Connection: keep-alive, Upgrade' -H 'Upgrade: WebSocket' \
        -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "$@"
}
version='Sec-WebSocket-Version: 13'
expect "the handshake" "$(shake -H "$version" "${address}ws/lobby")" 101
expect "the RFC's accept value" "$(header sec-websocket-accept)" "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
expect "no subprotocol is invented" "$(shake -H "$version" -H 'Sec-WebSocket-Protocol: a' "${address}ws/lobby"
    )$(header sec-websocket-protocol)" 101
expect "no extension is invented" "$(shake -H "$version" -H 'Sec-WebSocket-Extensions: x-none' "${address}ws/lobby"
    )$(header sec-websocket-extensions)" 101
expect "version 12" "$(shake -H 'Sec-WebSocket-Version: 12' "${address}ws/lobby")" 426
expect "it names version 13" "$(header sec-websocket-version)" 13
expect "a handshake on an unknown path" "$(shake -H "$version" "${address}nothing")" 404
expect "a page of the same origin" "$(shake -H "$version" -H "Origin: ${address%/}" "${address}ws/lobby")" 101
expect "a page of another origin" "$(shake -H "$version" -H 'Origin: http://other.example' "${address}ws/lobby")" 403
expect "a handshake without key" "$(status -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H "$version" \
    "${address}ws/lobby")" 400

port=${address##*:}
port=${port%/}
timeout 5 build/chat "$port" >$work/output 2>&1
expect "a port in use ends with 1" $? 1
expect "and says so" "$(cat $work/output)" "chat: *127.0.0.1*$port*"
kill -TERM "$child"
wait "$child"
expect "SIGTERM ends it with 0" $? 0
expect "without a word" "$(cat $work/errors)" ""
start build/chat --host ::1 0
if [ -s $work/address ]; then
    expect "IPv6" "$address $(status -g "$address")" "http://*::1*:[0-9]*/ 200"
    kill -INT "$child"
    wait "$child"
    expect "Ctrl-C ends it with 0" $? 0
else
    expect "without IPv6 it says so" "$(cat $work/errors)" "chat: *::1*"
fi
for name in echo chat rooms; do
    timeout 5 build/$name --help >$work/output 2>&1
    expect "$name --help ends with 0" "$? $(cat $work/output)" "0 usage: $name*"
    timeout 5 build/$name --nonsense >$work/output 2>&1
    expect "$name with a bad argument ends with 2" "$? $(cat $work/output)" "2 $name: *--nonsense*usage: $name*"
    timeout 5 build/$name 65536 >$work/output 2>&1
    expect "$name with a bad port ends with 2" $? 2
    timeout 5 build/$name 0 --host nowhere.invalid >$work/output 2>&1
    expect "$name with a bad address ends with 1" "$? $(cat $work/output)" "1 $name: *nowhere.invalid*"
done

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
