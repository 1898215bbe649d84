#!/bin/sh
# check.sh -- the installed library, seen by a stranger: pkg-config alone must be enough.
# Also: every header compiles alone, in both languages; DESTDIR and uninstall are clean.
set -u
build=$(cd "${BUILD:-build}" && pwd)
make=${MAKE:-make}
root=$build/abi
strict="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"
passed=0 failed=0 skipped=0

rm -rf "$root"
mkdir -p "$root"

# verdict NAME: by the last command's code; the log is printed when it failed
verdict() {
    code=$?
    if [ $code = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $1"
        sed 's/^/    /' "$root/log" | tail -n 20
    fi
}

skip() { echo "skipped: $1"; skipped=$((skipped + 1)); }

install_to() { "$make" --no-print-directory install "$@" BUILD="$build" > "$root/log" 2>&1; }

install_to prefix="$root/prefix"
verdict "make install"

PKG_CONFIG_PATH=$root/prefix/lib/pkgconfig
export PKG_CONFIG_PATH

# use NAME LINK-MODE COMPILER FLAGS...
use() {
    name=$1 mode=$2
    shift 2
    flags=$(pkg-config --cflags --libs robust)
    [ "$mode" = static ] && flags=$(pkg-config --cflags --libs --static robust)
    # shellcheck disable=SC2086
    "$@" $strict tests/abi/use.c -x none $flags -o "$root/use" > "$root/log" 2>&1 &&
        LD_LIBRARY_PATH=$root/prefix/lib "$root/use" > "$root/log" 2>&1
    verdict "$name, $mode"
}

languages() {
    mode=$1
    for pair in gcc:g++ clang:clang++; do
        c=${pair%:*} cxx=${pair#*:}
        if command -v "$c" > /dev/null; then use "$c C11" "$mode" "$c" -std=c11 -x c
        else skip "$c is not installed"; fi
        if command -v "$cxx" > /dev/null; then use "$cxx C++17" "$mode" "$cxx" -std=c++17 -x c++
        else skip "$cxx is not installed"; fi
    done
}

languages shared
readelf -d "$root/prefix/lib/librobust.so" > "$root/log" 2>&1 &&
    grep -q 'SONAME.*\[librobust\.so\.0\]' "$root/log"
verdict "soname"

# without the shared library the same flags plus --static must do
rm -f "$root"/prefix/lib/librobust.so*
languages static

for header in include/robust.h include/robust/*.h; do
    name=${header#include/}
    for language in "gcc -std=c11 -x c" "g++ -std=c++17 -x c++" \
        "clang -std=c11 -x c" "clang++ -std=c++17 -x c++"; do
        command -v "${language%% *}" > /dev/null || continue
        # shellcheck disable=SC2086
        echo "#include <$name>" | $language $strict -fsyntax-only \
            -I"$root/prefix/include" - > "$root/log" 2>&1
        verdict "$name alone, ${language%% *}"
    done
done

install_to DESTDIR="$root/stage" prefix=/usr &&
    grep -q '^prefix=/usr$' "$root/stage/usr/lib/pkgconfig/robust.pc"
verdict "install with DESTDIR"
"$make" --no-print-directory uninstall DESTDIR="$root/stage" prefix=/usr > "$root/log" 2>&1 &&
    [ -z "$(find "$root/stage" -type f -o -type l)" ]
verdict "uninstall leaves no file"

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
