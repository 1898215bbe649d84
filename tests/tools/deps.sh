#!/bin/sh
# deps.sh -- install what is missing to build and test librobust; nothing when all is there.
set -u
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

have() { command -v "$1" >/dev/null 2>&1; }

# links COMPILER HEADER EXPRESSION FLAGS...: does a program with that header build?
links() {
    compiler=$1 header=$2 expression=$3
    shift 3
    printf '#include <stdio.h>\n#include <%s>\nint main(void) { return (int)(%s); }\n' \
        "$header" "$expression" > "$scratch/probe.c"
    "$compiler" "$scratch/probe.c" "$@" -o "$scratch/probe" >/dev/null 2>&1
}

cc=gcc
have gcc || cc=cc

blas_works() { links "$cc" cblas.h 'cblas_dasum(0, 0, 1)' -lblas; }
lapacke_works() { links "$cc" lapacke.h 'LAPACKE_dlamch(69) > 1' -llapacke -llapack -lblas; }

numpy_works() { python3 -c 'import numpy' 2>/dev/null || /usr/bin/python3 -c 'import numpy' 2>/dev/null; }

missing() {
    have gcc || echo gcc
    links "$cc" stdlib.h 0 || echo libc6-dev
    have g++ || echo g++
    have make || echo make
    have pkg-config || echo pkg-config
    blas_works || echo libopenblas-dev
    lapacke_works || echo liblapacke-dev
    pkg-config --exists check 2>/dev/null || echo check
    links "$cc" mpfr.h 'mpfr_get_emin() > 0' -lmpfr -lgmp || echo libmpfr-dev
    # optional parts of the library; it builds without them (make OPTIONAL=)
    pkg-config --exists zlib 2>/dev/null || echo zlib1g-dev
    pkg-config --exists cfitsio 2>/dev/null || echo libcfitsio-dev
    have clang || echo clang
    links clang stdlib.h 0 -fsanitize=address,undefined || echo libclang-rt
    have gnuplot || echo gnuplot-nox
    have python3 || echo python3
    numpy_works || echo python3-numpy
    [ -e /usr/share/i18n/locales/de_DE ] || echo locales
}

# The sanitizers of clang are packaged under its version, apart from it or within it.
sanitizer_package() {
    major=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
    for name in "libclang-rt-$major-dev" libclang-rt-dev "libclang-common-$major-dev"; do
        if apt-cache show "$name" >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
}

package_names() {
    for word in $1; do
        if [ "$word" = libclang-rt ]; then sanitizer_package; else echo "$word"; fi
    done | tr '\n' ' '
}

wanted=$(missing | tr '\n' ' ')
if [ -z "${wanted% }" ]; then
    echo "deps: everything is there"
    exit 0
fi
if ! have apt-get; then
    echo "deps: this is not Debian; please install: a C11 and a C++17 compiler, pkg-config," \
        "CBLAS, LAPACK with LAPACKE, check, MPFR, zlib and cfitsio (optional), clang with its sanitizers, gnuplot," \
        "python3 with numpy, the locale de_DE" >&2
    echo "deps: missing, by Debian's names: $wanted" >&2
    exit 1
fi

root=
if [ "$(id -u)" != 0 ]; then
    if have sudo && sudo -n true 2>/dev/null; then root=sudo
    elif have sudo && [ -t 0 ]; then root=sudo
    else
        echo "deps: not root; please run:"
        echo "apt-get update && apt-get install -y --no-install-recommends $(package_names "$wanted")"
        exit 1
    fi
fi

echo "deps: installing $wanted"
$root apt-get update -q || echo "deps: apt-get update failed; trying with the lists at hand" >&2
# shellcheck disable=SC2046
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    $(package_names "$wanted") || exit 1

wanted=$(missing | tr '\n' ' ')
[ -z "${wanted% }" ] && exit 0
echo "deps: still missing after the installation: $wanted" >&2
exit 1
