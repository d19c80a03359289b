# by-hand.sh: bash by-hand.sh log.vkey ENTRY.json ENTRY.tlog-proof
set -eu
vkey=$1 entry=$2 proof=$3 tmp=$(mktemp -d); trap 'rm -r "$tmp"' EXIT
hex() { base64 -d | od -An -v -tx1 | tr -d ' \n'; }
raw() { printf '%b' "$(printf %s "$1" | sed 's/../\\x&/g')"; }                    # hex to bytes
sha() { sha256sum | cut -d' ' -f1; }

# 1. The checkpoint: its text is signed by the log's key (33 bytes in the key's text: 01, then Ed25519).
sed '1,/^$/d' "$proof" > "$tmp/note"
sed '/^$/,$d' "$tmp/note" > "$tmp/text"
name=$(cut -d+ -f1 "$vkey")
[ "$(sed -n 1p "$tmp/text")" = "$name" ] || { echo "another log"; exit 1; }
signature=$(grep -F -- "— $name " "$tmp/note" | head -1 | cut -d' ' -f3 | hex)   # 4 bytes name the key, 64 are the signature
raw "${signature:8}" > "$tmp/sig"
{ raw 302a300506032b6570032100; raw "$(cut -d+ -f3- "$vkey" | hex | cut -c3-)"; } > "$tmp/key.der"
openssl pkeyutl -verify -pubin -keyform DER -inkey "$tmp/key.der" -rawin -in "$tmp/text" -sigfile "$tmp/sig" > /dev/null || exit 1

# 2. The entry: its leaf, and from there to the root with the hashes of the proof.
node=$({ raw 00; cat "$entry"; } | sha)
at=$(sed -n 's/^index //p' "$proof") size=$(sed -n 2p "$tmp/text")
number='^(0|[1-9][0-9]{0,17})$'                                                  # bash would run what stands in other ones
[[ $at =~ $number && $size =~ $number ]] && [ "$at" -lt "$size" ] || { echo "no proof"; exit 1; }
last=$((size - 1))
for step in $(sed -n '/^index /,/^$/p' "$proof" | sed '1d;/^$/d'); do
  [ "$last" -gt 0 ] || exit 1
  other=$(printf %s "$step" | hex)
  if [ $((at % 2)) = 1 ] || [ "$at" = "$last" ]; then
    node=$(raw "01$other$node" | sha)
    while [ $((at % 2)) = 0 ] && [ "$at" != 0 ]; do at=$((at / 2)) last=$((last / 2)); done
  else
    node=$(raw "01$node$other" | sha)
  fi
  at=$((at / 2)) last=$((last / 2))
done
[ "$last" = 0 ] && [ "$node" = "$(sed -n 3p "$tmp/text" | hex)" ] || { echo "not in the log"; exit 1; }
echo "in the log of $name, under its checkpoint of $size entries"
