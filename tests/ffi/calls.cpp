/* calls.cpp -- the library as C++ sees it: numbers, errors, callbacks, threads.
 * usage: calls FOLDER    with model.safetensors, series.tsv, bits.txt and error.txt */
#define main quickstart_main
#include "../../examples/cpp/quickstart.cpp"
#undef main

#include <algorithm>
#include <cmath>
#include <cstdlib>
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
    const auto here = q.get(ctx, "margin"), least = attack.get(ctx, "margin");
    const auto steep = bound.lipschitz(ctx, q);
    for (std::size_t i = 0; i < steep.size(); i++)
        expect(std::isfinite(steep[i]) && here[i] - least[i] <= 0.5 * steep[i], "slope");
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

static double norm(const std::vector<double> &d)
{
    double sum = 0;
    for (double v : d) sum += v * v;
    return std::sqrt(sum);
}

static std::vector<double> moved(const Attack &attack, Ctx &ctx)
{
    return attack.get(ctx, "perturbation", 0);
}

static void regions_are_obeyed()
{
    Ctx ctx;
    const auto model = Model::create(ctx, recipe);
    Query q = small(ctx, model);
    Attack attack(ctx, "pgd");
    const auto seen = [&] { return attack.margin(ctx, q), moved(attack, ctx); };
    const auto x = q.get(ctx, "x", 0);
    std::vector<double> scale(12, 1);
    scale[4] = 0;
    q.set_scale(ctx, -1, scale);
    expect(seen()[4] == 0 && norm(seen()) > 0, "a scale of 0 holds");
    q.set_scale(ctx, -1, {});
    q.set_relative(ctx);
    expect(seen()[0] == 0 && norm(seen()) > 0, "relative: sin 0 stays");
    q.set_relative(ctx, false);
    expect(seen()[0] != 0, "no scale again");
    q.set_box(ctx, 0, x, {});
    const auto up = seen();
    expect(*std::min_element(up.begin(), up.end()) >= 0 && norm(up) > 0, "a floor");
    expect(thrown([&] { q.set_box(ctx, 0, x, {1, 2}); }).first == ROB_ESHAPE, "walls");
    q.set_box(ctx, 0, {}, {});
    std::vector<double> budget(12, 0);
    budget[3] = 0.2;
    q.set_budget(ctx, 0, budget);
    expect(std::abs(seen()[3]) > 0 && norm(seen()) <= 0.2, "a budget");
    q.set_budget(ctx, 0, {});
    q.set_subspace(ctx, -1, std::vector<double>(24, 1), 2);
    expect(seen()[0] == seen()[11] && seen()[0] != 0, "a subspace");
    q.set_subspace(ctx, -1, {}, 1);
    q.set_band_limit(ctx, 1);
    expect(std::abs(seen()[0] - seen()[11]) < 1e-6 && seen()[0] != 0, "a band limit");
    q.set_band_limit(ctx, 0);
    q.set_smoothness(ctx, infinity, 0.01);
    expect(std::abs(seen()[0] - seen()[1]) <= 0.0101 && norm(seen()) > 0, "smooth");
    q.set_smoothness(ctx, infinity);
    q.set_steps(ctx, 2);
    const auto few = seen();
    expect(std::count(few.begin(), few.end(), 0) == 10, "two steps");
}

static void forecasts_are_pushed()
{
    Ctx ctx;
    const auto model = Model::create(
        ctx, "lstm features=1 hidden=4 outputs=2 readout=last task=forecast");
    Query q = small(ctx, model);
    q.set_deviation(ctx, {1}, Direction::up);
    Attack attack(ctx, "pgd");
    Bound bound(ctx, "crown");
    attack.margin(ctx, q);
    bound.margin(ctx, q);
    const auto found = attack.get(ctx, "deviation"), most = bound.get(ctx, "deviation");
    expect(found[0] > 0 && all_at_most(found, most), "a deviation");
    const auto twin = attack.get(ctx, "point", 0), x = q.get(ctx, "x", 0);
    expect(model.predict(ctx, twin)[1] > model.predict(ctx, x)[1], "upwards");
    q.set_band(ctx, 0, -infinity, 0.01);
    expect(std::abs(q.get(ctx, "margin")[0] - 0.01) < 1e-9, "a band around itself");
    q.set_band(ctx, -1, -infinity, infinity);
    q.set_band(ctx, 0, -0.02, infinity);
    expect(std::abs(q.get(ctx, "margin")[0] - 0.02) < 1e-9, "its other side");
}

static void one_change_for_all()
{
    Ctx ctx;
    const auto model = Model::create(ctx, recipe);
    Query q = small(ctx, model);
    q.set_ball(ctx, Norm::l2, 3);
    Attack attack(ctx, "universal");
    const auto delta = attack.universal(ctx, q);
    expect(delta.size() == 12 && norm(delta) <= 3.0001, "universal");
    const auto fooled = attack.transfer(ctx, q, delta);
    expect(fooled.size() == 5 && fooled[0] <= fooled[1] && fooled[1] == 3, "transfer");
    Bound bound(ctx, "crown");
    const auto most = static_cast<double>(bound.universal(ctx, q));
    expect(fooled[0] <= most && most <= 3, "found <= proved");
    q.set_ball(ctx, Norm::l2, 1e-6);
    expect(bound.universal(ctx, q) == 0 && bound.get(ctx, "universal")[1] == 3, "none");
}

static void geometry_and_proofs()
{
    Ctx ctx;
    const auto model = Model::load(ctx, folder + "/model.safetensors");
    Data data(ctx);
    data.read(ctx, folder + "/series.tsv");
    Query q(ctx, model);
    q.add_data(ctx, data, 0, 2);
    q.set_ball(ctx, Norm::l2, infinity);
    Bound bound(ctx, "crown");
    const auto lower = bound.radius(ctx, q);
    Boundary boundary(ctx);
    boundary.set(ctx, "order", 2);
    const auto distance = boundary.find(ctx, q);
    expect(lower[0] > 0 && all_at_most(lower, distance), "proved <= the boundary");
    expect(boundary.get(ctx, "distance") == distance, "boundary by name");
    Condition condition(ctx);
    condition.set(ctx, "weights", 0);
    condition.compute(ctx, q);
    const auto relative = condition.get(ctx, "relative");
    expect(relative.size() == 2 && relative[0] > 0, "condition");
    const auto steps = condition.steps(ctx, q, 1);
    expect(steps.size() == 24 && steps == condition.get(ctx, "steps", 1), "by step");
    Spectrum spectrum(ctx);
    spectrum.set(ctx, "margin", 1);
    const auto ends = spectrum.extremes(ctx, q);
    expect(ends.size() == 4 && ends[0] <= ends[1] && ends[2] <= ends[3], "extremes");
    expect(spectrum.get(ctx, "highest")[1] == ends[3], "spectrum by name");

    const auto certificate = Certificate::prove(ctx, bound, q, 0, 0.5 * lower[0]);
    certificate.save(ctx, folder + "/cpp.certificate");
    auto again = Certificate::load(ctx, folder + "/cpp.certificate");
    expect(again.get(ctx, "proved").empty(), "nothing is believed yet");
    expect(again.check(ctx, model) > 0, "a certificate proves again");
    const auto bias = model.get(ctx, "fc.bias");
    const auto other = model.with(ctx, "fc.bias", {bias[0] + 1, bias[1]});
    expect(thrown([&] { again.check(ctx, other); }).first == ROB_EDOMAIN, "refused");
    ctx.cancel();
    expect(thrown([&] { again.check(ctx, model); }).first == ROB_STOPPED, "no half check");
    ctx.cancel();
    expect(thrown([&] { Certificate::prove(ctx, bound, q, 0, 0.1); }).first ==
               ROB_STOPPED, "no half certificate");
}

static void masked_gradients_are_told()
{
    Ctx ctx;
    const auto model = Model::create(ctx, recipe);
    Query q = small(ctx, model);
    q.set_ball(ctx, Norm::l2, infinity);
    Diagnosis diagnosis(ctx);
    diagnosis.set(ctx, "calls", 30);
    diagnosis.set(ctx, "steps", 4);
    diagnosis.set_text(ctx, "black", "none");
    diagnosis.run(ctx, q);
    expect(diagnosis.get(ctx, "share_gradients")[0] == 0, "gradients are there");
    expect(diagnosis.get(ctx, "saturated", 2).size() == 1, "one column of one series");
    const auto sound = diagnosis.warnings().size();
    Query far(ctx, model.with(ctx, "fc.bias", {1e4, 0}));
    far.add(ctx, std::vector<double>(12, 1));
    diagnosis.run(ctx, far);
    expect(diagnosis.get(ctx, "share_loss")[0] == 1 &&
               diagnosis.warnings().size() == sound + 1, "log-odds of ten thousand");
}

static void smoothing_and_data()
{
    Ctx ctx;
    const auto model = Model::create(ctx, recipe);
    Query q = small(ctx, model);
    Sampler sampler(ctx, "mc");
    sampler.set(ctx, "samples", 200);
    const auto smooth = sampler.smooth(ctx, q, 1e-3);
    expect(smooth.size() == 9 && smooth[0] == q.get(ctx, "prediction")[0] &&
               smooth[1] > 0 && smooth[2] > 0.9, "smoothed");
    Data data(ctx);
    data.set_text(ctx, "role", "prices");
    data.set(ctx, "window", 8);
    data.set(ctx, "history", 20);
    data.read(ctx, folder + "/prices.csv");
    expect(data.about_text(ctx, "units", 0) == "log return", "about in words");
    const std::int64_t all = data.count();
    const Data late = data.split_time(ctx, 0.25);
    const double end = data.about(ctx, "until", data.count() - 1)[0];
    expect(late.count() == (all + 2) / 4 && end <= late.about(ctx, "when", 0)[0], "by time");
    expect(data.about(ctx, "purged").size() == 1, "about the set");
    Data test(ctx);
    test.add(ctx, {10, 20}, 1, 0);
    test.set_target(ctx, 0, {0.5});
    expect(test.about(ctx, "target", 0) == std::vector<double>{0.5}, "a target");
    Data like(ctx);
    like.add(ctx, {0, 2}, 1);
    test.normalize(ctx, &like);
    expect(test.get(ctx, 0).x == std::vector<double>{9, 19}, "normalize");
}

static void programs_and_engines_are_models()
{
    Ctx ctx;
    Tape tape(ctx);
    const Var x = tape.input(ctx, {3, 1}), w = tape.constant(ctx, {1, 2, 3}, {3, 1});
    const Var y = tape.apply(ctx, "sum", {tape.apply(ctx, "mul", {w, x})});
    const Var z = tape.apply(ctx, "reshape", {y}, {1});
    const Var both = tape.apply(
        ctx, "concat", {z, tape.apply(ctx, "affine", {z}, {-1, 0})}, {0});
    const Var square = tape.apply(ctx, "sum", {tape.apply(ctx, "square", {x})});
    const Var g = tape.gradient(ctx, square, x);
    const Var hw = tape.jvp(ctx, g, x, w), back = tape.vjp(ctx, g, x, w);
    tape.set(ctx, x, {1, 0, -1});
    tape.run(ctx, {y, g, hw, back});
    expect(tape.get(ctx, y)[0] == -2, "a program");
    expect(tape.get(ctx, g) == std::vector<double>({2, 0, -2}), "its gradient");
    expect(tape.get(ctx, hw) == std::vector<double>({2, 4, 6}) &&
               tape.get(ctx, back) == tape.get(ctx, hw), "its Hessian");
    expect(thrown([&] { tape.constant(ctx, {1, 2}, {3}); }).first == ROB_ESHAPE, "shape");
    const auto recorded = Model::from_tape(ctx, tape, x, both);
    const std::vector<double> at{1, 1, 1};
    expect(recorded.predict(ctx, at) == std::vector<double>({6, -6}), "from a tape");

    bool breaks = false;
    auto kept = std::make_shared<int>(0);
    const std::weak_ptr<int> alive = kept;
    auto logits = [&breaks, kept](const double *in, std::int64_t rows, std::int64_t steps,
                                  double *out) {
        if (breaks) throw std::logic_error("from the engine");
        for (std::int64_t r = 0; r < rows; r++) {
            double sum = 0;
            for (std::int64_t t = 0; t < steps; t++)
                sum += static_cast<double>(t + 1) * in[r * steps + t];
            out[2 * r] = sum;
            out[2 * r + 1] = -sum;
        }
    };
    const auto pullback = [](const double *, const double *seed, std::int64_t rows,
                             std::int64_t steps, double *out) {
        for (std::int64_t r = 0; r < rows; r++)
            for (std::int64_t t = 0; t < steps; t++)
                out[r * steps + t] = static_cast<double>(t + 1) *
                                     (seed[2 * r] - seed[2 * r + 1]);
    };
    auto q = std::make_unique<Query>(
        ctx, Model::from_callback(ctx, 1, 2, std::move(logits), pullback));
    kept.reset();
    expect(!alive.expired(), "a query keeps the functions of its model");
    q->add(ctx, at);
    const double distance = Attack(ctx, "deepfool").distance(ctx, *q)[0];
    expect(std::abs(distance - 6 / std::sqrt(14.0)) < 1e-2, "an engine is attacked");
    breaks = true;
    q->add(ctx, at);
    std::string text;
    try {
        q->get(ctx, "margin");
    } catch (const std::logic_error &e) {
        text = e.what();
    }
    expect(text == "from the engine", "what an engine throws");
    q.reset();
    expect(alive.expired(), "as long as it lives");
}

static void files_in_memory_and_fronts()
{
    Ctx ctx;
    const std::string bytes = contents("model.safetensors");
    const auto *first = reinterpret_cast<const std::uint8_t *>(bytes.data());
    const auto model = Model::load_bytes(ctx, {first, bytes.size()});
    const auto named = Model::load(ctx, folder + "/model.safetensors");
    expect(model.get(ctx, "fc.bias") == named.get(ctx, "fc.bias"), "bytes");
    const auto front = Model::create(ctx, recipe).with_front(ctx, "returns", 0.5);
    const auto direct = Model::create(ctx, recipe);
    const double e = std::exp(1.0);
    const auto y = front.predict(ctx, {1, e, 1}), z = direct.predict(ctx, {2, -2});
    expect(std::abs(y[0] - z[0]) < 1e-6, "prices in front");
}

static std::int64_t allocated;

static void *count_and_allocate(void *, std::int64_t bytes)
{
    allocated++;
    return std::malloc(static_cast<std::size_t>(bytes));
}

static void count_and_release(void *, void *p)
{
    allocated--;
    std::free(p);
}

static void remarks_and_memory()
{
    Ctx ctx;
    std::string line;
    ctx.set_log([&](std::int32_t level, std::string_view text) {
        line = std::to_string(level) + ":" + std::string(text);
    });
    ctx.set_text("isa", "generic");
    expect(line == "1:isa: generic is used", "a remark");
    ctx.set_log([](std::int32_t, std::string_view) { throw std::logic_error("log"); });
    bool passed_on = false;
    try {
        ctx.set_text("isa", "auto");
    } catch (const std::logic_error &) {
        passed_on = true;
    }
    expect(passed_on, "what a log throws");
    ctx.set_log(nullptr);
    expect(thrown([&] { ctx.set_text("isa", "none"); }).first == ROB_EARGUMENT, "quiet");
    {
        Ctx own(count_and_allocate, count_and_release, nullptr);
        const auto model = Model::create(own, recipe);
        expect(allocated > 1, "an allocator of one's own");
    }
    expect(allocated == 0, "which gets all back");
    expect(std::string(Error(ROB_ESHAPE, "x").kind()) == rob_status_string(ROB_ESHAPE),
           "a status in words");
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
        regions_are_obeyed();
        forecasts_are_pushed();
        one_change_for_all();
        geometry_and_proofs();
        masked_gradients_are_told();
        smoothing_and_data();
        programs_and_engines_are_models();
        files_in_memory_and_fronts();
        remarks_and_memory();
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
