#!/usr/bin/env bash
# One signed call to the gateway, and its answer verified: bash, curl, openssl 1.1.1 or newer. Rules: docs/wire.md, REST.
#
#   ./lgsp.sh IDENTITY GET  '/indicator/v1/values?indicator=KT-05&area=04&period=2026-Q3'
#   ./lgsp.sh IDENTITY POST /field-report/v1/requests report.json [MESSAGE-ID]
#
# Prints the answer. Exit code 0: answered; 1: refused; 2: no answer, or one that does not prove itself.
# Keys on P-256 (as issued by the gateway's own authority). Every call fetches a token of its own; keep it for nine minutes if you call often.
set -euo pipefail

[ $# -ge 3 ] || { echo "usage: $0 IDENTITY GET|POST PATH [FILE [MESSAGE-ID]]" >&2; exit 2; }
identity=$1 method=$2 path=$3 file=${4:-} message_id=${5:-}
case "$method $path" in # these come in parts, and only their head is signed: there is no digest of the whole
  'GET /feeds/'*/export | 'GET /feeds/'*'/export?'*) use='feed-export CONTRACT FILE' ;;
  'GET /feeds/'*'?form=events'* | 'GET /feeds/'*'&form=events'*) use='feed CONTRACT --follow' ;;
esac
[ -z "${use:-}" ] || { echo "not for this sample, nothing was sent: use lgsp client $use" >&2; exit 2; }
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
about() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$identity/system.json"; }
system=$(about system) key_id=$(about sign_key_id) gateway=$(about gateway) gateway_key_id=$(about gateway_key_id)
gateway=${gateway%/}

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
digest() { printf 'sha-256=:%s:' "$(openssl dgst -sha256 -binary "$1" | openssl base64 -A)"; }
not_proven() { echo "not proven: $1" >&2; exit 2; }
ask() { curl --silent --show-error --max-time 30 --cacert "$identity/ca.crt" --cert "$identity/tls.crt" --key "$identity/tls.key" "$@" || exit 2; }

# ECDSA as JOSE and RFC 9421 want it, r and s of 32 bytes each; openssl writes DER.
sign() {
  openssl dgst -sha256 -sign "$identity/sign.key" | openssl asn1parse -inform DER | sed -n 's/.*INTEGER *:\([0-9A-F]*\).*/\1/p' |
    while read -r number; do printf '%64s' "$number" | tr ' ' 0; done | sed 's/../\\x&/g' | { read -r hex || true; printf '%b' "$hex"; }
}
# And back: 64 bytes on standard input, DER in the file named.
der() {
  local hex; hex=$(od -An -v -tx1 | tr -d ' \n')
  [ ${#hex} = 128 ] || not_proven "its signature has not 64 bytes"
  printf 'asn1=SEQUENCE:s\n[s]\nr=INTEGER:0x%s\ns=INTEGER:0x%s\n' "${hex:0:64}" "${hex:64}" >"$work/asn1"
  openssl asn1parse -genconf "$work/asn1" -noout -out "$1"
}

# 1. A token: an assertion signed with our key (RFC 7523), over our client certificate.
now=$(date +%s)
head=$(printf '{"alg":"ES256","typ":"JWT","kid":"%s"}' "$key_id" | base64url)
claims=$(printf '{"iss":"%s","sub":"%s","aud":"%s/oauth/token","iat":%d,"exp":%d,"jti":"%s"}' \
  "$system" "$system" "$gateway" "$now" $((now + 60)) "$(openssl rand -hex 16)" | base64url)
assertion=$head.$claims.$(printf '%s' "$head.$claims" | sign | base64url)
status=$(ask --output "$work/token" --write-out '%{http_code}' "$gateway/oauth/token" --data-urlencode grant_type=client_credentials \
  --data-urlencode client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer --data-urlencode "client_assertion=$assertion")
[ "$status" = 200 ] || { cat "$work/token"; exit 1; }
token=$(sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p' "$work/token")

# 2. The request: every header that stands in the list of docs/wire.md is signed, and each sending is signed anew.
names='"@method" "@target-uri" "authorization"'
lines=$(printf '"@method": %s\n"@target-uri": %s\n"authorization": Bearer %s' "$method" "$gateway$path" "$token")
call=(--request "$method" --header "Authorization: Bearer $token" --header 'Accept: application/json' --header 'Accept-Language: vi')
cover() { # header name, value
  names="$names \"$1\"" lines=$(printf '%s\n"%s": %s' "$lines" "$1" "$2")
  call+=(--header "$1: $2")
}
if [ -n "$file" ]; then
  cover content-type application/json
  cover content-digest "$(digest "$file")"
  call+=(--data-binary "@$file")
fi
# Keep the id of a message, and give it again to repeat the message: it is never handled twice.
[ "$method" != POST ] || cover idempotency-key "\"${message_id:-$(openssl rand -hex 16)}\""
now=$(date +%s)
params="($names);created=$now;expires=$((now + 60));nonce=\"$(openssl rand 18 | base64url)\";keyid=\"$key_id\";tag=\"lgsp-request\""
signature=:$(printf '%s\n"@signature-params": %s' "$lines" "$params" | sign | openssl base64 -A):
call+=(--header "Signature-Input: sig1=$params" --header "Signature: sig1=$signature")
status=$(ask "${call[@]}" --dump-header "$work/head" --output "$work/body" --write-out '%{http_code}' "$gateway$path")
touch "$work/body"

# 3. The answer: believed only if the gateway signed it, whole, and for this very request.
header() { tr -d '\r' <"$work/head" | sed -n "s/^$1: *//Ip" | tail -n 1; }
input=$(header signature-input)
transfer=$(header lgsp-transfer)
if [ -z "$input" ] && [ "$status" -ge 400 ]; then # the gateway signs nothing for a caller who proved nothing
  echo "$status  transfer ${transfer:--}  (not signed)" >&2
  cat "$work/body"
  exit 1
fi
[[ $input =~ ^sig1=(\(([^\)]*)\)(.*))$ ]] || not_proven "not signed"
params=${BASH_REMATCH[1]} covered=" ${BASH_REMATCH[2]} " rest=${BASH_REMATCH[3]}
bound='"signature";req;key="sig1"'
for name in '"@status"' '"content-digest"' "$bound"; do [[ $covered == *" $name "* ]] || not_proven "$name is not signed"; done
for name in content-type lgsp-transfer lgsp-receipt lgsp-checkpoint; do
  [ -z "$(header $name)" ] || [[ $covered == *" \"$name\" "* ]] || not_proven "$name is not signed"
done
[[ $rest == *';tag="lgsp-answer"'* ]] || not_proven "its signature is for something else"
[[ $rest == *";keyid=\"$gateway_key_id\""* ]] || not_proven "signed by a key that is not pinned; see GET /keys"
[[ $rest =~ \;created=([0-9]{1,12}) ]] || not_proven "it does not say when it was made"
age=$(($(date +%s) - BASH_REMATCH[1]))
[ "${age#-}" -le 65 ] || not_proven "too old, or from the future: check the clock"
base=
for name in $covered; do
  case $name in
    '"@status"') value=$status ;;
    "$bound") value=$signature ;;
    *) value=$(header "$(tr -d '"' <<<"$name")") ;;
  esac
  [ -n "$value" ] || not_proven "$name is missing"
  base+="$name: $value"$'\n'
done
header signature | sed -n 's/^sig1=:\(.*\):$/\1/p' | openssl base64 -d -A | der "$work/signature"
openssl x509 -in "$identity/gateway-sign.crt" -noout -pubkey >"$work/gateway.pem"
printf '%s"@signature-params": %s' "$base" "$params" |
  openssl dgst -sha256 -verify "$work/gateway.pem" -signature "$work/signature" >/dev/null 2>&1 || not_proven "the signature does not hold"
[ "$(header content-digest)" = "$(digest "$work/body")" ] || not_proven "the body is another"

echo "$status  transfer ${transfer:--}" >&2
cat "$work/body"
[ "$status" -lt 300 ]
