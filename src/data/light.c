/* light.c -- a light curve of Kepler or TESS into one series.
 *
 * Columns of option "columns" (PDCSAP_FLUX without it) are features, TIME the time axis
 * in the file's units. A value is missing where the file has none (NaN) and masked
 * where the quality flags meet option "quality"; both are counted, and become gaps. A
 * row inside without a time gets one between its neighbours', since cadences are
 * regular, and its values are missing; such rows at the ends are left out.
 * Default masks, as the pipelines' handbooks call the flags and lightkurve joins them:
 *     Kepler  1 attitude tweak, 2 safe mode, 4 coarse point, 8 earth point, 32 desat,
 *             256 manual exclude, 16384 detector anomaly, 65536 no data, 2^20 thruster
 *     TESS    1, 2, 4, 8 as above, 16 argabrightening, 32 desat, 128 manual exclude,
 *             512 impulsive outlier, 16384 bad calibration
 * Reference: Kepler Archive Manual KDMC-10008; TESS Science Data Products Description
 * EXP-TESS-ARC-ICD-0014.
 */
#include "data/parts.h"

#include <math.h>
#include <string.h>

static const uint64_t KEPLER = 1 | 2 | 4 | 8 | 32 | 256 | 16384 | 65536 | 1048576;
static const uint64_t TESS = 1 | 2 | 4 | 8 | 16 | 32 | 128 | 512 | 16384;

static uint64_t mask_of(const rob_data *d, const rob_light *l)
{
    const char *at = d->text[ROB_DATA_QUALITY];
    double number;
    if (strcmp(at, "default") == 0) return l->kepler ? KEPLER : TESS;
    if (!rob_priv_parse_double(&at, at + strlen(at), &number)) return 0;
    return (uint64_t)number;
}

/* Values that flags forbid become NaN; how many were not NaN before. */
static int64_t apply_mask(const rob_data *d, rob_light *l)
{
    const uint64_t mask = mask_of(d, l);
    int64_t masked = 0;
    for (int64_t k = 0; l->quality != NULL && k < l->rows; k++) {
        double flags = l->quality[k];
        if (!(flags >= 0 && flags < 9e15) || ((uint64_t)flags & mask) == 0) continue;
        for (int64_t c = 0; c < l->columns; c++) {
            masked += !isnan(l->value[k * l->columns + c]);
            l->value[k * l->columns + c] = NAN;
        }
    }
    return masked;
}

/* Rows first .. last have or get a time. */
static void fill_times(rob_light *l, int64_t *first, int64_t *last)
{
    *first = 0;
    *last = l->rows - 1;
    while (*first <= *last && !isfinite(l->time[*first])) ++*first;
    while (*last >= *first && !isfinite(l->time[*last])) --*last;
    for (int64_t k = *first, known = k; k <= *last; k++) {
        if (!isfinite(l->time[k])) {
            for (int64_t c = 0; c < l->columns; c++) l->value[k * l->columns + c] = NAN;
            continue;
        }
        for (int64_t j = known + 1; j < k; j++)
            l->time[j] = l->time[known]
                         + (l->time[k] - l->time[known]) * (double)(j - known)
                               / (double)(k - known);
        known = k;
    }
}

static rob_status set_times(rob_reading *r, rob_light *l, int64_t first, int64_t last)
{
    rob_status status = ROB_OK;
    const double start = rob_priv_data_value(r->d, "start");
    const double dt = rob_priv_data_value(r->d, "dt");
    CHECK(first <= last, r->ctx, ROB_EFORMAT, "'%.200s': no row has a time", r->path);
    for (int64_t k = first; k <= last; k++) {
        l->time[k] = start + dt * l->time[k];
        CHECK(isfinite(l->time[k]) && (k == first || l->time[k] > l->time[k - 1]),
              r->ctx, ROB_EFORMAT, "'%.200s': time %lld is not above the one before it",
              r->path, (long long)k + 1);
    }
    r->clock = l->time + first;
    r->ticks = last - first + 1;
done:
    return status;
}

static void name_units(rob_data *d, const rob_light *l)
{
    if (d->units[0] == 0) memcpy(d->units, l->units, sizeof d->units);
    if (d->time_units[0] == 0) memcpy(d->time_units, l->time_units, sizeof d->units);
}

static rob_status keep_light(rob_reading *r, rob_light *l)
{
    rob_status status = ROB_OK;
    int64_t first, last, missing = 0;
    for (int64_t k = 0; k < l->rows * l->columns; k++) {
        if (isinf(l->value[k])) l->value[k] = NAN;
        missing += isnan(l->value[k]);
    }
    r->masked = apply_mask(r->d, l);
    fill_times(l, &first, &last);
    TRY(set_times(r, l, first, last));
    r->missing = missing;
    r->name = l->name;
    TRY(rob_priv_reading_series(r, l->value + first * l->columns, r->ticks * l->columns,
                                l->columns, 1, NAN));
    name_units(r->d, l);
done:
    r->clock = NULL;
    r->name = NULL;
    return status;
}

rob_status rob_priv_read_fits(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    rob_light l = { 0 };
    const char *columns = r->d->text[ROB_DATA_COLUMNS];
    CHECK(rob_priv_reading_is(r, "auto") || rob_priv_reading_is(r, "columns")
              || rob_priv_reading_is(r, "series"),
          r->ctx, ROB_EFORMAT, "'%.200s' is FITS; role=%s does not go with it", r->path,
          r->role);
    r->role = "columns";
    TRY(rob_priv_fits_read(r->ctx, bytes, count, r->path,
                           *columns ? columns : "PDCSAP_FLUX", &l));
    TRY(keep_light(r, &l));
done:
    rob_priv_fits_clear(&l);
    return status;
}
