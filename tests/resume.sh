#!/bin/sh
# resume.sh CHAR_LSTM TEXT - a training that was broken off and resumed ends with the file of one without a break, bit for bit.
set -eu
program=$1
text=$2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
train() {
    file=$directory/$1
    shift
    "$program" --hidden 12 --threads 1 --weights "$file" "$@" "$text"
}
# The text has five or six pieces: the break is within its second pass.
train whole --steps 20
train broken --steps 7
train broken --resume --steps 13
cmp "$directory/whole" "$directory/broken"
