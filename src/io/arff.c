/* arff.c -- series in Weka's attribute-relation format, as the UCR and UEA archives
 * have it.
 *
 *     file      = "@relation" name attribute* "@data" case*       "%" opens a comment
 *     attribute = "@attribute" name ("numeric" | "real" | "integer" | "{" words "}")
 *               | "@attribute" name "relational" attribute* "@end" name
 *     case      = field ("," field)*                               one line
 *
 * Numeric attributes are the values of a series in order, the nominal one its class. A
 * relational field is quoted and holds one row of numbers for each channel, "\n" (two
 * characters) between them: a series (T, channels). "?" is missing. Sparse cases,
 * weights, dates and strings are refused. A reader of its own for the reasons in
 * table.c. Reference: Hall et al. 2009, The WEKA data mining software: an update.
 */
#include "io/formats.h"

#include <math.h>
#include <string.h>

enum { NUMBER, NOMINAL, RELATION };

bool rob_priv_arff_is(const uint8_t *bytes, int64_t count)
{
    rob_lines lines = rob_priv_lines(bytes, count);
    rob_field line;
    if (!rob_priv_lines_telling(&lines, &line)) return false;
    rob_field word = rob_priv_field_word(&line);
    return rob_priv_field_is(&word, "@relation");
}

static rob_status not_understood(rob_ctx *ctx, const rob_arff *a, const rob_field *f,
                                 const char *what)
{
    return rob_priv_fail(ctx, ROB_EFORMAT, "'%.200s' line %lld: '%.*s' is no %s",
                         a->path, (long long)a->lines.line, rob_priv_field_show(f),
                         f->at, what);
}

/* ---- the header ------------------------------------------------------------------ */

/* A name, quoted or not, off *rest. */
static bool skip_name(rob_field *rest)
{
    char quote = rest->count > 0 ? *rest->at : 0;
    if (quote != '\'' && quote != '"') return rob_priv_field_word(rest).count > 0;
    const char *end = rest->at + rest->count;
    const char *stop = memchr(rest->at + 1, quote, (size_t)rest->count - 1);
    if (stop == NULL) return false;
    *rest = rob_priv_field_trim(stop + 1, end);
    return true;
}

static rob_status add_attribute(rob_ctx *ctx, rob_arff *a, uint8_t kind)
{
    rob_status status = ROB_OK;
    CHECK(a->attributes < ROB_CSV_FIELDS, ctx, ROB_EFORMAT,
          "'%.200s' has more than %d attributes", a->path, (int)ROB_CSV_FIELDS);
    if (a->attributes == a->kinds_room) {
        int64_t room = 2 * a->kinds_room + 256;
        uint8_t *grown = rob_priv_grow(&a->memory, a->kind, a->attributes, room, 1);
        if (grown == NULL) return rob_priv_no_memory(ctx);
        a->kind = grown;
        a->kinds_room = room;
    }
    a->kind[a->attributes++] = kind;
done:
    return status;
}

static rob_status add_nominal(rob_ctx *ctx, rob_arff *a, const rob_field *type)
{
    rob_status status = ROB_OK;
    CHECK(type->at[type->count - 1] == '}', ctx, ROB_EFORMAT,
          "'%.200s' line %lld: its list of values has no '}'", a->path,
          (long long)a->lines.line);
    CHECK(!a->labelled, ctx, ROB_EFORMAT,
          "'%.200s' line %lld is the second nominal attribute; one is the class",
          a->path, (long long)a->lines.line);
    a->labelled = true;
    a->labels = rob_priv_field_trim(type->at + 1, type->at + type->count - 1);
    TRY(add_attribute(ctx, a, NOMINAL));
done:
    return status;
}

/* The attributes inside only say how long a row is, which its numbers say again. */
static rob_status skip_relation(rob_ctx *ctx, rob_arff *a)
{
    rob_field line, word = { 0 };
    while (rob_priv_lines_telling(&a->lines, &line)) {
        word = rob_priv_field_word(&line);
        if (rob_priv_field_is(&word, "@end")) return ROB_OK;
        bool fine = rob_priv_field_is(&word, "@attribute") && skip_name(&line);
        if (fine) word = rob_priv_field_word(&line);
        if (!fine
            || (!rob_priv_field_is(&word, "numeric")
                && !rob_priv_field_is(&word, "real")))
            return not_understood(ctx, a, &word, "numeric attribute of a relation");
    }
    return rob_priv_fail(ctx, ROB_EFORMAT, "'%.200s': a relation has no @end", a->path);
}

static rob_status read_attribute(rob_ctx *ctx, rob_arff *a, rob_field rest)
{
    rob_status status = ROB_OK;
    if (!skip_name(&rest) || rest.count == 0)
        return not_understood(ctx, a, &rest, "attribute");
    if (*rest.at == '{') return add_nominal(ctx, a, &rest);
    rob_field type = rob_priv_field_word(&rest);
    if (rob_priv_field_is(&type, "relational")) {
        CHECK(!a->relational, ctx, ROB_EFORMAT,
              "'%.200s' line %lld is the second relational attribute", a->path,
              (long long)a->lines.line);
        a->relational = true;
        TRY(add_attribute(ctx, a, RELATION));
        return skip_relation(ctx, a);
    }
    if (!rob_priv_field_is(&type, "numeric") && !rob_priv_field_is(&type, "real")
        && !rob_priv_field_is(&type, "integer"))
        return not_understood(ctx, a, &type,
                              "type that is read: numeric, {values}, relational");
    TRY(add_attribute(ctx, a, NUMBER));
done:
    return status;
}

static rob_status check_attributes(rob_ctx *ctx, const rob_arff *a)
{
    rob_status status = ROB_OK;
    int64_t numbers = a->attributes - a->relational - a->labelled;
    CHECK(a->relational ? numbers == 0 : numbers > 0, ctx, ROB_EFORMAT,
          "'%.200s' has %lld numeric attributes%s", a->path, (long long)numbers,
          a->relational ? " beside a relational one" : "");
done:
    return status;
}

rob_status rob_priv_arff_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, rob_arff *out)
{
    rob_status status = ROB_OK;
    rob_field line, word = { 0 };
    *out = (rob_arff){ .memory = ctx->memory,
                       .path = path,
                       .lines = rob_priv_lines(bytes, count) };
    while (rob_priv_lines_telling(&out->lines, &line)) {
        word = rob_priv_field_word(&line);
        if (rob_priv_field_is(&word, "@data")) break;
        if (rob_priv_field_is(&word, "@relation")) continue;
        if (!rob_priv_field_is(&word, "@attribute"))
            return not_understood(ctx, out, &word, "@relation, @attribute or @data");
        TRY(read_attribute(ctx, out, line));
    }
    CHECK(rob_priv_field_is(&word, "@data"), ctx, ROB_EFORMAT, "'%.200s' has no @data",
          path);
    TRY(check_attributes(ctx, out));
done:
    return status;
}

void rob_priv_arff_clear(rob_arff *a)
{
    if (a->memory.release == NULL) return;
    rob_priv_release(&a->memory, a->kind);
    rob_priv_release(&a->memory, a->x);
    rob_priv_release(&a->memory, a->column);
    a->kind = NULL;
    a->x = a->column = NULL;
}

/* ---- one case -------------------------------------------------------------------- */

/* No case has more values than commas, line ends and one. */
static rob_status make_room(rob_ctx *ctx, rob_arff *a, const rob_field *line)
{
    int64_t most = 1;
    for (int64_t k = 0; k < line->count; k++)
        most += line->at[k] == ',' || line->at[k] == '\\';
    if (most <= a->room) return ROB_OK;
    rob_priv_release(&a->memory, a->x);
    rob_priv_release(&a->memory, a->column);
    a->room = 0;
    a->x = rob_priv_allocate(&a->memory, most, (int64_t)sizeof *a->x);
    a->column = a->relational
                    ? rob_priv_allocate(&a->memory, most, (int64_t)sizeof *a->x)
                    : NULL;
    if (a->x == NULL || (a->relational && a->column == NULL))
        return rob_priv_no_memory(ctx);
    a->room = most;
    return ROB_OK;
}

/* The text of a field, without its quotes, and *at behind its comma. */
static bool take_field(const char **at, const char *end, rob_field *out)
{
    while (*at < end && (**at == ' ' || **at == '\t')) ++*at;
    char quote = *at < end ? **at : 0;
    const char *from = *at, *stop;
    if (quote != '\'' && quote != '"') {
        stop = memchr(from, ',', (size_t)(end - from));
        *at = stop != NULL ? stop + 1 : end;
        *out = rob_priv_field_trim(from, stop != NULL ? stop : end);
        return true;
    }
    for (stop = ++from; stop < end && *stop != quote; stop++)
        if (*stop == '\\' && stop + 1 < end) stop++;
    if (stop >= end) return false;
    *out = (rob_field){ .at = from, .count = stop - from, .quoted = true };
    for (*at = stop + 1; *at < end && (**at == ' ' || **at == '\t'); ++*at) continue;
    if (*at < end && **at != ',') return false;
    *at += *at < end;
    return true;
}

/* One channel, up to "\n" or the end. */
static rob_status read_channel(rob_ctx *ctx, rob_arff *a, const char **at,
                               const char *end, int64_t *values)
{
    for (bool more = true; more;) {
        const char *stop = *at;
        while (stop < end && *stop != ',' && *stop != '\\') stop++;
        rob_field item = rob_priv_field_trim(*at, stop);
        if (!rob_priv_field_number(&item, &a->column[*values]))
            return not_understood(ctx, a, &item, "finite number");
        ++*values;
        more = stop < end && *stop == ',';
        *at = stop + more;
    }
    if (*at == end) return ROB_OK;
    rob_field rest = { .at = *at, .count = end - *at };
    if (end - *at < 2 || (*at)[1] != 'n')
        return not_understood(ctx, a, &rest, "\\n between two channels");
    *at += 2;
    return ROB_OK;
}

static rob_status read_relation(rob_ctx *ctx, rob_arff *a, const rob_field *f)
{
    rob_status status = ROB_OK;
    const char *at = f->at, *end = at + f->count;
    int64_t steps = 0, before;
    a->channels = 0;
    for (bool more = true; more; a->channels++) {
        before = a->values;
        TRY(read_channel(ctx, a, &at, end, &a->values));
        more = at < end;
        if (a->channels == 0) steps = a->values;
        CHECK(a->values - before == steps, ctx, ROB_EFORMAT,
              "'%.200s' line %lld: channel %lld has %lld values, the first has %lld",
              a->path, (long long)a->lines.line, (long long)a->channels + 1,
              (long long)(a->values - before), (long long)steps);
    }
    for (int64_t t = 0; t < steps; t++)
        for (int64_t c = 0; c < a->channels; c++)
            a->x[t * a->channels + c] = a->column[c * steps + t];
done:
    return status;
}

static rob_status read_field(rob_ctx *ctx, rob_arff *a, int64_t k, const rob_field *f)
{
    if (a->kind[k] == RELATION) return read_relation(ctx, a, f);
    if (a->kind[k] == NOMINAL) {
        a->last = *f;
        return ROB_OK;
    }
    if (rob_priv_field_number(f, &a->x[a->values++])) return ROB_OK;
    return not_understood(ctx, a, f, "finite number");
}

rob_status rob_priv_arff_next(rob_ctx *ctx, rob_arff *a)
{
    rob_status status = ROB_OK;
    rob_field line, field;
    a->values = 0;
    if (!rob_priv_lines_telling(&a->lines, &line)) return ROB_OK;
    const char *at = line.at, *end = at + line.count;
    CHECK(*at != '{', ctx, ROB_EFORMAT, "'%.200s' line %lld: sparse cases are not read",
          a->path, (long long)a->lines.line);
    TRY(make_room(ctx, a, &line));
    for (int64_t k = 0; k < a->attributes; k++) {
        CHECK(at < end || (k > 0 && at[-1] == ','), ctx, ROB_EFORMAT,
              "'%.200s' line %lld has %lld fields; there are %lld attributes", a->path,
              (long long)a->lines.line, (long long)k, (long long)a->attributes);
        CHECK(take_field(&at, end, &field), ctx, ROB_EFORMAT,
              "'%.200s' line %lld: field %lld has no closing quote before its comma",
              a->path, (long long)a->lines.line, (long long)k + 1);
        TRY(read_field(ctx, a, k, &field));
    }
    CHECK(at == end && at[-1] != ',', ctx, ROB_EFORMAT,
          "'%.200s' line %lld goes on behind its %lld attributes", a->path,
          (long long)a->lines.line, (long long)a->attributes);
done:
    return status;
}
