#!/bin/sh
# What curl and openssl s_client see of a server with a certificate.
work=build/interop/s_client
tls=build/interop/tls
mkdir -p $work
passed=0 failed=0 skipped=0 children=
trap 'for child in $children; do kill -9 "$child" 2>/dev/null; done' EXIT

expect() { # NAME GOT WANTED-PATTERN
    case $2 in
    $3) passed=$((passed + 1)); echo "ok      tls: $1" ;;
    *) failed=$((failed + 1)); echo "FAILED  tls: $1: got \"$2\", not \"$3\"" ;;
    esac
}

finish() {
    [ $skipped -eq 0 ] && rest= || rest=", $skipped skipped"
    echo "$passed passed, $failed failed$rest"
    [ $failed -eq 0 ]
    exit
}

start() { # PROGRAM ARGUMENT...: sets child and address
    : >$work/address
    "$@" >$work/address 2>$work/errors &
    child=$!
    children="$children $child"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
        [ -s $work/address ] && break
        kill -0 $child 2>/dev/null || break
        sleep 0.1
    done
    address=$(sed q $work/address)
    port=${address##*:}
    port=${port%/}
}

command -v openssl >/dev/null || { echo "no openssl"; skipped=1; finish; }
[ -f $tls/server.pem ] || tests/interop/certificates
start build/rooms 0 --cert $tls/server.pem --key $tls/server.key
if grep -q 'is not an option' $work/errors; then
    echo "built without TLS"
    skipped=1
    finish
fi
expect "the address is printed" "$address" "https://127.0.0.1:[0-9]*/"
place=127.0.0.1:$port

# --- curl ---

request() { curl -s --noproxy '*' --max-time 5 -o $work/body "$@" 2>/dev/null; }
if command -v curl >/dev/null; then
    expect "curl verifies the chain" \
        "$(request --cacert $tls/ca.pem -w '%{http_code} %{http_version}' "$address")" "200 1.1"
    expect "and gets the page" "$(tail -c 10 $work/body)" "*</script>"
    expect "the name too" "$(request --cacert $tls/ca.pem -w '%{http_code}' "https://localhost:$port/")" 200
    request --cacert $tls/ca.pem --resolve "other.example:$port:127.0.0.1" "https://other.example:$port/"
    expect "but not another name" $? 60
    request --cacert $tls/stranger.pem "$address"
    expect "another authority is refused" $? 60
    expect "two requests on one connection" "$(request --cacert $tls/ca.pem -o $work/body -w '%{num_connects} ' \
        "$address" "${address}page.css")" "1 0 "
    expect "the handshake" "$(request --cacert $tls/ca.pem --http1.1 --max-time 1 -w '%{http_code}' \
        -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
        -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "${address}ws/lobby")" 101
    expect "a page of the same origin" "$(request --cacert $tls/ca.pem --http1.1 --max-time 1 -w '%{http_code}' \
        -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H "Origin: ${address%/}" \
        -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "${address}ws/lobby")" 101
    request "http://$place/"
    [ $? -ne 0 ] && refused=yes || refused=no
    expect "plain HTTP on this port is refused" $refused yes
else
    skipped=$((skipped + 1))
fi

# --- openssl s_client ---

# One request; the server ends the connection, s_client reads it to its end.
client() {
    printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$place" |
        timeout 10 openssl s_client -connect "$place" -CAfile $tls/ca.pem -ign_eof "$@" >$work/client 2>&1
}
told() { grep -ac "$1" $work/client; }

for version in 2 3; do
    client -tls1_$version -verify_return_error -verify_hostname localhost -servername localhost -alpn h2,http/1.1 -msg
    expect "TLS 1.$version" "$(grep -aE '^ *Protocol *: |^New, ' $work/client | tr -d '\n')" "*TLSv1.$version*"
    expect "TLS 1.$version: the chain is verified" "$(told 'Verify return code: 0 (ok)')" "[1-9]*"
    expect "TLS 1.$version: ALPN" "$(grep -a '^ALPN' $work/client)" "ALPN protocol: http/1.1"
    expect "TLS 1.$version: the page" "$(told '^HTTP/1.1 200')" 1
    expect "TLS 1.$version: close_notify at the end" "$(told '<<< .*warning close_notify')" 1
    expect "TLS 1.$version: two certificates are sent" "$(grep -acE '^ [0-9] s:' $work/client)" 2
done
for version in 1 1_1; do
    client -tls$version -cipher DEFAULT@SECLEVEL=0
    expect "tls$version is refused" "$(told 'alert protocol version')" "[1-9]*"
done
client -alpn h2
expect "only h2: not agreed on" "$(told '^ALPN protocol: h2')" 0
client -cipher aNULL:eNULL@SECLEVEL=0 -tls1_2
expect "no ciphers without authentication or encryption" "$(told 'Cipher is (NONE)')" 1
client -tls1_2 -reconnect
expect "TLS 1.2: sessions are resumed" "$(told '^Reused, TLSv1.2')" 5
rm -f $work/session
client -tls1_3 -sess_out $work/session
client -tls1_3 -sess_in $work/session
expect "TLS 1.3: sessions are resumed" "$(told '^Reused, TLSv1.3')" 1
expect "and serve" "$(told '^HTTP/1.1 200')" 1
(sleep 0.3; echo R; sleep 0.5) | timeout 5 openssl s_client -connect "$place" -tls1_2 >$work/client 2>&1
expect "renegotiation does no harm" "$(client -tls1_3; told '^HTTP/1.1 200')" 1
head -c 3000 /dev/urandom | timeout 2 openssl s_client -connect "$place" -quiet >/dev/null 2>&1
expect "nor do random bytes inside" "$(client -tls1_3; told '^HTTP/1.1 200')" 1
kill -TERM $child
wait $child
expect "SIGTERM ends it with 0" $? 0
expect "without a word" "$(cat $work/errors)" ""

# --- files that will not do ---

refused() { # WHAT WANTED-PATTERN ARGUMENT...
    what=$1 wanted=$2
    shift 2
    timeout 5 build/echo 0 "$@" >$work/output 2>&1
    expect "$what: ends with 1 and says so" "$? $(cat $work/output)" "1 echo: $wanted"
}
refused "no such file" "*no/such.pem*" --cert no/such.pem --key $tls/server.key
refused "no such key" "*no/such.key*" --cert $tls/server.pem --key no/such.key
refused "another's key" "*key*" --cert $tls/server.pem --key $tls/client.key
refused "no certificate in it" "*$tls/server.key*" --cert $tls/server.key --key $tls/server.key
refused "a certificate without key" "*key*" --cert $tls/server.pem
timeout 5 build/echo 0 --key $tls/server.key >$work/output 2>&1
expect "a key without certificate is bad usage" "$? $(cat $work/output)" "2 echo: \"--key\" needs --cert beside it*"
finish
