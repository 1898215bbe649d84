/* arguments.c -- the command line read against one table; help is printed from it. */
#include "robust.h"

#include <math.h>
#include <stdio.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- what each command takes --------------------------------------------------------- */

typedef struct option { const char *name, *unit, *doc, *commands; size_t text, number, flag; } option;
#define TEXT(field) offsetof(arguments, field), 0, 0
#define NUMBER(field) 0, offsetof(arguments, field), 0
#define FLAG(field) 0, 0, offsetof(arguments, field)
#define ALL COMMANDS
#define QUERIES "attack certify probability geometry condition report"

static const option OPTIONS[] = {
    {"--out", "FILE", "where to write", "simulate train report study", TEXT(out)},
    {"--count", "N", "how many series (default: simulate 1000, others 16)",
     "simulate " QUERIES " study", NUMBER(count)},
    {"--first", "I", "first series, from 0", QUERIES, NUMBER(first)},
    {"--steps", "T", "points of a simulated series (default 128)", "simulate", NUMBER(steps)},
    {"--share", "P", "share held out for testing; written to OUT with .test before the ending",
     "simulate", NUMBER(share)},
    {"--recipe", "TEXT", "architecture, where the file does not carry it (docs/recipe.md)",
     "train predict " QUERIES " study check-certificate", TEXT(recipe)},
    {"--classes", "A,B", "label values in the order of the model's outputs",
     "train predict " QUERIES " study", TEXT(classes)},
    {"--valid", "FILE", "series for early stopping (default: a fifth of the data)", "train",
     TEXT(valid)},
    {"--norm", "NAME", "l0, l1, l2 or linf (default l2)", QUERIES, TEXT(norm)},
    {"--radius", "R", "size of the ball: margins at R; without it distances", QUERIES " study",
     NUMBER(radius)},
    {"--units", "NAME", "data or model: what a radius is measured in (default data)",
     QUERIES, TEXT(units)},
    {"--reference", "NAME", "prediction or label (default prediction)", QUERIES,
     TEXT(reference)},
    {"--output", "A,B", "forecasts: outputs asked about, from 0 (default all)", QUERIES,
     TEXT(output)},
    {"--direction", "NAME", "forecasts: up, down or either (default)", QUERIES, TEXT(direction)},
    {"--tolerance", "Y", "forecasts: deviation that counts as failing (default 0: with --radius, "
     "how far it moves)", QUERIES, NUMBER(tolerance)},
    {"--method", "NAME", "attack: fgsm pgd apgd square deepfool ddn fmn cw ead fab auto; certify and "
     "report: interval zonotope crown alpha branch auto; probability: mc split auto", "attack certify probability report", TEXT(method)},
    {"--attack", "NAME", "certify: attack as well and print the sandwich; report: attack by it", "certify report",
     TEXT(attack)},
    {"--radii", "A,B", "lengths of random changes (default 0.1,0.2,0.5,1,2,5,10)", "probability",
     TEXT(radii)},
    {"--certificates", "PREFIX", "write PREFIX0.cert, PREFIX1.cert, ... for what is proved", "certify",
     TEXT(certificates)},
    {"--lipschitz", "R", "also bound how fast the margin changes within R", "certify",
     NUMBER(lipschitz)},
    {"--title", "TEXT", "heading of the page", "report", TEXT(title)},
    {"--plot", "PATH", "plotter that turns a gnuplot script into SVG (default: gnuplot)", "report",
     TEXT(plot)},
    {"--what", "NAME", "transits (default) or prices", "simulate", TEXT(what)},
    {"--seed", "N", "seed of every random number (default 1)", ALL, NUMBER(seed)},
    {"--threads", "N", "worker threads (default 2)", ALL, NUMBER(threads)},
    {"--json", NULL, "print JSON instead of text; report: write OUT.json as well",
     "predict " QUERIES, FLAG(json)},
    {"--diagnose", NULL, "also ask whether gradients are masked, so that attacks by them mislead",
     "attack", FLAG(diagnose)},
    {"--universal", NULL, "with --radius: also how many series one perturbation for all can break at most",
     "certify", FLAG(universal)},
    {"--quiet", NULL, "no progress on the terminal", ALL, FLAG(quiet)},
};
enum { OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS };

int complain(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("robust: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return EXIT_BAD;
}

static bool is_word_of(const char *word, const char *list)
{
    size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)) != NULL; p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0)) return true;
    return false;
}

int help(const char *command)
{
    static const char *const USAGE[][2] = {
        {"simulate", "simulate --out FILE: transit light curves with labels (UCR .tsv)"},
        {"train", "train DATA --recipe TEXT --out MODEL: fit a model"},
        {"predict", "predict MODEL DATA: classes and accuracy beside the majority baseline"},
        {"attack", "attack MODEL DATA: how near is a misclassified series"},
        {"certify", "certify MODEL DATA: within which radius is none, proved"},
        {"check-certificate", "check-certificate MODEL CERT [DATA]: prove a certificate again"},
        {"study", "study penalties DATA... --out DIR: five ways to train, compared"},
        {"probability", "probability MODEL DATA: how often a random change alters the answer"},
        {"geometry", "geometry MODEL DATA: the nearest boundary point, estimates, curvature"},
        {"condition", "condition MODEL DATA: condition numbers of every series"},
        {"report", "report MODEL DATA --out FILE.html: all of it on one page"},
    };
    if (command == NULL) puts("robust " "-- how robust is this sequence model?\n");
    for (size_t i = 0; i < sizeof USAGE / sizeof *USAGE; i++)
        if (command == NULL || strcmp(command, USAGE[i][0]) == 0)
            printf("  robust %s\n", USAGE[i][1]);
    if (command == NULL) return puts("\n  robust help COMMAND lists a command's options"), 0;
    if (!is_word_of(command, ALL))
        return complain("no command '%s'; there are: %s", command, ALL);
    for (int i = 0; i < OPTION_COUNT; i++)
        if (is_word_of(command, OPTIONS[i].commands))
            printf("    %-12s %-5s %s\n", OPTIONS[i].name,
                   OPTIONS[i].unit ? OPTIONS[i].unit : "", OPTIONS[i].doc);
    puts("    --set NAME=VALUE   any option of the library, may be repeated");
    puts("    --data NAME=VALUE  how data are read, may be repeated: any option of data.h, or "
         "also=FILE,\n                       meta-file=FILE, time-file=FILE, label-file=FILE "
         "(docs/real-data.md)");
    return 0;
}

/* ---- reading the command line -------------------------------------------------------- */

static int read_number(const char *name, const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end != 0 || isnan(*out))
        return complain("%s takes a number, not '%s'", name, text);
    return 0;
}

static int read_option(arguments *a, const char *name, const char *value, int *used)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const option *o = &OPTIONS[i];
        if (strcmp(o->name, name) != 0) continue;
        if (!is_word_of(a->command, o->commands))
            return complain("%s is no option of %s; see: robust help %s", name, a->command,
                            a->command);
        *used = o->flag == 0;
        if (o->flag != 0) return *(bool *)((char *)a + o->flag) = true, 0;
        if (value == NULL) return complain("%s takes a value (%s)", name, o->unit);
        if (o->text != 0) return *(const char **)((char *)a + o->text) = value, 0;
        return read_number(name, value, (double *)((char *)a + o->number));
    }
    return complain("no option '%s'; see: robust help %s", name, a->command);
}

static int read_pair(const char *name, const char *value, const char **list, int *count)
{
    if (value == NULL || strchr(value, '=') == NULL)
        return complain("%s takes name=value", name);
    if (*count == MOST_SETS) return complain("at most %d %s", MOST_SETS, name);
    list[(*count)++] = value;
    return 0;
}

static int check_files(const arguments *a)
{
    bool writes = is_word_of(a->command, "simulate train report");
    int needed = strcmp(a->command, "train") == 0 ? 1 : 2;
    if (writes && a->out == NULL) return complain("%s needs --out FILE", a->command);
    bool checks = strcmp(a->command, "check-certificate") == 0;
    if (checks && a->files != 2 && a->files != 3)
        return complain("usage: robust check-certificate MODEL CERT [DATA]");
    if (!checks && !is_word_of(a->command, "simulate study") && a->files != needed)
        return complain("usage: robust %s %s; see: robust help %s", a->command,
                        needed == 1 ? "DATA" : "MODEL DATA", a->command);
    return 0;
}

int read_arguments(arguments *a, int argc, char **argv)
{
    *a = (arguments){.command = argv[1], .radius = INFINITY, .seed = 1, .threads = 2,
                     .steps = 128, .norm = "l2", .method = "auto", .reference = "prediction",
                     .units = "data", .direction = "either", .radii = "0.1,0.2,0.5,1,2,5,10", .what = "transits"};
    if (!is_word_of(a->command, ALL))
        return complain("no command '%s'; there are: %s help", a->command, ALL);
    for (int i = 2, used; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        int bad = 0;
        used = 0;
        if (strcmp(argv[i], "--set") == 0)
            bad = read_pair("--set", next, a->set, &a->sets), used = 1;
        else if (strcmp(argv[i], "--data") == 0)
            bad = read_pair("--data", next, a->data, &a->datas), used = 1;
        else if (argv[i][0] == '-' && argv[i][1] == '-') bad = read_option(a, argv[i], next, &used);
        else if (a->files == MOST_FILES) bad = complain("too many files");
        else a->file[a->files++] = argv[i];
        if (bad != 0) return bad;
        i += used;
    }
    return check_files(a);
}
