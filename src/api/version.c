/* version.c -- what this build is, and the names of the statuses. */
#include <robust/ctx.h>

#define ROB_VERSION "0.1.0"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "a C11 compiler"
#endif

#if defined(__x86_64__)
#define KERNELS "generic avx2 avx512"
#else
#define KERNELS "generic"
#endif

#ifdef ROB_HAS_ZLIB
#define ZLIB "zlib"
#else
#define ZLIB "no zlib"
#endif

#ifdef ROB_HAS_CFITSIO
#define CFITSIO "cfitsio"
#else
#define CFITSIO "no cfitsio"
#endif

const char *rob_version(void)
{
    return ROB_VERSION;
}

const char *rob_build_info(void)
{
    return "librobust " ROB_VERSION "; compiler: " COMPILER "; kernels: " KERNELS
           "; linear algebra: CBLAS and LAPACKE; optional: " ZLIB ", " CFITSIO;
}

const char *rob_status_string(rob_status status)
{
    static const struct { rob_status status; const char *text; } name[] = {
        { ROB_OK, "done" },
        { ROB_STOPPED, "stopped early" },
        { ROB_EMEMORY, "out of memory" },
        { ROB_EARGUMENT, "wrong argument" },
        { ROB_ESHAPE, "shapes do not fit" },
        { ROB_EDOMAIN, "number outside the domain" },
        { ROB_EIO, "cannot read or write" },
        { ROB_EFORMAT, "wrong file format" },
        { ROB_ECALLBACK, "a callback failed" },
        { ROB_ENUMERIC, "arithmetic broke down" },
        { ROB_EUNSUPPORTED, "not supported" },
        { ROB_EINTERNAL, "a bug in the library" },
    };
    for (int i = 0; i < (int)(sizeof name / sizeof *name); i++)
        if (name[i].status == status) return name[i].text;
    return "unknown status";
}
