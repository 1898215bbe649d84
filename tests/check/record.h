/* record.h -- numbers of reference programs: lines `name rank dim...`, each followed by
 * its numbers, in tests/data/KIND_MODEL.txt. */
#ifndef ROB_TEST_RECORD_H
#define ROB_TEST_RECORD_H

#include "harness.h"

/* The numbers of record `name` into out (room for `most`); how many. */
static inline int64_t record_of(const char *kind, const char *model, const char *name,
                                double *out, long long most)
{
    char path[128], here[64];
    snprintf(path, sizeof path, "tests/data/%s_%s.txt", kind, model);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s is missing; run from the top of the tree", path);
    int64_t found = -1;
    while (found < 0 && fscanf(file, "%63s", here) == 1) {
        int rank;
        long long dim, n = 1;
        double skipped;
        bool wanted = strcmp(here, name) == 0;
        ck_assert(fscanf(file, "%d", &rank) == 1);
        for (int k = 0; k < rank; k++) {
            ck_assert(fscanf(file, "%lld", &dim) == 1);
            n *= dim;
        }
        ck_assert(n <= most);
        for (int64_t i = 0; i < n; i++)
            ck_assert(fscanf(file, "%lf", wanted ? &out[i] : &skipped) == 1);
        if (wanted) found = n;
    }
    fclose(file);
    ck_assert_msg(found > 0, "no record %s in %s", name, path);
    return found;
}

#endif
