/* labels.c -- what files call their classes.
 *
 * A label is a number, or one of a list of words whose place is its number. The list is
 * option "labels"; without it the labels that headers declare (.ts, .arff), in their
 * order, files that follow adding theirs at the end, so that classes already given
 * stay. Declared numbers only see to it that a class exists though no series has it.
 */
#include "data/parts.h"

#include <string.h>

enum { DECLARED_CAP = 1 << 14 };

const char *rob_priv_data_labels(const rob_data *d)
{
    if (d->text[ROB_DATA_LABELS][0]) return d->text[ROB_DATA_LABELS];
    return d->labels != NULL ? d->labels : "";
}

int64_t rob_priv_list_next(const char **list, const char **word)
{
    if (*list == NULL || **list == 0) return -1;
    *word = *list;
    int64_t n = (int64_t)strcspn(*list, ",");
    *list += n;
    if (**list == ',') ++*list;
    return n;
}

bool rob_priv_labels_are_words(const char *list, int64_t least)
{
    const char *word;
    double value;
    int64_t k = 0;
    for (int64_t n; (n = rob_priv_list_next(&list, &word)) >= 0; k++) {
        const char *at = word, *end = word + n;
        if (n == 0 || (rob_priv_parse_double(&at, end, &value) && at == end))
            return false;
    }
    return k >= least;
}

static int64_t place_of(const char *list, const rob_field *f)
{
    const char *word;
    for (int64_t k = 0, n; (n = rob_priv_list_next(&list, &word)) >= 0; k++)
        if (n == f->count && memcmp(word, f->at, (size_t)n) == 0) return k;
    return -1;
}

rob_status rob_priv_reading_label(rob_reading *r, const rob_field *f, int64_t line,
                                  double *out)
{
    const char *labels = rob_priv_data_labels(r->d);
    int64_t place = rob_priv_labels_are_words(labels, 1) ? place_of(labels, f) : -1;
    *out = (double)place;
    if (place >= 0 || rob_priv_field_number(f, out)) return ROB_OK;
    return rob_priv_fail(r->ctx, ROB_EFORMAT,
                         "'%.200s' line %lld: label '%.*s' is no number; option labels "
                         "gives words in the order of the classes",
                         r->path, (long long)line, (int)(f->count < 40 ? f->count : 40),
                         f->at);
}

/* ---- declared -------------------------------------------------------------------- */

static rob_status add_label(rob_reading *r, rob_text *t, const rob_field *f)
{
    rob_status status = ROB_OK;
    const rob_memory *m = &r->d->memory;
    if (t->count > 0 && place_of(t->at, f) >= 0) return ROB_OK;
    CHECK(memchr(f->at, ',', (size_t)f->count) == NULL
              && memchr(f->at, 0, (size_t)f->count) == NULL
              && t->count + f->count < DECLARED_CAP,
          r->ctx, ROB_EFORMAT,
          "'%.200s' declares label '%.*s'; labels have no commas, all together at most "
          "%d characters",
          r->path, (int)(f->count < 40 ? f->count : 40), f->at, (int)DECLARED_CAP);
    if (t->count > 0) t->at[t->count - 1] = ','; /* was the final zero */
    rob_priv_text_add(m, t, f->at, f->count);
    rob_priv_text_add(m, t, "", 1);
    if (t->failed) return rob_priv_no_memory(r->ctx);
done:
    return status;
}

static rob_status add_labels(rob_reading *r, rob_text *t, const rob_field *list,
                             char mark)
{
    rob_status status = ROB_OK;
    const char *at = list->at, *end = at + list->count;
    while (at < end) {
        const char *stop = at;
        while (stop < end && *stop != mark) stop++;
        rob_field f = { .at = at, .count = stop - at };
        while (f.count > 0 && (*f.at == ' ' || *f.at == '\t')) f.at++, f.count--;
        while (f.count > 0 && (f.at[f.count - 1] == ' ' || f.at[f.count - 1] == '\t'))
            f.count--;
        if (f.count > 1 && (*f.at == '\'' || *f.at == '"')
            && f.at[f.count - 1] == *f.at)
            f.at++, f.count -= 2;
        if (f.count > 0) TRY(add_label(r, t, &f));
        at = stop + (stop < end);
    }
done:
    return status;
}

static rob_status check_kind(rob_reading *r, const char *labels)
{
    rob_status status = ROB_OK;
    const char *word, *rest = labels;
    double value;
    bool words = rob_priv_labels_are_words(labels, 1);
    for (int64_t n; !words && (n = rob_priv_list_next(&rest, &word)) >= 0;) {
        rob_field f = { .at = word, .count = n };
        CHECK(rob_priv_field_number(&f, &value) && value == value, r->ctx, ROB_EFORMAT,
              "'%.200s' declares labels of which some are numbers and some, as '%.*s', "
              "are not; option labels can say what they are",
              r->path, (int)(n < 40 ? n : 40), word);
    }
    CHECK(!words || r->d->labels != NULL || r->d->classes == 0, r->ctx, ROB_EFORMAT,
          "'%.200s' has words as labels; the series already there have numbers",
          r->path);
done:
    return status;
}

rob_status rob_priv_reading_declare(rob_reading *r, const rob_field *list, char mark)
{
    rob_status status = ROB_OK;
    rob_data *d = r->d;
    rob_text t = { 0 };
    if (d->text[ROB_DATA_LABELS][0]) return ROB_OK;
    if (d->labels != NULL) {
        rob_priv_text_add(&d->memory, &t, d->labels, (int64_t)strlen(d->labels) + 1);
        if (t.failed) return rob_priv_no_memory(r->ctx);
    }
    TRY(add_labels(r, &t, list, mark));
    if (t.count == 0) return ROB_OK;
    TRY(check_kind(r, t.at));
    r->labels = d->labels;
    r->declared = true;
    d->labels = t.at;
    t.at = NULL;
done:
    rob_priv_release(&d->memory, t.at);
    return status;
}
