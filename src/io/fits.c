/* fits.c -- columns of a light curve out of a FITS file, by cfitsio.
 *
 *     file   = unit*            the first a primary one
 *     unit   = header | data    each filled up to 2880 bytes
 *     header = cards of 80 characters up to END:  KEYWORD = value / comment
 *     data   = |BITPIX|/8 GCOUNT (PCOUNT + prod NAXISn) bytes
 *
 * cfitsio reads the table, but only after the structure has been checked here: every
 * unit ends within the file, cards are printable, the table with a column TIME has rows
 * as wide as its TFORMs say. It opens no file (fits_open_memfile on bytes that are in
 * memory already), so no name is ever taken for a pipe, an URL or a filter. Its own
 * allocations are not the context's. Numbers that are NaN or null in the file are NaN.
 * Reference: Pence et al. 2010, Definition of FITS 3.0, A&A 524, A42.
 */
#include "io/formats.h"

#include <string.h>

enum { BLOCK = 2880, CARD = 80, UNITS_CAP = 256, CARDS_CAP = 36 * 512, AXES_CAP = 8 };

bool rob_priv_fits_is(const uint8_t *bytes, int64_t count)
{
    return count >= 10 && memcmp(bytes, "SIMPLE  = ", 10) == 0;
}

void rob_priv_fits_clear(rob_light *l)
{
    if (l->memory.release == NULL) return;
    rob_priv_release(&l->memory, l->time);
    rob_priv_release(&l->memory, l->value);
    rob_priv_release(&l->memory, l->quality);
    l->time = l->value = l->quality = NULL;
}

#ifdef ROB_HAS_CFITSIO
#include <fitsio.h>
#include <math.h>
#include <pthread.h>

/* ---- the structure --------------------------------------------------------------- */

/* What one header says. */
typedef struct unit {
    bool table, timed; /* a binary table; one with a column TIME */
    int64_t bits, axes, axis[AXES_CAP], parameters, groups, fields, width, forms;
} unit;

/* One walk through the units. */
typedef struct walk {
    rob_ctx *ctx;
    const char *path;
    const uint8_t *at, *end;
    int64_t number; /* of the unit, from 1 */
} walk;

static rob_status damaged(const walk *w, const char *what)
{
    return rob_priv_fail(w->ctx, ROB_EFORMAT, "'%.200s', unit %lld: %s", w->path,
                         (long long)w->number, what);
}

static bool starts(const uint8_t *card, const char *word)
{
    return memcmp(card, word, strlen(word)) == 0;
}

/* The integer value of a card; false: there is none. */
static bool card_integer(const uint8_t *card, int64_t *out)
{
    const char *at = (const char *)card + 10, *end = (const char *)card + CARD;
    int64_t value = 0;
    bool minus, any = false;
    while (at < end && *at == ' ') at++;
    minus = at < end && *at == '-';
    for (at += minus; at < end && *at >= '0' && *at <= '9'; at++, any = true)
        if (__builtin_mul_overflow(value, 10, &value)
            || __builtin_add_overflow(value, *at - '0', &value))
            return false;
    *out = minus ? -value : value;
    return any && (at == end || *at == ' ' || *at == '/');
}

/* The text of a card between its quotes, without blanks. */
static rob_field card_text(const uint8_t *card)
{
    const char *at = (const char *)card + 10, *end = (const char *)card + CARD, *stop;
    while (at < end && *at == ' ') at++;
    if (at == end || *at != '\'') return (rob_field){ .at = at };
    stop = memchr(at + 1, '\'', (size_t)(end - at - 1));
    return rob_priv_field_trim(at + 1, stop != NULL ? stop : end);
}

/* Bytes of a column by its TFORM, such as "1D" or "16A"; -1: not understood. */
static int64_t form_width(const rob_field *form)
{
    static const struct {
        char letter;
        int64_t bytes;
    } widths[] = { { 'L', 1 }, { 'B', 1 },  { 'I', 2 }, { 'J', 4 },
                   { 'K', 8 }, { 'A', 1 },  { 'E', 4 }, { 'D', 8 },
                   { 'C', 8 }, { 'M', 16 }, { 'P', 8 }, { 'Q', 16 } };
    int64_t repeat = 0, k = 0;
    for (; k < form->count && form->at[k] >= '0' && form->at[k] <= '9'; k++)
        if ((repeat = 10 * repeat + (form->at[k] - '0')) > 1 << 24) return -1;
    if (k == form->count) return -1;
    if (k == 0) repeat = 1;
    if (form->at[k] == 'X') return (repeat + 7) / 8;
    for (int64_t i = 0; i < COUNT_OF(widths); i++)
        if (widths[i].letter == form->at[k]) return repeat * widths[i].bytes;
    return -1;
}

static bool take_table_card(unit *u, const uint8_t *card)
{
    rob_field text = card_text(card);
    if (starts(card, "TTYPE") && rob_priv_field_is(&text, "TIME")) u->timed = true;
    if (!starts(card, "TFORM")) return true;
    int64_t width = form_width(&text);
    u->width += width;
    u->forms++;
    return width >= 0;
}

static bool take_card(unit *u, const uint8_t *card)
{
    static const struct {
        const char *word;
        size_t at;
    } integers[] = {
        { "BITPIX  =", offsetof(unit, bits) },
        { "NAXIS   =", offsetof(unit, axes) },
        { "PCOUNT  =", offsetof(unit, parameters) },
        { "GCOUNT  =", offsetof(unit, groups) },
        { "TFIELDS =", offsetof(unit, fields) },
    };
    for (int64_t k = 0; k < COUNT_OF(integers); k++)
        if (starts(card, integers[k].word))
            return card_integer(card, (int64_t *)((char *)u + integers[k].at));
    if (starts(card, "NAXIS") && card[5] >= '1' && card[5] <= '0' + AXES_CAP
        && starts(card + 6, "  ="))
        return card_integer(card, &u->axis[card[5] - '1']);
    return take_table_card(u, card);
}

static bool is_printable(const uint8_t *card)
{
    for (int k = 0; k < CARD; k++)
        if (card[k] < 0x20 || card[k] > 0x7e) return false;
    return true;
}

static rob_status walk_header(walk *w, unit *u)
{
    rob_field kind = { 0 };
    const uint8_t *from = w->at;
    for (int64_t cards = 0;; cards++, w->at += CARD) {
        if (w->end - w->at < CARD || cards == CARDS_CAP)
            return damaged(w, "its header has no END");
        if (!is_printable(w->at)) return damaged(w, "its header is no text");
        if (cards == 0) kind = card_text(w->at);
        if (starts(w->at, "END     ")) break;
        if (!take_card(u, w->at)) return damaged(w, "a card is not understood");
    }
    const bool primary = w->number == 1;
    if (!starts(from, primary ? "SIMPLE  = " : "XTENSION= "))
        return damaged(w, "it begins as no FITS unit does");
    u->table = !primary && rob_priv_field_is(&kind, "BINTABLE");
    w->at = from + (w->at - from) / BLOCK * BLOCK + BLOCK;
    return w->at <= w->end ? ROB_OK : damaged(w, "its header is cut short");
}

/* Bytes of data; false: no sensible number. */
static bool data_size(const unit *u, int64_t *out)
{
    int64_t size = u->axes > 0;
    const int64_t bits = u->bits < 0 ? -u->bits : u->bits;
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64) return false;
    if (u->axes < 0 || u->axes > AXES_CAP || u->groups != 1 || u->parameters < 0)
        return false;
    for (int64_t k = 0; k < u->axes; k++)
        if (u->axis[k] < 0 || __builtin_mul_overflow(size, u->axis[k], &size))
            return false;
    return !__builtin_add_overflow(size, u->parameters, &size)
           && !__builtin_mul_overflow(size, bits / 8, out);
}

static bool table_fits(const unit *u)
{
    return u->bits == 8 && u->axes == 2 && u->fields == u->forms && u->fields >= 1
           && u->fields <= 999 && u->width > 0 && u->width == u->axis[0];
}

/* The number of the first table with a column TIME. */
static rob_status find_table(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                             const char *path, int64_t *out)
{
    rob_status status = ROB_OK;
    walk w = { .ctx = ctx, .path = path, .at = bytes, .end = bytes + count };
    *out = 0;
    while (w.at < w.end && w.number < UNITS_CAP) {
        unit u = { .groups = 1 };
        int64_t size;
        w.number++;
        TRY(walk_header(&w, &u));
        if (!data_size(&u, &size) || size > w.end - w.at)
            return damaged(&w, "its data do not fit into the file");
        if (u.table && !table_fits(&u))
            return damaged(&w, "its columns do not fill its rows");
        if (u.table && u.timed && *out == 0) *out = w.number;
        size += (BLOCK - size % BLOCK) % BLOCK;
        if (size > w.end - w.at) return damaged(&w, "its data are cut short");
        w.at += size;
    }
    CHECK(*out > 0, ctx, ROB_EFORMAT,
          "'%.200s' has no binary table with a column TIME: no light curve", path);
done:
    return status;
}

/* ---- the columns ----------------------------------------------------------------- */

/* One reading by cfitsio; code is its status. */
typedef struct reading {
    rob_ctx *ctx;
    const char *path;
    fitsfile *file;
    int code;
    rob_light *out;
} reading;

static rob_status cfitsio_said_no(reading *r, const char *what)
{
    char text[FLEN_STATUS] = "";
    fits_get_errstatus(r->code, text);
    fits_clear_errmsg();
    return rob_priv_fail(r->ctx, ROB_EFORMAT, "'%.200s': %s: %s", r->path, what, text);
}

/* 0: no such column. */
static int find_column(reading *r, const char *name, int64_t length)
{
    char word[FLEN_VALUE];
    int column = 0, code = 0;
    if (length < 1 || length >= (int64_t)sizeof word) return 0;
    memcpy(word, name, (size_t)length);
    word[length] = 0;
    if (strpbrk(word, "*?#") != NULL) return 0;
    fits_get_colnum(r->file, CASEINSEN, word, &column, &code);
    fits_clear_errmsg();
    return code == 0 ? column : 0;
}

/* x[k stride] = row k. */
static rob_status read_column(reading *r, int column, double *x, int64_t stride)
{
    rob_status status = ROB_OK;
    double null = NAN, *numbers = NULL;
    int type = 0, any;
    long repeat = 0, width = 0;
    const int64_t rows = r->out->rows;
    fits_get_coltype(r->file, column, &type, &repeat, &width, &r->code);
    CHECK(r->code == 0 && repeat == 1 && type > 0 && type != TSTRING && type != TLOGICAL
              && type != TBIT && type != TCOMPLEX && type != TDBLCOMPLEX,
          r->ctx, ROB_EFORMAT, "'%.200s': column %d has not one number a row", r->path,
          column);
    numbers = rob_priv_allocate(&r->ctx->memory, rows, (int64_t)sizeof *numbers);
    if (numbers == NULL) return rob_priv_no_memory(r->ctx);
    if (fits_read_col(r->file, TDOUBLE, column, 1, 1, rows, &null, numbers, &any,
                      &r->code)
        != 0) {
        status = cfitsio_said_no(r, "a column cannot be read");
        goto done;
    }
    for (int64_t k = 0; k < rows; k++) x[k * stride] = numbers[k];
done:
    rob_priv_release(&r->ctx->memory, numbers);
    return status;
}

static void read_text(reading *r, const char *key, char *out, size_t capacity)
{
    char text[FLEN_VALUE] = "";
    int code = 0;
    if (fits_read_key(r->file, TSTRING, key, text, NULL, &code) != 0) text[0] = 0;
    fits_clear_errmsg();
    memcpy(out, text, strnlen(text, capacity - 1));
}

static void read_unit(reading *r, int column, char *out, size_t capacity)
{
    char key[FLEN_KEYWORD];
    if (fits_make_keyn("TUNIT", column, key, &(int){ 0 }) == 0)
        read_text(r, key, out, capacity);
}

static rob_status read_quality(reading *r)
{
    static const char *const name[] = { "SAP_QUALITY", "QUALITY" };
    rob_light *l = r->out;
    for (int k = 0; k < 2; k++) {
        int column = find_column(r, name[k], (int64_t)strlen(name[k]));
        if (column == 0) continue;
        l->quality = rob_priv_allocate(&l->memory, l->rows, (int64_t)sizeof(double));
        if (l->quality == NULL) return rob_priv_no_memory(r->ctx);
        l->kepler = k == 0;
        return read_column(r, column, l->quality, 1);
    }
    return ROB_OK;
}

static rob_status read_values(reading *r, const char *columns)
{
    rob_status status = ROB_OK;
    rob_light *l = r->out;
    const char *at = columns, *end;
    for (int64_t k = 0; *at; k++, at = end + (*end == ',')) {
        end = strchr(at, ',') != NULL ? strchr(at, ',') : at + strlen(at);
        int column = find_column(r, at, end - at);
        CHECK(column > 0, r->ctx, ROB_EFORMAT,
              "'%.200s' has no column '%.*s' (option columns)", r->path,
              (int)(end - at), at);
        TRY(read_column(r, column, l->value + k, l->columns));
        if (k == 0) read_unit(r, column, l->units, sizeof l->units);
    }
done:
    return status;
}

static rob_status read_table(reading *r, int64_t number, const char *columns)
{
    rob_status status = ROB_OK;
    rob_light *l = r->out;
    LONGLONG rows = 0;
    if (fits_movabs_hdu(r->file, (int)number, NULL, &r->code) != 0
        || fits_get_num_rowsll(r->file, &rows, &r->code) != 0)
        return cfitsio_said_no(r, "its table cannot be opened");
    CHECK(rows > 0, r->ctx, ROB_EFORMAT, "'%.200s': its table has no row", r->path);
    l->rows = rows;
    l->columns = 1;
    for (const char *p = columns; *p; p++) l->columns += *p == ',';
    l->time = rob_priv_allocate(&l->memory, rows, (int64_t)sizeof(double));
    l->value =
        rob_priv_allocate(&l->memory, rows * l->columns, (int64_t)sizeof(double));
    if (l->time == NULL || l->value == NULL) return rob_priv_no_memory(r->ctx);
    int time = find_column(r, "TIME", 4);
    CHECK(time > 0, r->ctx, ROB_EFORMAT, "'%.200s' has no column TIME", r->path);
    TRY(read_column(r, time, l->time, 1));
    read_unit(r, time, l->time_units, sizeof l->time_units);
    TRY(read_values(r, columns));
    TRY(read_quality(r));
    read_text(r, "OBJECT", l->name, sizeof l->name);
done:
    return status;
}

/* A cfitsio built without threads has global state: then one reading at a time. */
static pthread_mutex_t alone = PTHREAD_MUTEX_INITIALIZER;

static rob_status read_bytes(reading *r, const uint8_t *bytes, int64_t count,
                             int64_t number, const char *columns)
{
    void *at = (void *)(uintptr_t)bytes; /* opened for reading only */
    size_t size = (size_t)count;
    int closed = 0;
    if (fits_open_memfile(&r->file, "memory", READONLY, &at, &size, 0, NULL, &r->code)
        != 0)
        return cfitsio_said_no(r, "cfitsio cannot open it");
    rob_status status = read_table(r, number, columns);
    fits_close_file(r->file, &closed);
    fits_clear_errmsg();
    return status;
}

rob_status rob_priv_fits_read(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, const char *columns, rob_light *out)
{
    rob_status status = ROB_OK;
    int64_t number;
    *out = (rob_light){ .memory = ctx->memory };
    reading r = { .ctx = ctx, .path = path, .out = out };
    TRY(find_table(ctx, bytes, count, path, &number));
    const bool shared = fits_is_reentrant() != 0;
    if (!shared) pthread_mutex_lock(&alone);
    status = read_bytes(&r, bytes, count, number, columns);
    if (!shared) pthread_mutex_unlock(&alone);
done:
    return status;
}

#else

rob_status rob_priv_fits_read(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, const char *columns, rob_light *out)
{
    (void)bytes, (void)count, (void)columns;
    *out = (rob_light){ .memory = ctx->memory };
    return rob_priv_fail(ctx, ROB_EUNSUPPORTED,
                         "'%.200s' is FITS; this library was built without cfitsio "
                         "(package libcfitsio-dev)",
                         path);
}

#endif
