/* quickstart.cpp -- how robust is this model on these series?
 * usage: quickstart MODEL DATA */
#include "robust.hpp"

#include <algorithm>
#include <cstdio>

struct Sandwich {
    std::vector<double> lower, upper;
};

/* Of the first series: nothing fails within lower, something does at upper. */
static Sandwich sandwich(const std::string &model_path, const std::string &data_path)
{
    robust::Ctx ctx;
    const auto model = robust::Model::load(ctx, model_path);
    robust::Data data(ctx);
    data.read(ctx, data_path);

    robust::Query query(ctx, model);
    query.add_data(ctx, data, 0, std::min<std::int64_t>(data.count(), 16));
    query.set_ball(ctx, robust::Norm::l2, robust::infinity); /* search without a cap */

    robust::Attack attack(ctx, "auto");
    attack.set(ctx, "calls", 300);
    Sandwich s;
    s.upper = attack.distance(ctx, query);                   /* a failing point near */
    s.lower = robust::Bound(ctx, "auto").radius(ctx, query); /* none nearer: proved */
    return s;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s MODEL DATA\n", argv[0]);
        return 2;
    }
    try {
        const Sandwich s = sandwich(argv[1], argv[2]);
        for (std::size_t i = 0; i < s.lower.size(); i++)
            std::printf("series %2zu: safe within %.4f, broken at %.4f\n", i,
                        s.lower[i], s.upper[i]);
    } catch (const robust::Error &e) {
        std::fprintf(stderr, "%s: %s\n", e.kind(), e.what());
        return 1;
    }
    return 0;
}
