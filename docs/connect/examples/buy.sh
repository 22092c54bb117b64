#!/bin/sh
# Buys what an address sells, through the desk, with curl.
#
#   IMPREST_URL=http://127.0.0.1:4020 IMPREST_TOKEN=imp_… sh buy.sh URL
#
# Prints the desk's answer. Ends with 0 when the thing was got, 3 when the rules or the owner said
# no, and 1 when it did not come about.
set -eu

: "${IMPREST_URL:?is not set: the desk’s address}" "${IMPREST_TOKEN:?is not set: this agent’s token}"
url=${1:?is missing: what to buy}
case $url in *[\"\\]*) echo "The address has a quotation mark or a backslash in it." >&2; exit 2 ;; esac

# The key makes it one purchase, however often it is asked for: the same key, never a second payment.
key="example-$(date +%s)-$$"
request=$(printf '{"url":"%s","purpose":"the curl example","idempotency_key":"%s","wait_ms":5000}' "$url" "$key")

while :; do
    # The token goes in by a file descriptor, so that it does not stand in the list of processes.
    answer=$(curl --silent --show-error --fail-with-body \
        --header @- --header "Content-Type: application/json" \
        --data "$request" "$IMPREST_URL/v1/fetch" <<END
Authorization: Bearer $IMPREST_TOKEN
END
    ) || { echo "$answer" >&2; exit 1; }
    case $answer in
        *'"status":"pending"'*) echo "The owner has been asked. Waiting…" >&2 ;;
        *) break ;;
    esac
done

echo "$answer"
case $answer in
    '{"status":"settled"'* | '{"status":"delivered"'* | '{"status":"free"'*) exit 0 ;;
    '{"status":"refused"'*) exit 3 ;;
    *) exit 1 ;;
esac
