/* embed.c -- a figure on the page: heading, picture as data, caption; or why there is
 * none. Pictures are base64 (RFC 4648) inside <img>, where nothing in them can run or
 * load anything.
 */
#include "report/report.h"

#include <string.h>

static void add_base64(rob_page *p, const rob_bytes *bytes)
{
    static const char DIGIT[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int64_t k = 0; k < bytes->count; k += 3) {
        int64_t left = bytes->count - k;
        uint32_t word = (uint32_t)bytes->at[k] << 16;
        if (left > 1) word |= (uint32_t)bytes->at[k + 1] << 8;
        if (left > 2) word |= bytes->at[k + 2];
        char four[5] = { DIGIT[word >> 18], DIGIT[word >> 12 & 63],
                         left > 1 ? DIGIT[word >> 6 & 63] : '=',
                         left > 2 ? DIGIT[word & 63] : '=', 0 };
        rob_priv_text_add(&p->ctx->memory, &p->t, four, 4);
    }
}

static bool draw(rob_page *p, const rob_figure *figure, bool narrow, rob_bytes *svg,
                 const char **why)
{
    rob_page script = { .ctx = p->ctx, .report = p->report, .f = p->f };
    bool good = false;
    figure->script(&script, narrow);
    *why = "there was no memory";
    if (!script.t.failed)
        good = rob_priv_draw(p->ctx, p->report->text[ROB_REPORT_PLOT], &script.t, svg,
                             why);
    rob_priv_release(&p->ctx->memory, script.t.at);
    return good;
}

static void write_picture(rob_page *p, const rob_figure *figure, const rob_bytes *wide,
                          const rob_bytes *narrow)
{
    rob_priv_page_add(p, "<picture>");
    if (narrow->count > 0) {
        rob_priv_page_add(p, "<source media=\"(max-width: 600px)\" "
                             "srcset=\"data:image/svg+xml;base64,");
        add_base64(p, narrow);
        rob_priv_page_add(p, "\">");
    }
    rob_priv_page_print(p, "<img alt=\"%s\" src=\"data:image/svg+xml;base64,",
                        figure->title);
    add_base64(p, wide);
    rob_priv_page_add(p, "\"></picture>\n");
}

void rob_priv_write_figure(rob_page *p, const rob_figure *figure)
{
    rob_bytes wide = { 0 }, narrow = { 0 };
    const char *why = NULL;
    if (!figure->id) return;
    rob_priv_page_print(p, "<h2 id=\"%s\">%s</h2>\n", figure->id, figure->title);
    if (!figure->has(p->f)) {
        rob_priv_page_add(p, "<p class=\"empty\">");
        figure->caption(p);
        rob_priv_page_add(p, "</p>\n");
        return;
    }
    rob_priv_page_add(p, "<figure>\n");
    if (p->report->text[ROB_REPORT_PLOT] && draw(p, figure, false, &wide, &why)) {
        draw(p, figure, true, &narrow, &why);
        write_picture(p, figure, &wide, &narrow);
    } else {
        rob_priv_page_add(p, "<p class=\"empty\">Not drawn: ");
        rob_priv_page_add(p, why ? why
                                 : "no plotter was named (see the foot of the page)");
        rob_priv_page_add(
            p, ". The numbers are in the tables and in the JSON file.</p>\n");
    }
    rob_priv_io_release(&p->ctx->memory, &wide);
    rob_priv_io_release(&p->ctx->memory, &narrow);
    rob_priv_page_add(p, "<figcaption>");
    figure->caption(p);
    rob_priv_page_add(p, "</figcaption>\n</figure>\n");
}
