#!/bin/sh
# usage.sh PROGRAM - asked for help a program gives it and ends well; given what it does not know it says how it is used.
set -eu
program=$1
name=$(basename "$program")
fail() {
    echo "$name $*"
    exit 1
}
wrong=$(mktemp)
trap 'rm -f "$wrong"' EXIT
help=$("$program" --help 2>"$wrong") || fail "--help ends with exit code $?"
case $help in
"usage: $name"*) ;;
*) fail "--help begins with: $help" ;;
esac
[ ! -s "$wrong" ] || fail "--help complains: $(cat "$wrong")"
[ "$("$program" -h)" = "$help" ] || fail "-h says something else than --help"
for arguments in --nonsense "--nonsense 1"; do
    code=0
    # shellcheck disable=SC2086
    output=$("$program" $arguments 2>"$wrong") || code=$?
    [ "$code" = 2 ] || fail "$arguments ends with exit code $code"
    [ -z "$output" ] || fail "$arguments writes to standard output: $output"
    grep -q -e --nonsense "$wrong" || fail "$arguments is not named: $(cat "$wrong")"
    grep -q "^usage: $name" "$wrong" || fail "$arguments does not lead to its usage: $(cat "$wrong")"
done
