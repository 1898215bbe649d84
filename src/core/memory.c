/* memory.c -- zeroed, 64-byte aligned blocks out of any allocator that aligns as
 * malloc.
 *
 * For a request of n bytes, n + 64 are taken at address r. The caller gets
 *     p = 64 * floor(r / 64) + 64,      r < p <= r + 64,
 * and the pointer r itself is kept in the word before p. That word exists when p - r is
 * at least sizeof(void *), which holds because r is a multiple of malloc's alignment.
 */
#include "core/core.h"

#include <string.h>

enum { ALIGNMENT = 64 };

static bool product_fits(int64_t count, int64_t size)
{
    return count >= 0 && size >= 0
           && (size == 0 || count <= (INT64_MAX - 2 * ALIGNMENT) / size);
}

static char *align_behind(char *raw)
{
    return raw + (ALIGNMENT - (uintptr_t)raw % ALIGNMENT);
}

void *rob_priv_allocate(const rob_memory *m, int64_t count, int64_t size)
{
    if (!product_fits(count, size)) return NULL;
    int64_t bytes = count * size;
    if ((uint64_t)bytes + ALIGNMENT > SIZE_MAX / 2) return NULL;
    char *raw = m->allocate(m->user, bytes + ALIGNMENT);
    if (!raw) return NULL;
    char *p = align_behind(raw);
    memset(p, 0, (size_t)bytes);
    memcpy(p - sizeof raw, &raw, sizeof raw);
    return p;
}

void rob_priv_release(const rob_memory *m, void *p)
{
    if (!p) return;
    char *raw;
    memcpy(&raw, (char *)p - sizeof raw, sizeof raw);
    m->release(m->user, raw);
}

void *rob_priv_grow(const rob_memory *m, void *p, int64_t old, int64_t count,
                    int64_t size)
{
    void *bigger = rob_priv_allocate(m, count, size);
    if (!bigger) return NULL;
    int64_t kept = old < count ? old : count;
    if (p && kept > 0) memcpy(bigger, p, (size_t)(kept * size));
    rob_priv_release(m, p);
    return bigger;
}

char *rob_priv_copy_text(const rob_memory *m, const char *s)
{
    if (!s) return NULL;
    size_t length = strlen(s);
    char *copy = rob_priv_allocate(m, (int64_t)length + 1, 1);
    if (copy) memcpy(copy, s, length);
    return copy;
}
