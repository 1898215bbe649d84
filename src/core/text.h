/* text.h -- formatting that does not see the host's locale; shared inside core. */
#ifndef ROB_CORE_TEXT_H
#define ROB_CORE_TEXT_H

#include <stdarg.h>
#include <stddef.h>

/* vsnprintf as in the C locale. The thread's locale is switched and put back; the
 * process's locale is never touched. */
int rob_priv_format(char *buffer, size_t capacity, const char *format, va_list list)
    __attribute__((format(printf, 3, 0)));

#endif
