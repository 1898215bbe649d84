/* text.c -- text that grows while it is made; the first failure sticks. */
#include "io/io.h"

#include <stdio.h>
#include <string.h>

static bool make_room(const rob_memory *m, rob_text *t, int64_t count)
{
    if (t->failed || t->capacity - t->count >= count) return !t->failed;
    int64_t capacity = 2 * t->capacity + count + 256;
    char *at = rob_priv_grow(m, t->at, t->count, capacity, 1);
    t->failed = at == NULL;
    if (t->failed) return false;
    t->at = at;
    t->capacity = capacity;
    return true;
}

void rob_priv_text_add(const rob_memory *m, rob_text *t, const char *bytes,
                       int64_t count)
{
    if (!make_room(m, t, count)) return;
    if (count > 0) memcpy(t->at + t->count, bytes, (size_t)count);
    t->count += count;
}

void rob_priv_text_string(const rob_memory *m, rob_text *t, const char *s)
{
    rob_priv_text_add(m, t, s, (int64_t)strlen(s));
}

void rob_priv_text_integer(const rob_memory *m, rob_text *t, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    rob_priv_text_string(m, t, digits);
}
