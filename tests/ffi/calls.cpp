/* calls.cpp -- the library as C++ sees it: numbers, errors, callbacks, threads.
 * usage: calls FOLDER    with model.safetensors, series.tsv, bits.txt and error.txt */
#define main quickstart_main
#include "../../examples/cpp/quickstart.cpp"
#undef main

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <future>
#include <sstream>
#include <thread>

using namespace robust;

static int passed, failed;
static std::string folder;

static void expect(bool truth, const char *what)
{
    (truth ? passed : failed)++;
    if (!truth) std::printf("failed: %s\n", what);
}

/* The status and the line of what a call throws; 0 when it throws nothing. */
template <class Call>
static std::pair<rob_status, std::string> thrown(Call call)
{
    try {
        call();
    } catch (const Error &e) {
        return {e.status(), e.what()};
    }
    return {ROB_OK, ""};
}

static std::string contents(const char *name)
{
    std::ifstream file(folder + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

static void bits_are_those_of_c()
{
    const Sandwich s = sandwich(folder + "/model.safetensors", folder + "/series.tsv");
    std::string text;
    for (std::size_t i = 0; i < s.lower.size(); i++) {
        char line[64];
        unsigned long long bits[2];
        std::memcpy(&bits[0], &s.lower[i], sizeof s.lower[i]);
        std::memcpy(&bits[1], &s.upper[i], sizeof s.upper[i]);
        std::snprintf(line, sizeof line, "%016llx %016llx\n", bits[0], bits[1]);
        text += line;
    }
    expect(!text.empty() && text == contents("bits.txt"), "the quickstart's bits");
}

static void errors_carry_status_and_line()
{
    Ctx ctx;
    Attack attack(ctx, "auto");
    const auto option = thrown([&] { attack.set(ctx, "stpes", 1); });
    expect(option.first == ROB_EARGUMENT && option.second == contents("error.txt"),
           "a wrong option gives the library's line");
    const auto file = thrown([&] { Model::load(ctx, "/no/such/file"); });
    expect(file.first == ROB_EIO, "a file that is not there");
    expect(thrown([&] { ctx.set_threads(-3); }).second.find("-3") != std::string::npos,
           "the line names the value");
    const auto model =
        Model::create(ctx, "lstm features=3 hidden=2 outputs=2 readout=last");
    Query q(ctx, model);
    const std::vector<double> four(4), five(5), six(6);
    expect(thrown([&] { q.add(ctx, four); }).first == ROB_ESHAPE, "add four");
    expect(thrown([&] { model.predict(ctx, five); }).first == ROB_ESHAPE, "predict");
    expect(thrown([&] { q.set_rows(ctx, four, five); }).first == ROB_ESHAPE, "rows");
    q.add(ctx, six);
    expect(q.count() == 1, "six numbers of three");
}

static const char *recipe = "lstm features=1 hidden=4 outputs=2 readout=last";

static Query small(Ctx &ctx, const Model &model)
{
    Query q(ctx, model);
    for (int i = 0; i < 3; i++) {
        std::vector<double> x;
        for (int t = 0; t < 12; t++) x.push_back(std::sin(t + i));
        q.add(ctx, x);
    }
    q.set_ball(ctx, Norm::l2, 0.5);
    return q;
}

static bool all_at_most(const std::vector<double> &a, const std::vector<double> &b)
{
    bool good = a.size() == b.size() && !a.empty();
    for (std::size_t i = 0; good && i < a.size(); i++) good = a[i] <= b[i];
    return good;
}

static void answers_agree()
{
    Ctx ctx;
    const auto model = Model::create(ctx, recipe);
    Query q = small(ctx, model);
    Attack attack(ctx, "pgd");
    Bound bound(ctx, "crown");
    const auto proved = bound.margin(ctx, q);
    expect(all_at_most(proved, attack.margin(ctx, q)), "proved <= seen");
    expect(bound.get(ctx, "margin") == proved, "get by name");
    expect(attack.get(ctx, "point", 1).size() == 12, "the point of a series");
    Sampler sampler(ctx, "mc");
    sampler.set(ctx, "samples", 100);
    const auto curve = sampler.curve(ctx, q, std::vector<double>{0.1, 3});
    expect(curve.size() == 18 && curve[1] <= curve[0] && curve[0] <= curve[2], "curve");
    const auto x = q.get(ctx, "x", 0);
    const auto y = model.predict(ctx, x);
    expect(q.get(ctx, "prediction", 0)[0] == (y[1] > y[0] ? 1 : 0), "prediction");
    const std::vector<double> bias{0.5, -2};
    expect(model.with(ctx, "fc.bias", bias).get(ctx, "fc.bias") == bias, "with");
    expect(model.describe(ctx).rfind("lstm", 0) == 0, "describe");
    Data data(ctx);
    data.add(ctx, x, 1, 1);
    const Series back = data.get(ctx, 0);
    expect(back.x == x && back.steps == 12 && back.label == 1, "a series comes back");
}

static void a_small_report()
{
    Ctx ctx;
    const auto model = Model::create(ctx, recipe);
    Query q = small(ctx, model), search = small(ctx, model), held = small(ctx, model);
    q.set_ball(ctx, Norm::l2, infinity);
    Report report(ctx, q);
    report.set(ctx, "samples", 50);
    report.set(ctx, "calls", 60);
    report.set(ctx, "slices", 0);
    report.set_text(ctx, "title", "From C++");
    report.run(ctx);
    const auto lower = report.get(ctx, "lower"), upper = report.get(ctx, "upper");
    expect(lower.size() == 3 && lower[0] > 0 && lower[0] <= upper[0], "sandwich");
    const auto names = report.columns();
    expect(std::count(names.begin(), names.end(), "curvature") == 1, "columns");
    report.add_universal(ctx, search, held);
    expect(report.get(ctx, "universal_fooled").size() == 5, "one change for all");
    report.save(ctx, folder + "/cpp.json");
    expect(!contents("cpp.json").empty(), "the file");
}

static void callbacks_stop()
{
    Ctx made;
    Ctx ctx = std::move(made);
    const auto model = Model::create(ctx, recipe);
    Query q = small(ctx, model);
    Bound bound(ctx, "interval");
    std::string stage;
    ctx.set_progress([&](std::string_view s, std::int64_t, std::int64_t) {
        stage = s;
        return true;
    });
    bound.radius(ctx, q);
    expect(ctx.stopped() && stage == "bound", "progress stops a call");
    ctx.set_progress([](std::string_view, std::int64_t, std::int64_t) -> bool {
        throw std::logic_error("from the callback");
    });
    std::string text;
    try {
        bound.radius(ctx, q);
    } catch (const std::logic_error &e) {
        text = e.what();
    }
    expect(text == "from the callback", "an exception passes around C");
    ctx.set_progress(nullptr);
    bound.radius(ctx, q);
    expect(!ctx.stopped(), "afterwards the context is as before");
}

static void another_thread_cancels()
{
    Ctx ctx;
    const auto model = Model::create(ctx, recipe);
    Query q = small(ctx, model);
    std::promise<void> started, cancelled;
    bool first = true;
    ctx.set_progress([&](std::string_view, std::int64_t, std::int64_t) {
        if (std::exchange(first, false)) {
            started.set_value();
            cancelled.get_future().wait();
        }
        return false;
    });
    std::thread helper([&] {
        started.get_future().wait();
        ctx.cancel();
        cancelled.set_value();
    });
    Bound(ctx, "interval").radius(ctx, q);
    helper.join();
    expect(ctx.stopped(), "another thread cancels");
}

static void handles_move_and_models_are_shared()
{
    static_assert(!std::is_copy_constructible_v<Query>);
    static_assert(!std::is_copy_assignable_v<Model>);
    static_assert(std::is_nothrow_move_constructible_v<Ctx>);
    Ctx ctx;
    auto model = Model::create(ctx, recipe);
    const std::vector<double> x{0.3, -0.2, 0.9};
    const auto here = model.predict(ctx, x);
    std::vector<double> there;
    std::thread([&there, &x, other = model.share()] {
        Ctx own;
        there = other.predict(own, x);
    }).join();
    expect(there == here, "a model on two threads");
    Query q(ctx, model);
    model = Model::create(ctx, recipe);
    Query moved = std::move(q);
    moved.add(ctx, x);
    expect(moved.get(ctx, "margin").size() == 1, "a query outlives its model's owner");
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    folder = argv[1];
    try {
        bits_are_those_of_c();
        errors_carry_status_and_line();
        answers_agree();
        a_small_report();
        callbacks_stop();
        another_thread_cancels();
        handles_move_and_models_are_shared();
    } catch (const std::exception &e) {
        expect(false, e.what());
    }
    std::printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed > 0;
}
