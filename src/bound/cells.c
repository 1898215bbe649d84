/* cells.c -- the cells of an unrolled network and the operands that link them.
 *
 * A cell v_i is a vector; cells are numbered so that operands come first. Live cells
 * own numbers [at, at + size) of a workspace's ranges; a view is a window on its root's
 * numbers, so splitting gates costs nothing. A cell that does not depend on x is
 * evaluated here, once, by the interval rules (weights: lo = up, the very same array).
 */
#include "bound/bound.h"

#include <string.h>

void *rob_priv_network_own(rob_network *net, int64_t count, int64_t size)
{
    if (net->owns == net->owned_capacity) {
        int64_t capacity = net->owned_capacity > 0 ? 2 * net->owned_capacity : 64;
        void **owned = rob_priv_grow(&net->memory, net->owned, net->owns, capacity,
                                     (int64_t)sizeof *owned);
        if (owned == NULL) return NULL;
        net->owned = owned;
        net->owned_capacity = capacity;
    }
    void *p = rob_priv_allocate(&net->memory, count, size);
    if (p != NULL) net->owned[net->owns++] = p;
    return p;
}

static bool room_for(rob_network *net, int32_t links)
{
    if (net->cells == net->capacity) {
        int32_t capacity = net->capacity > 0 ? 2 * net->capacity : 256;
        rob_cell *cell = rob_priv_grow(&net->memory, net->cell, net->cells, capacity,
                                       (int64_t)sizeof *cell);
        if (cell == NULL) return false;
        net->cell = cell;
        net->capacity = capacity;
    }
    if (net->links + links > net->link_capacity) {
        int64_t capacity = 2 * (net->links + links) + 256;
        rob_link *link = rob_priv_grow(&net->memory, net->link, net->links, capacity,
                                       (int64_t)sizeof *link);
        if (link == NULL) return false;
        net->link = link;
        net->link_capacity = capacity;
    }
    return true;
}

int32_t rob_priv_cell_add(rob_network *net, const rob_cell *cell, const rob_link *in)
{
    if (net->cells == INT32_MAX || !room_for(net, cell->ins)) return ROB_NONE;
    rob_cell *c = &net->cell[net->cells];
    *c = *cell;
    c->time = c->age = net->time;
    c->loop = net->loop;
    c->id = net->id;
    c->part = net->part;
    c->link = net->links;
    for (int32_t i = 0; i < c->ins; i++) {
        net->link[net->links++] = in[i];
        int32_t age = net->cell[in[i].cell].age;
        if (age > c->age) c->age = age;
    }
    if (c->kind == ROB_CELL_VIEW) {
        c->at = net->cell[c->root].at + c->first;
        c->age = net->cell[c->root].age;
        return net->cells++;
    }
    c->root = net->cells;
    if (c->kind != ROB_CELL_INPUT) c->first = 0;
    if (c->live) {
        c->at = net->range_size;
        net->range_size += c->size;
        if (c->size > net->widest) net->widest = c->size;
    }
    if (c->ins > net->most_ins) net->most_ins = c->ins;
    return net->cells++;
}

/* ---- known, views, joins --------------------------------------------------------- */

int32_t rob_priv_cell_known(rob_network *net, int64_t size, const double *lo,
                            const double *up)
{
    double *big = rob_priv_network_own(net, size, (int64_t)sizeof *big);
    if (big == NULL) return ROB_NONE;
    for (int64_t e = 0; e < size; e++) big[e] = fp_max(fabs(lo[e]), fabs(up[e]));
    rob_cell c = {.kind = ROB_CELL_KNOWN, .size = size, .lo = lo, .up = up, .big = big,
                  .mass = big};
    return rob_priv_cell_add(net, &c, NULL);
}

static int32_t with_mass(rob_network *net, int32_t cell, const double *mass)
{
    if (cell != ROB_NONE) net->cell[cell].mass = mass;
    return cell;
}

int32_t rob_priv_cell_view(rob_network *net, int32_t of, int64_t first, int64_t size)
{
    rob_cell c = net->cell[of];
    if (first == 0 && size == c.size) return of;
    if (!c.live)
        return with_mass(net, rob_priv_cell_known(net, size, c.lo + first, c.up + first),
                         c.mass + first);
    if (c.kind == ROB_CELL_VIEW) first += c.first;
    rob_cell view = {.kind = ROB_CELL_VIEW, .root = c.root, .live = true, .size = size,
                     .first = first};
    return rob_priv_cell_add(net, &view, NULL);
}

static int32_t join_known(rob_network *net, const int32_t *part, int64_t parts,
                          int64_t size)
{
    double *lo = rob_priv_network_own(net, size, (int64_t)sizeof *lo);
    double *up = rob_priv_network_own(net, size, (int64_t)sizeof *up);
    if (lo == NULL || up == NULL) return ROB_NONE;
    bool exact = true;
    for (int64_t k = 0, at = 0; k < parts; k++) {
        const rob_cell *c = &net->cell[part[k]];
        memcpy(lo + at, c->lo, (size_t)c->size * sizeof *lo);
        memcpy(up + at, c->up, (size_t)c->size * sizeof *up);
        exact = exact && c->lo == c->up;
        at += c->size;
    }
    return rob_priv_cell_known(net, size, lo, exact ? lo : up);
}

int32_t rob_priv_cell_join(rob_network *net, const int32_t *part, int64_t parts)
{
    if (parts == 1) return part[0];
    rob_cell c = {.kind = ROB_CELL_JOIN, .ins = (int32_t)parts};
    for (int64_t k = 0; k < parts; k++) {
        c.size += net->cell[part[k]].size;
        c.live = c.live || net->cell[part[k]].live;
    }
    if (!c.live) return join_known(net, part, parts, c.size);
    rob_link *in = rob_priv_allocate(&net->memory, parts, (int64_t)sizeof *in);
    if (in == NULL) return ROB_NONE;
    for (int64_t k = 0; k < parts; k++) in[k].cell = part[k];
    int32_t id = rob_priv_cell_add(net, &c, in);
    rob_priv_release(&net->memory, in);
    return id;
}

/* ---- operators ------------------------------------------------------------------- */

/* Sums keep the sizes of both terms, which need not be taken in this order; what is made
 * of such sums is as large as the operator's rule makes of [-mass, mass]. */
static int32_t with_mass_of(rob_network *net, const rob_node *n, int32_t k,
                            rob_shape shape, int32_t id, const rob_link *in,
                            rob_range *range)
{
    bool plain = n->op->id != ROB_OP_add && n->op->id != ROB_OP_sub;
    int64_t size = id == ROB_NONE ? 0 : net->cell[id].size, room = 2 * size;
    for (int32_t i = 0; i < n->ins; i++) {
        plain = plain && net->cell[in[i].cell].mass == net->cell[in[i].cell].big;
        room += net->cell[in[i].cell].size;
    }
    if (id == ROB_NONE || plain) return id;
    double *mass = rob_priv_network_own(net, room, (int64_t)sizeof *mass);
    if (mass == NULL) return ROB_NONE;
    double *lo = mass + size, *minus = lo + size;
    for (int32_t i = 0; i < n->ins; i++) {
        const rob_cell *c = &net->cell[in[i].cell];
        range[i] = (rob_range){in[i].shape, minus, (double *)c->mass};
        for (int64_t e = 0; e < c->size; e++) *minus++ = -c->mass[e];
    }
    rob_range out = {shape, lo, mass};
    n->op->interval(n, range, k, &out);
    for (int64_t e = 0; e < size; e++)
        mass[e] = fp_max(fp_max(fabs(lo[e]), fabs(mass[e])), net->cell[id].big[e]);
    return with_mass(net, id, mass);
}

static int32_t apply_known(rob_network *net, const rob_node *n, int32_t k,
                           rob_shape shape, const rob_link *in, int32_t ins)
{
    int64_t size = rob_priv_shape_size(&shape);
    double *lo = rob_priv_network_own(net, size, (int64_t)sizeof *lo);
    double *up = rob_priv_network_own(net, size, (int64_t)sizeof *up);
    rob_range *range = rob_priv_allocate(&net->memory, ins + 1, (int64_t)sizeof *range);
    int32_t id = ROB_NONE;
    if (lo != NULL && up != NULL && range != NULL) {
        for (int32_t i = 0; i < ins; i++) {
            const rob_cell *c = &net->cell[in[i].cell];
            range[i] = (rob_range){in[i].shape, (double *)c->lo, (double *)c->up};
        }
        rob_range out = {shape, lo, up};
        n->op->interval(n, range, k, &out);
        bool exact = memcmp(lo, up, (size_t)size * sizeof *lo) == 0;
        id = rob_priv_cell_known(net, size, lo, exact ? lo : up);
    }
    if (range != NULL) id = with_mass_of(net, n, k, shape, id, in, range);
    rob_priv_release(&net->memory, range);
    return id;
}

static bool is_exact(const rob_cell *c) { return !c->live && c->lo == c->up; }

/* Y (rows, N) = Z (rows, K) op(W): row coefficients L move to Z as L op(W)'. */
static bool is_product(const rob_network *net, const rob_node *n, const rob_link *in)
{
    return n->op->id == ROB_OP_matmul && net->cell[in[0].cell].live
           && is_exact(&net->cell[in[1].cell]) && in[1].shape.rank == 2
           && in[0].shape.rank == 2 && n->attr.i[0] == 0;
}

/* Is a cell a product with these very weights, read in the same shape? The same numbers
 * may be another matrix: reshaped, or the first rows of a larger one. */
static bool multiplies_by(const rob_network *net, const rob_cell *c, const double *w,
                          const rob_shape *s, bool tb)
{
    if (c->kind != ROB_CELL_PRODUCT || (c->node.attr.i[1] != 0) != tb) return false;
    const rob_link *weights = &net->link[c->link + 1];
    return net->cell[weights->cell].lo == w && rob_priv_shape_equal(&weights->shape, s);
}

/* op(W)' (N, K), prepared once per weights, shape and orientation */
static const void *packed_weights(rob_network *net, const double *w, rob_shape s,
                                  bool tb)
{
    for (int32_t i = 0; i < net->cells; i++)
        if (multiplies_by(net, &net->cell[i], w, &s, tb)) return net->cell[i].packed;
    int64_t n = s.dim[!tb], k = s.dim[tb];
    if (k <= ROB_NARROW) {
        double *rows = rob_priv_network_own(net, k * n, (int64_t)sizeof *rows);
        for (int64_t i = 0; rows != NULL && i < k * n; i++)
            rows[i] = w[tb ? i % n * k + i / n : i];
        return rows;
    }
    void *packed = rob_priv_network_own(net, net->la->packed_bytes(n, k), 1);
    if (packed != NULL)
        net->la->pack(n, k, w, tb ? s.dim[1] : 1, tb ? 1 : s.dim[1], packed);
    return packed;
}

/* op(W) (K, N), prepared once like the other way round */
static const void *packed_onward(rob_network *net, const double *w, rob_shape s, bool tb)
{
    for (int32_t i = 0; i < net->cells; i++)
        if (multiplies_by(net, &net->cell[i], w, &s, tb)) return net->cell[i].onward;
    int64_t n = s.dim[!tb], k = s.dim[tb];
    void *packed = rob_priv_network_own(net, net->la->packed_bytes(k, n), 1);
    if (packed != NULL)
        net->la->pack(k, n, w, tb ? 1 : s.dim[1], tb ? s.dim[1] : 1, packed);
    return packed;
}

/* Jointly affine in all operands, or a product of one operand with known numbers. */
static bool is_linear(const rob_network *net, const rob_node *n, const rob_link *in)
{
    if (n->op->pull == NULL) return false;
    if (n->op->kind & ROB_OP_AFFINE) return true;
    if (n->op->id != ROB_OP_matmul && n->op->id != ROB_OP_mul) return false;
    const rob_cell *a = &net->cell[in[0].cell], *b = &net->cell[in[1].cell];
    return (a->live && is_exact(b)) || (b->live && is_exact(a));
}

static int64_t numbers_of_planes(const rob_network *net, const rob_cell *c,
                                 const rob_link *in)
{
    if (c->kind == ROB_CELL_COUPLED) return rob_priv_couple_numbers(net, c, in);
    if (c->kind == ROB_CELL_PRODUCT) return c->size + 1;
    return c->kind == ROB_CELL_CURVED ? (2 * (int64_t)ROB_MAX_INS + 3) * c->size + 1
                                      : 0;
}

static void classify(rob_network *net, rob_cell *c, const rob_link *in)
{
    const rob_node *n = &c->node;
    bool add = n->op->id == ROB_OP_add, sub = n->op->id == ROB_OP_sub;
    c->kind = ROB_CELL_CURVED;
    if (add || sub) {
        c->kind = ROB_CELL_SUM;
        c->sign = sub ? -1 : 1;
    } else if (is_product(net, n, in)) {
        c->kind = ROB_CELL_PRODUCT;
        c->packed = packed_weights(net, net->cell[in[1].cell].lo, in[1].shape,
                                   n->attr.i[1] != 0);
        c->onward = packed_onward(net, net->cell[in[1].cell].lo, in[1].shape,
                                  n->attr.i[1] != 0);
    } else if (is_linear(net, n, in)) {
        c->kind = ROB_CELL_LINEAR;
    } else if (rob_priv_is_coupled(n)) {
        c->kind = ROB_CELL_COUPLED;
    }
}

int32_t rob_priv_cell_apply(rob_network *net, const rob_node *n, int32_t k,
                            rob_shape shape, const rob_link *in, int32_t ins)
{
    bool live = false;
    for (int32_t i = 0; i < ins; i++) live = live || net->cell[in[i].cell].live;
    if (!live) return apply_known(net, n, k, shape, in, ins);
    rob_cell c = {.ins = ins, .output = k, .live = true, .node = *n,
                  .size = rob_priv_shape_size(&shape)};
    c.node.shape = shape;
    classify(net, &c, in);
    if (c.kind == ROB_CELL_PRODUCT && (c.packed == NULL || c.onward == NULL))
        return ROB_NONE;
    if (!rob_priv_permute_prepare(net, &c, in)) return ROB_NONE;
    c.plane = net->plane_size;
    net->plane_size += numbers_of_planes(net, &c, in);
    return rob_priv_cell_add(net, &c, in);
}

/* ---- once all cells are there ---------------------------------------------------- */

/* Two operands of one root collide when their windows overlap. */
static bool collide(const rob_network *net, const rob_link *a, const rob_link *b)
{
    const rob_cell *p = &net->cell[a->cell], *q = &net->cell[b->cell];
    return p->at < q->at + q->size && q->at < p->at + p->size;
}

static rob_status find_sole_operands(rob_network *net)
{
    int64_t *head = rob_priv_allocate(&net->memory, net->cells, (int64_t)sizeof *head);
    int64_t *next =
        rob_priv_allocate(&net->memory, net->links + 1, (int64_t)sizeof *next);
    for (int64_t i = 0; head != NULL && next != NULL && i < net->links; i++) {
        const rob_cell *c = &net->cell[net->link[i].cell];
        net->link[i].sole = true;
        if (!c->live) continue;
        for (int64_t j = head[c->root] - 1; j >= 0; j = next[j] - 1)
            if (collide(net, &net->link[i], &net->link[j]))
                net->link[i].sole = net->link[j].sole = false;
        next[i] = head[c->root];
        head[c->root] = i + 1;
    }
    rob_status status = head != NULL && next != NULL ? ROB_OK : ROB_EMEMORY;
    rob_priv_release(&net->memory, head);
    rob_priv_release(&net->memory, next);
    return status;
}

/* Is an interval image of a cell as good as it gets? Of x it is exact; so it is, given
 * its operand's range, for a function of one variable. */
static bool interval_is_tight(const rob_network *net, const rob_cell *c)
{
    const rob_link *in;
    if (!c->live || c->kind == ROB_CELL_INPUT) return true;
    return c->kind == ROB_CELL_CURVED && rob_priv_live_ins(net, c, &in) == 1;
}

/* Roots that planes are made on deserve ranges of their own. */
static void find_tight_cells(rob_network *net)
{
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        bool curved = c->kind == ROB_CELL_CURVED && rob_priv_has_planes(&c->node);
        if (!curved && c->kind != ROB_CELL_COUPLED) continue;
        for (int32_t j = 0; j < c->ins; j++) {
            rob_cell *of = &net->cell[net->cell[net->link[c->link + j].cell].root];
            of->tight = of->tight || !interval_is_tight(net, of);
        }
    }
}

/* Roots of which only the side of 0 counts. */
static void find_kinked_cells(rob_network *net)
{
    for (int32_t i = 0; i < net->cells; i++) {
        rob_cell *c = &net->cell[i];
        c->kinked = c->tight && c->time < 0 && i != net->cell[net->output].root;
    }
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        bool relu = c->kind == ROB_CELL_CURVED && c->node.op->id == ROB_OP_relu;
        for (int32_t j = 0; j < c->ins && !relu; j++)
            net->cell[net->cell[net->link[c->link + j].cell].root].kinked = false;
    }
}

/* Who reads a root last, and whether any of its numbers go two ways: into two operands,
 * or into all outputs of a product. */
static void find_readers(rob_network *net)
{
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *c = &net->cell[i];
        bool spreads = c->kind == ROB_CELL_PRODUCT || c->kind == ROB_CELL_LINEAR;
        for (int32_t k = 0; k < c->ins; k++) {
            const rob_link *in = &net->link[c->link + k];
            rob_cell *root = &net->cell[net->cell[in->cell].root];
            root->last = i;
            root->shared = root->shared || spreads || !in->sole;
        }
    }
    net->cell[net->cell[net->output].root].last = INT32_MAX;
}

rob_status rob_priv_cells_finish(rob_network *net)
{
    rob_status status = find_sole_operands(net);
    if (status == ROB_OK) find_readers(net);
    find_tight_cells(net);
    find_kinked_cells(net);
    return status == ROB_OK ? rob_priv_straight_find(net) : status;
}

int32_t rob_priv_live_ins(const rob_network *net, const rob_cell *c,
                          const rob_link **in)
{
    int32_t live = 0;
    *in = &net->link[c->link];
    for (int32_t i = 0; i < c->ins; i++) live += net->cell[(*in)[i].cell].live;
    return live;
}

double rob_priv_network_cost(const rob_network *net, int64_t depth, int64_t rows)
{
    double total = 0;
    for (int32_t i = 0; i < net->cells; i++) {
        const rob_cell *start = &net->cell[i];
        double swept = i == net->output ? (double)rows : 2 * (double)start->size;
        if (!start->tight && i != net->output) continue;
        double work = 0;
        for (int32_t j = i; j >= 0; j--) {
            const rob_cell *c = &net->cell[j];
            if (depth > 0 && c->time >= 0 && c->time < start->age - depth) break;
            if (c->kind != ROB_CELL_PRODUCT) continue;
            const rob_cell *z = &net->cell[net->link[c->link].cell];
            rob_shape w = net->link[c->link + 1].shape;
            work += (double)z->size * (double)w.dim[c->node.attr.i[1] == 0];
        }
        total += swept * work;
    }
    return total;
}
