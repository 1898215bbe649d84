/* csv.c -- rows of fields, some of them quoted.
 *
 *     row   = field (separator field)* line-end
 *     field = blanks (plain | '"' (any but '"' | '""')* '"') blanks
 *
 * The separator is the first of tab, semicolon and comma that the first row has outside
 * quotes; a file with none of them is separated by runs of blanks. Lines that begin
 * with
 * '#', '%' or '@' and empty lines are passed over, so is a byte order mark. Doubled
 * quotes only ever shrink a field: a scratch of the file's size holds them all.
 * A reader of its own for the reasons in table.c. Reference: RFC 4180.
 */
#include "io/io.h"

#include <math.h>
#include <string.h>

static bool is_space(const rob_csv *c, char byte)
{
    return byte == ' ' || byte == '\r' || (byte == '\t' && c->separator != '\t');
}

/* ---- opening --------------------------------------------------------------------- */

static bool is_passed_over(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\r' || *at == '\t')) at++;
    return at == end || *at == '\n' || *at == '#' || *at == '%' || *at == '@';
}

static const char *behind_line(const char *at, const char *end)
{
    const char *found = memchr(at, '\n', (size_t)(end - at));
    return found != NULL ? found + 1 : end;
}

static char separator_of(const char *at, const char *end)
{
    static const char order[] = "\t;,";
    bool quoted = false, seen[3] = { false };
    while (at < end && is_passed_over(at, end)) at = behind_line(at, end);
    for (; at < end && (quoted || *at != '\n'); at++) {
        if (*at == '"') quoted = !quoted;
        for (int k = 0; k < 3 && !quoted; k++) seen[k] = seen[k] || *at == order[k];
    }
    for (int k = 0; k < 3; k++)
        if (seen[k]) return order[k];
    return ' ';
}

rob_status rob_priv_csv_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                             const char *path, rob_csv *out)
{
    rob_status status = ROB_OK;
    const char *at = (const char *)bytes;
    *out = (rob_csv){ .memory = ctx->memory, .path = path, .next_line = 1 };
    CHECK(count > 0, ctx, ROB_EFORMAT, "'%.200s' is empty", path);
    CHECK(memchr(bytes, 0, (size_t)count) == NULL, ctx, ROB_EFORMAT,
          "'%.200s' is no text: one of its bytes is zero", path);
    out->end = at + count;
    out->at = count >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0 ? at + 3 : at;
    out->separator = separator_of(out->at, out->end);
    if (memchr(at, '"', (size_t)count) == NULL) return ROB_OK;
    out->scratch = rob_priv_allocate(&ctx->memory, count, 1);
    if (out->scratch == NULL) return rob_priv_no_memory(ctx);
done:
    return status;
}

void rob_priv_csv_clear(rob_csv *c)
{
    rob_priv_release(&c->memory, c->field);
    rob_priv_release(&c->memory, c->scratch);
    c->field = NULL;
    c->scratch = NULL;
}

/* ---- rows ------------------------------------------------------------------------ */

static rob_status add_field(rob_ctx *ctx, rob_csv *c, rob_field field)
{
    if (c->fields == ROB_CSV_FIELDS)
        return rob_priv_fail(ctx, ROB_EFORMAT,
                             "'%.200s' line %lld has more than %d "
                             "fields",
                             c->path, (long long)c->line, (int)ROB_CSV_FIELDS);
    if (c->fields == c->room) {
        int64_t room = 2 * c->room + 32;
        rob_field *grown = rob_priv_grow(&c->memory, c->field, c->fields, room,
                                         (int64_t)sizeof *grown);
        if (grown == NULL) return rob_priv_no_memory(ctx);
        c->field = grown;
        c->room = room;
    }
    c->field[c->fields++] = field;
    return ROB_OK;
}

/* at stands behind the opening quote. */
static rob_status read_quoted(rob_ctx *ctx, rob_csv *c)
{
    rob_status status = ROB_OK;
    rob_field field = { .at = c->scratch + c->used, .quoted = true };
    for (; c->at < c->end; c->at++) {
        if (*c->at == '"' && (c->at + 1 == c->end || c->at[1] != '"')) break;
        if (*c->at == '"') c->at++;
        if (*c->at == '\n') c->next_line++;
        c->scratch[c->used++] = *c->at;
        field.count++;
    }
    CHECK(c->at < c->end, ctx, ROB_EFORMAT,
          "'%.200s' line %lld: field %lld has no closing quote", c->path,
          (long long)c->line, (long long)c->fields + 1);
    c->at++;
    while (c->at < c->end && is_space(c, *c->at) && c->separator != ' ') c->at++;
    CHECK(c->at == c->end || *c->at == c->separator || *c->at == '\n'
              || is_space(c, *c->at),
          ctx, ROB_EFORMAT, "'%.200s' line %lld: field %lld goes on behind its quotes",
          c->path, (long long)c->line, (long long)c->fields + 1);
    TRY(add_field(ctx, c, field));
done:
    return status;
}

static rob_status read_plain(rob_ctx *ctx, rob_csv *c)
{
    const char *from = c->at, *last;
    while (c->at < c->end && *c->at != '\n' && *c->at != c->separator
           && !(c->separator == ' ' && is_space(c, *c->at)))
        c->at++;
    for (last = c->at; last > from && is_space(c, last[-1]);) last--;
    return add_field(ctx, c, (rob_field){ .at = from, .count = last - from });
}

/* Every turn reads one field and the separator behind it. */
static rob_status read_row(rob_ctx *ctx, rob_csv *c)
{
    rob_status status = ROB_OK;
    for (;;) {
        while (c->at < c->end && is_space(c, *c->at)) c->at++;
        if (c->at < c->end && *c->at == '"') {
            c->at++;
            TRY(read_quoted(ctx, c));
        } else {
            TRY(read_plain(ctx, c));
        }
        while (c->separator == ' ' && c->at < c->end && is_space(c, *c->at)) c->at++;
        if (c->at == c->end || *c->at == '\n') break;
        if (c->separator != ' ') c->at++;
    }
    if (c->at < c->end) c->at++;
    c->next_line++;
done:
    return status;
}

rob_status rob_priv_csv_next(rob_ctx *ctx, rob_csv *c)
{
    c->fields = c->used = 0;
    while (c->at < c->end && is_passed_over(c->at, c->end)) {
        c->at = behind_line(c->at, c->end);
        c->next_line++;
    }
    c->line = c->next_line;
    return c->at < c->end ? read_row(ctx, c) : ROB_OK;
}
