/* status.h -- what a call answers, and the numbers every other header shares.
 *
 * A status is not a verdict. Below zero the call was broken and its outputs are as they
 * were (a constructor's *out is NULL). ROB_OK is zero. ROB_STOPPED says the work was
 * cut short by cancel, deadline or budget; outputs are valid as far as they go. "Could
 * not prove" and "found nothing" are results, not errors.
 */
#ifndef ROBUST_STATUS_H
#define ROBUST_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(ROB_BUILDING) && defined(__GNUC__)
#define ROB_API __attribute__((visibility("default")))
#else
#define ROB_API
#endif

/** What every fallible call returns. Test for `< 0`. */
typedef int32_t rob_status;

enum {
    ROB_OK = 0,            /**< all of it is done */
    ROB_STOPPED = 1,       /**< cancelled, out of time or budget: results are valid */
    ROB_EMEMORY = -10,     /**< the allocator or the context's memory cap said no */
    ROB_EARGUMENT = -20,   /**< an argument is not of the allowed ones */
    ROB_ESHAPE = -30,      /**< shapes, lengths or counts do not fit together */
    ROB_EDOMAIN = -40,     /**< a number outside the domain: NaN, a negative radius */
    ROB_EIO = -50,         /**< the operating system could not read or write */
    ROB_EFORMAT = -60,     /**< a file is not what it says it is */
    ROB_ECALLBACK = -70,   /**< a user's callback failed */
    ROB_ENUMERIC = -80,    /**< arithmetic broke down: overflow, no convergence */
    ROB_EUNSUPPORTED = -90,/**< understood, but not offered (by this build) */
    ROB_EINTERNAL = -100   /**< a bug in the library */
};

/** Norms of a perturbation; L0 counts the numbers that move. */
enum { ROB_NORM_L0 = 0, ROB_NORM_L1 = 1, ROB_NORM_L2 = 2, ROB_NORM_LINF = 100 };

/** Element types. */
enum { ROB_F32 = 32, ROB_F64 = 64 };

/**
 * Name a status.
 *
 * @param status any integer, also one that is no status
 * @return a constant string such as "wrong argument"; never NULL
 * Cost: a table look-up. Since 0.1.
 */
ROB_API const char *rob_status_string(rob_status status);

#ifdef __cplusplus
}
#endif
#endif
