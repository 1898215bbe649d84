/* fixture.c -- what the other languages are compared with, made by the C library.
 * usage: fixture FOLDER    writes model.safetensors, series.tsv, prices.csv, error.txt
 *
 * A network of eight units, trained for a few epochs so that attacks find something,
 * a price on each of DAYS days, and the line that a misspelt option gives. */
#include <robust.h>

#include <stdio.h>

enum { SERIES = 24, STEPS = 24, EPOCHS = 6, DAYS = 60 };

static FILE *create(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return fopen(path, "w");
}

static void write_line(const char *folder, const char *line)
{
    FILE *file = create(folder, "error.txt");
    if (!file) return;
    fputs(line, file);
    fclose(file);
}

static void write_prices(const char *folder)
{
    FILE *file = create(folder, "prices.csv");
    if (!file) return;
    fputs("day,price\n", file);
    for (int day = 0; day < DAYS; day++)
        fprintf(file, "%d,%d\n", 20000 + day, 1000 + 37 * day % 11 + day);
    fclose(file);
}

static rob_status make(rob_ctx *ctx, rob_data *data, rob_trainer *trainer,
                       const char *folder)
{
    char path[1024];
    rob_model *start = NULL, *fitted = NULL;
    rob_status status = rob_data_set(ctx, data, "steps", STEPS);
    if (status == ROB_OK) status = rob_data_simulate(ctx, data, "transits", SERIES);
    if (status == ROB_OK)
        status = rob_model_create(
            ctx, "lstm features=1 hidden=8 outputs=2 readout=last", &start);
    if (status == ROB_OK) status = rob_trainer_set(ctx, trainer, "epochs", EPOCHS);
    if (status == ROB_OK)
        status = rob_trainer_run(ctx, trainer, start, data, NULL, &fitted);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (status == ROB_OK) status = rob_model_save(ctx, fitted, path);
    snprintf(path, sizeof path, "%s/series.tsv", folder);
    if (status == ROB_OK) status = rob_data_save(ctx, data, path);
    rob_model_free(fitted);
    rob_model_free(start);
    return status;
}

static rob_status misspell(rob_ctx *ctx, const char *folder)
{
    rob_attack *attack = NULL;
    rob_status status = rob_attack_create(ctx, "auto", &attack);
    if (status == ROB_OK &&
        rob_attack_set(ctx, attack, "stpes", 1) != ROB_EARGUMENT)
        status = ROB_EINTERNAL;
    write_line(folder, rob_ctx_error(ctx));
    rob_attack_free(attack);
    return status;
}

int main(int argc, char **argv)
{
    rob_ctx *ctx = NULL;
    rob_data *data = NULL;
    rob_trainer *trainer = NULL;
    if (argc != 2) return 2;
    rob_status status = rob_ctx_create(&ctx);
    if (status == ROB_OK) status = rob_data_create(ctx, &data);
    if (status == ROB_OK) status = rob_trainer_create(ctx, &trainer);
    if (status == ROB_OK) status = make(ctx, data, trainer, argv[1]);
    if (status == ROB_OK) status = misspell(ctx, argv[1]);
    write_prices(argv[1]);
    if (status != ROB_OK)
        fprintf(stderr, "%s: %s\n", rob_status_string(status), rob_ctx_error(ctx));
    rob_trainer_free(trainer);
    rob_data_free(data);
    rob_ctx_free(ctx);
    return status != ROB_OK;
}
