#!/bin/sh
# install.sh - an installation serves a program outside of the tree: through pkg-config, shared and static, and
# (RETROGRADE_SLOW=1) as a subproject of another meson project.
# usage: install.sh SOURCE_ROOT BUILD_ROOT COMPILER...
set -eu
source=$1
build=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

meson install -C "$build" --no-rebuild --quiet --destdir "$work/root"
PKG_CONFIG_PATH=$(dirname "$(find "$work/root" -name retrograde.pc)")
PKG_CONFIG_SYSROOT_DIR=$work/root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
libraries=$(dirname "$PKG_CONFIG_PATH")

test -L "$libraries/libretrograde.so"
cp "$source/examples/xor.c" "$work"
# shellcheck disable=SC2046 # the flags are words
"$@" "$work/xor.c" -o "$work/shared" $(pkg-config --cflags --libs retrograde)
LD_LIBRARY_PATH=$libraries "$work/shared" | grep -q 'Epoch 10000'
# shellcheck disable=SC2046
"$@" "$work/xor.c" -o "$work/static" $(pkg-config --cflags retrograde) "$libraries/libretrograde.a" \
    $(pkg-config --libs --static retrograde | sed 's/-lretrograde//')
"$work/static" | grep -q 'Epoch 10000'

if [ -n "${RETROGRADE_SLOW:-}" ]; then
    mkdir -p "$work/user/subprojects"
    ln -s "$source" "$work/user/subprojects/retrograde"
    mv "$work/xor.c" "$work/user"
    cat >"$work/user/meson.build" <<'END'
project('user', 'c')
executable('xor', 'xor.c', dependencies: dependency('retrograde', fallback: 'retrograde'))
END
    unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
    meson setup "$work/user/build" "$work/user" >/dev/null
    if meson introspect --targets "$work/user/build" | grep -q 'retrograde/\(tests\|examples\)/'; then
        echo "a project that uses the library builds its tests and examples too"
        exit 1
    fi
    meson compile -C "$work/user/build" >/dev/null
    "$work/user/build/xor" | grep -q 'Epoch 10000'
fi
