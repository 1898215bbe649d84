/* robust.hpp -- librobust for C++17: this header, `pkg-config --cflags --libs robust`
 *
 * A class for each noun. Its object owns one handle: it moves, does not copy, and frees
 * at its end. (Model::share gives one more reference to a model, which never changes.)
 * A call that fails throws robust::Error with the status and the library's line. The
 * context comes first in every call that can fail; no handle keeps it, so objects may
 * outlive it and go to other threads. A model may be used by many threads at once, each
 * with its own context; everything else by one at a time.
 *
 * A call that was cancelled or out of time throws nothing: its results are valid as far
 * as they go, and Ctx::stopped says so.
 *
 * Series are (steps, features) numbers, time-major, in anything with data() and size().
 * Label, class and series index -1: none, any, all, as in the C headers, which are the
 * manual.
 */
#ifndef ROBUST_HPP
#define ROBUST_HPP

#include <robust.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace robust {

/* What a failed call says: a status below zero, and one line. */
class Error : public std::runtime_error {
public:
    Error(rob_status status, const std::string &text)
        : std::runtime_error(text), status_(status) {}
    rob_status status() const noexcept { return status_; }
    const char *kind() const noexcept { return rob_status_string(status_); }

private:
    rob_status status_;
};

constexpr double infinity = std::numeric_limits<double>::infinity();

enum class Norm : std::int32_t {
    l0 = ROB_NORM_L0, l1 = ROB_NORM_L1, l2 = ROB_NORM_L2, linf = ROB_NORM_LINF
};
enum class Units : std::int32_t { model = ROB_UNITS_MODEL, data = ROB_UNITS_DATA };
enum class Reference : std::int32_t {
    prediction = ROB_REFERENCE_PREDICTION, label = ROB_REFERENCE_LABEL
};
enum class Direction : std::int32_t {
    down = ROB_DOWN, either = ROB_EITHER, up = ROB_UP
};
enum class Precision : std::int32_t { f32 = ROB_F32, f64 = ROB_F64 };

/* Elements somebody else keeps: a vector, an array, a pointer and a count, or, for the
 * length of a call, a list in braces. Empty, it takes away what a setter had set. */
template <class T>
class View {
public:
    View() = default;
    View(const T *data, std::size_t count)
        : data_(data), count_(static_cast<std::int64_t>(count)) {}
    template <class C, class = std::enable_if_t<std::is_convertible_v<
                           decltype(std::declval<const C &>().data()), const T *>>>
    View(const C &c) : View(c.data(), c.size()) {}
    View(std::initializer_list<T> list) : View(list.begin(), list.size()) {}
    const T *data() const { return data_; }
    const T *data_or_null() const { return count_ > 0 ? data_ : nullptr; }
    std::int64_t count() const { return count_; }

private:
    const T *data_ = nullptr;
    std::int64_t count_ = 0;
};
using Numbers = View<double>;

inline std::string version() { return rob_version(); }
inline std::string build_info() { return rob_build_info(); }

namespace detail {

template <auto Free>
struct Free_with {
    template <class H>
    void operator()(H *h) const noexcept { Free(h); }
};
template <class H, auto Free>
using Owned = std::unique_ptr<H, Free_with<Free>>;

/* Told the stage and how many of how many are done; true stops the call. */
using Step = std::function<bool(std::string_view, std::int64_t, std::int64_t)>;

/* Told a remark and its level: 0 a warning, 1 what was chosen, 2 details. */
using Line = std::function<void(std::int32_t, std::string_view)>;

/* f and its gradients as rob_model_logits and rob_model_pullback have them; they fail
 * by throwing. */
struct Engine {
    std::function<void(const double *, std::int64_t, std::int64_t, double *)> logits;
    std::function<void(const double *, const double *, std::int64_t, std::int64_t,
                       double *)> pullback;
};

/* What a callback threw on this thread, which is the one that called the library. */
inline thread_local std::exception_ptr thrown;

/* Run what C called, which an exception must not cross: the first one is kept and
 * thrown on when the call has returned. What f answers, or 1. */
template <class F>
std::int32_t guard(F f) noexcept
{
    try {
        return f();
    } catch (...) {
        if (!thrown) thrown = std::current_exception();
        return 1;
    }
}

extern "C" inline std::int32_t robust_cpp_told(void *user, const char *stage,
                                               std::int64_t done, std::int64_t total)
{
    const Step &step = *static_cast<Step *>(user);
    return guard([&] { return step(stage, done, total) ? 1 : 0; });
}

extern "C" inline void robust_cpp_line(void *user, std::int32_t level, const char *text)
{
    const Line &line = *static_cast<Line *>(user);
    guard([&] { return line(level, text), 0; });
}

extern "C" inline std::int32_t robust_cpp_logits(void *user, const double *x,
                                                 std::int64_t rows, std::int64_t steps,
                                                 double *out)
{
    const Engine &engine = *static_cast<const Engine *>(user);
    return guard([&] { return engine.logits(x, rows, steps, out), 0; });
}

extern "C" inline std::int32_t robust_cpp_pullback(void *user, const double *x,
                                                   const double *seed,
                                                   std::int64_t rows,
                                                   std::int64_t steps, double *out)
{
    const Engine &engine = *static_cast<const Engine *>(user);
    return guard([&] { return engine.pullback(x, seed, rows, steps, out), 0; });
}

[[noreturn]] inline void misfit(const std::string &line)
{
    throw Error(ROB_ESHAPE, line);
}

/* How many steps numbers are with so many features each. */
inline std::int64_t steps(Numbers x, std::int64_t features)
{
    if (features < 1 || x.count() % features != 0)
        misfit("x: " + std::to_string(x.count()) + " numbers are no whole steps of " +
               std::to_string(features) + " features");
    return x.count() / features;
}

}  // namespace detail

/* ---- context ------------------------------------------------------------------- */
class Ctx {
public:
    Ctx()
    {
        rob_ctx *out = nullptr;
        const rob_status status = rob_ctx_create(&out);
        if (status < ROB_OK) throw Error(status, "ctx: no memory for a context");
        raw_.reset(out);
    }

    /* On an allocator of one's own: workers call it too, and it must not throw. */
    Ctx(void *(*allocate)(void *user, std::int64_t bytes),
        void (*release)(void *user, void *p), void *user)
    {
        rob_ctx *out = nullptr;
        const rob_status status = rob_ctx_create_with(allocate, release, user, &out);
        if (status < ROB_OK) throw Error(status, "ctx: no memory for a context");
        raw_.reset(out);
    }

    void set_seed(std::uint64_t seed) { call(rob_ctx_set_seed, seed); }
    void set_threads(std::int32_t workers) { call(rob_ctx_set_threads, workers); }
    void set_memory(std::int64_t bytes) { call(rob_ctx_set_memory, bytes); }
    void set_deadline(double seconds) { call(rob_ctx_set_deadline, seconds); }
    void set_text(const std::string &name, const std::string &value)
    {
        call(rob_ctx_set_text, name.c_str(), value.c_str());
    }

    /* An exception of `step` stops the call and is thrown on when it has returned. An
     * empty step: nobody is told. */
    void set_progress(detail::Step step)
    {
        auto fresh = std::make_unique<detail::Step>(std::move(step));
        const auto told = *fresh ? detail::robust_cpp_told : nullptr;
        call(rob_ctx_set_progress, told, fresh.get());
        progress_ = std::move(fresh);
    }

    /* The library's remarks. What `line` throws is thrown on when the call has
     * returned; an empty line: remarks are dropped. */
    void set_log(detail::Line line)
    {
        auto fresh = std::make_unique<detail::Line>(std::move(line));
        const auto told = *fresh ? detail::robust_cpp_line : nullptr;
        call(rob_ctx_set_log, told, fresh.get());
        log_ = std::move(fresh);
    }

    /* The one function for other threads. The context must still be there. */
    void cancel() const noexcept { rob_ctx_cancel(raw_.get()); }

    /* Whether the last call was cut short by cancel, progress or deadline. */
    bool stopped() const noexcept { return stopped_; }

    rob_ctx *raw() const noexcept { return raw_.get(); }

    /* A status as an exception, or none; this and the five below wrap any function. */
    void check(rob_status status)
    {
        stopped_ = status == ROB_STOPPED;
        if (detail::thrown)
            std::rethrow_exception(std::exchange(detail::thrown, nullptr));
        if (status < ROB_OK) throw Error(status, rob_ctx_error(raw()));
    }

    /* A function that answers only a status: f(ctx, a...). */
    template <class F, class... A>
    void call(F f, A... a) { check(f(raw(), a...)); }

    /* One that makes a handle: f(ctx, a..., &out). The handle is owned first, so that
     * nothing is lost when the check throws. */
    template <class Handle, class F, class... A>
    Handle make(F f, A... a)
    {
        typename Handle::pointer out = nullptr;
        const rob_status status = f(raw(), a..., &out);
        Handle owned(out);
        check(status);
        return owned;
    }

    /* One that answers `count` numbers: f(ctx, a..., out, capacity). */
    template <class F, class... A>
    std::vector<double> fill(std::int64_t count, F f, A... a)
    {
        std::vector<double> out(static_cast<std::size_t>(count));
        call(f, a..., out.data(), count);
        return out;
    }

    /* One that answers by name: f(ctx, a..., out, capacity, &count); size first. */
    template <class F, class... A>
    std::vector<double> read(F f, A... a)
    {
        std::int64_t count = 0;
        call(f, a..., nullptr, 0, &count);
        const bool stopped = stopped_;
        std::vector<double> out(static_cast<std::size_t>(count));
        call(f, a..., out.data(), count, &count);
        keep_stopped(stopped);
        return out;
    }

    /* One that answers a text: f(ctx, a..., text, capacity, &count); size first. */
    template <class F, class... A>
    std::string text(F f, A... a)
    {
        std::int64_t count = 0;
        call(f, a..., nullptr, 0, &count);
        std::vector<char> out(static_cast<std::size_t>(count));
        call(f, a..., out.data(), count, &count);
        return out.data();
    }

    /* After calls that answered in two steps: the first was cut short as well. */
    void keep_stopped(bool before) noexcept { stopped_ = stopped_ || before; }

private:
    std::unique_ptr<detail::Step> progress_;  /* both go after raw_, which calls them */
    std::unique_ptr<detail::Line> log_;
    detail::Owned<rob_ctx, rob_ctx_free> raw_;
    bool stopped_ = false;
};

/* ---- tape ---------------------------------------------------------------------- */
/* A variable of a tape: meaningful with that tape only. */
using Var = rob_var;

/* A program over tensors: recorded, differentiated, replayed at new inputs. */
class Tape {
public:
    using Handle = detail::Owned<rob_tape, rob_tape_free>;

    explicit Tape(Ctx &ctx, Precision precision = Precision::f64)
        : raw_(ctx.make<Handle>(rob_tape_create, static_cast<std::int32_t>(precision)))
    {
    }
    Var input(Ctx &ctx, View<std::int64_t> shape)
    {
        return record(ctx, rob_tape_input, shape.data(), rank(shape));
    }
    /* Numbers that do not change, row-major. */
    Var constant(Ctx &ctx, Numbers values, View<std::int64_t> shape)
    {
        std::int64_t count = 1;
        for (std::int64_t k = 0; k < shape.count(); k++) count *= shape.data()[k];
        if (count != values.count())
            detail::misfit("values: " + std::to_string(values.count()) +
                           " numbers for a shape of " + std::to_string(count));
        return record(ctx, rob_tape_constant, values.data(), shape.data(), rank(shape));
    }
    /* op(in[0], ...), with what the list of operators shows in braces. */
    Var apply(Ctx &ctx, const std::string &op, View<Var> in, Numbers numbers = {})
    {
        const auto count = static_cast<std::int32_t>(in.count());
        if (numbers.count() == 0)
            return record(ctx, rob_tape_apply, op.c_str(), in.data(), count);
        return record(ctx, rob_tape_apply_with, op.c_str(), in.data(), count,
                      numbers.data(), static_cast<std::int32_t>(numbers.count()));
    }
    /* dy/dx of a scalar y */
    Var gradient(Ctx &ctx, Var y, Var x)
    {
        return record(ctx, rob_tape_gradient, y, x);
    }
    /* sum_j w_j dy_j/dx */
    Var vjp(Ctx &ctx, Var y, Var x, Var w)
    {
        return record(ctx, rob_tape_vjp, y, x, w);
    }
    /* sum_i dy/dx_i v_i */
    Var jvp(Ctx &ctx, Var y, Var x, Var v)
    {
        return record(ctx, rob_tape_jvp, y, x, v);
    }
    void set(Ctx &ctx, Var x, Numbers values)
    {
        ctx.call(rob_tape_set, raw(), x, values.data(), values.count());
    }
    void run(Ctx &ctx, View<Var> want)
    {
        ctx.call(rob_tape_run, raw(), want.data(),
                 static_cast<std::int32_t>(want.count()));
    }
    std::vector<double> get(Ctx &ctx, Var y) const
    {
        return ctx.read(rob_tape_get, raw(), y);
    }
    rob_tape *raw() const noexcept { return raw_.get(); }

private:
    static std::int32_t rank(View<std::int64_t> shape)
    {
        return static_cast<std::int32_t>(shape.count());
    }
    template <class F, class... A>
    Var record(Ctx &ctx, F f, A... a)
    {
        Var out = -1;
        ctx.call(f, raw(), a..., &out);
        return out;
    }
    Handle raw_;
};

/* ---- model --------------------------------------------------------------------- */
struct Shape {
    std::int64_t steps = 0, features = 0, outputs = 0;
};

class Model {
public:
    using Handle = detail::Owned<rob_model, rob_model_free>;

    static Model load(Ctx &ctx, const std::string &path)
    {
        return Model(ctx.make<Handle>(rob_model_load, path.c_str(), nullptr));
    }
    static Model load(Ctx &ctx, const std::string &path, const std::string &recipe)
    {
        return Model(ctx.make<Handle>(rob_model_load, path.c_str(), recipe.c_str()));
    }
    /* A file in memory, with an empty recipe the one in it. */
    static Model load_bytes(Ctx &ctx, View<std::uint8_t> bytes,
                            const std::string &recipe = "")
    {
        return Model(ctx.make<Handle>(rob_model_load_bytes, bytes.data(), bytes.count(),
                                      recipe.empty() ? nullptr : recipe.c_str()));
    }
    static Model create(Ctx &ctx, const std::string &recipe)
    {
        return Model(ctx.make<Handle>(rob_model_create, recipe.c_str()));
    }
    /* A recorded program y = F(x). */
    static Model from_tape(Ctx &ctx, const Tape &tape, Var x, Var y)
    {
        return Model(ctx.make<Handle>(rob_model_from_tape, tape.raw(), x, y));
    }
    /* Any engine: logits(x, rows, steps, out) and, for attacks that use gradients,
     * pullback(x, seed, rows, steps, out). What they throw is thrown on by the call. On
     * several threads at once when the model is shared. */
    static Model from_callback(Ctx &ctx, std::int64_t features, std::int64_t outputs,
                               decltype(detail::Engine::logits) logits,
                               decltype(detail::Engine::pullback) pullback = {})
    {
        auto engine = std::make_shared<detail::Engine>();
        engine->logits = std::move(logits);
        engine->pullback = std::move(pullback);
        const auto back = engine->pullback ? detail::robust_cpp_pullback : nullptr;
        auto raw = ctx.make<Handle>(rob_model_from_callback, features, outputs,
                                    detail::robust_cpp_logits, back, engine.get());
        return Model(std::move(raw), std::move(engine));
    }
    explicit Model(Handle raw, std::shared_ptr<const detail::Engine> engine = {})
        : engine_(std::move(engine)), raw_(std::move(raw)) {}

    /* One more reference to the same model. */
    Model share() const { return Model(Handle(rob_model_ref(raw())), engine_); }

    /* Prices, "returns" or "candles", in front of a model of returns. */
    Model with_front(Ctx &ctx, const std::string &front, double scale) const
    {
        return Model(
            ctx.make<Handle>(rob_model_with_front, raw(), front.c_str(), scale));
    }

    void save(Ctx &ctx, const std::string &path) const
    {
        ctx.call(rob_model_save, raw(), path.c_str());
    }
    Shape shape(Ctx &ctx) const
    {
        Shape s;
        ctx.call(rob_model_shape, raw(), &s.steps, &s.features, &s.outputs);
        return s;
    }
    /* Logits of one series. */
    std::vector<double> predict(Ctx &ctx, Numbers x) const
    {
        const Shape s = shape(ctx);
        const std::int64_t steps = detail::steps(x, s.features);
        return ctx.fill(s.outputs, rob_model_predict, raw(), x.data(), steps);
    }
    std::string describe(Ctx &ctx) const { return ctx.text(rob_model_describe, raw()); }
    /* The numbers of a tensor. */
    std::vector<double> get(Ctx &ctx, const std::string &name) const
    {
        return ctx.read(rob_model_get, raw(), name.c_str());
    }
    /* A model in which one tensor is another. */
    Model with(Ctx &ctx, const std::string &name, Numbers values) const
    {
        return Model(ctx.make<Handle>(rob_model_with, raw(), name.c_str(),
                                      values.data(), values.count()));
    }
    rob_model *raw() const noexcept { return raw_.get(); }

private:
    std::shared_ptr<const detail::Engine> engine_;  /* goes after raw_: it is called */
    Handle raw_;
};

/* ---- data ---------------------------------------------------------------------- */
struct Series {
    std::vector<double> x;
    std::int64_t steps = 0, features = 0, label = -1;
};

class Data {
public:
    using Handle = detail::Owned<rob_data, rob_data_free>;

    explicit Data(Ctx &ctx) : raw_(ctx.make<Handle>(rob_data_create)) {}
    explicit Data(Handle raw) : raw_(std::move(raw)) {}

    void set(Ctx &ctx, const std::string &name, double value)
    {
        ctx.call(rob_data_set, raw(), name.c_str(), value);
    }
    void set_text(Ctx &ctx, const std::string &name, const std::string &value)
    {
        ctx.call(rob_data_set_text, raw(), name.c_str(), value.c_str());
    }
    void read(Ctx &ctx, const std::string &path)
    {
        ctx.call(rob_data_read, raw(), path.c_str());
    }
    void simulate(Ctx &ctx, const std::string &what, std::int64_t count)
    {
        ctx.call(rob_data_simulate, raw(), what.c_str(), count);
    }
    void add(Ctx &ctx, Numbers x, std::int64_t features, std::int64_t label = -1)
    {
        const std::int64_t steps = detail::steps(x, features);
        ctx.call(rob_data_add, raw(), x.data(), steps, features, label);
    }
    /* Real-valued targets of series i, what a forecast is fitted to. */
    void set_target(Ctx &ctx, std::int64_t i, Numbers target)
    {
        ctx.call(rob_data_set_target, raw(), i, target.data(),
                 target.count());
    }
    /* A share of every class leaves for a new data set. */
    Data split(Ctx &ctx, double share)
    {
        return Data(ctx.make<Handle>(rob_data_split, raw(), share));
    }
    /* The latest share of windows of prices leaves for a new data set. */
    Data split_time(Ctx &ctx, double share)
    {
        return Data(ctx.make<Handle>(rob_data_split_time, raw(), share));
    }
    /* Scale every feature as `like`, the training set, is; null: by the set itself. */
    void normalize(Ctx &ctx, const Data *like = nullptr)
    {
        ctx.call(rob_data_normalize, raw(), like ? like->raw() : nullptr);
    }
    /* What is known of series i beside its values, such as "scale"; -1: of the set. */
    std::vector<double> about(Ctx &ctx, const std::string &name,
                              std::int64_t i = -1) const
    {
        return ctx.read(rob_data_about, raw(), i, name.c_str());
    }
    std::string about_text(Ctx &ctx, const std::string &name, std::int64_t i = -1) const
    {
        return ctx.text(rob_data_about_text, raw(), i, name.c_str());
    }
    void save(Ctx &ctx, const std::string &path) const
    {
        ctx.call(rob_data_save, raw(), path.c_str());
    }
    std::int64_t count() const noexcept { return rob_data_count(raw()); }
    std::int64_t classes() const noexcept { return rob_data_classes(raw()); }
    Series get(Ctx &ctx, std::int64_t i) const
    {
        Series s;
        ctx.call(rob_data_get, raw(), i, nullptr, 0, &s.steps, &s.features, &s.label);
        s.x.resize(static_cast<std::size_t>(s.steps * s.features));
        ctx.call(rob_data_get, raw(), i, s.x.data(), s.steps * s.features, nullptr,
                 nullptr, nullptr);
        return s;
    }
    rob_data *raw() const noexcept { return raw_.get(); }

private:
    Handle raw_;
};

/* ---- trainer ------------------------------------------------------------------- */
class Trainer {
public:
    using Handle = detail::Owned<rob_trainer, rob_trainer_free>;

    explicit Trainer(Ctx &ctx) : raw_(ctx.make<Handle>(rob_trainer_create)) {}

    void set(Ctx &ctx, const std::string &name, double value)
    {
        ctx.call(rob_trainer_set, raw(), name.c_str(), value);
    }
    /* A fitted model; stopped, it is the best epoch so far. */
    Model run(Ctx &ctx, const Model &start, const Data &train,
              const Data *valid = nullptr)
    {
        return Model(ctx.make<Model::Handle>(rob_trainer_run, raw(), start.raw(),
                                             train.raw(),
                                             valid ? valid->raw() : nullptr));
    }
    std::vector<double> get(Ctx &ctx, const std::string &what) const
    {
        return ctx.read(rob_trainer_get, raw(), what.c_str());
    }
    rob_trainer *raw() const noexcept { return raw_.get(); }

private:
    Handle raw_;
};

/* ---- query --------------------------------------------------------------------- */
class Query {
public:
    using Handle = detail::Owned<rob_query, rob_query_free>;

    Query(Ctx &ctx, const Model &model)
        : shape_(model.shape(ctx)), model_(model.share()),
          raw_(ctx.make<Handle>(rob_query_create, model.raw())) {}

    void add(Ctx &ctx, Numbers x, std::int64_t label = -1)
    {
        const std::int64_t steps = detail::steps(x, shape_.features);
        ctx.call(rob_query_add, raw(), x.data(), steps, label);
    }
    void add_data(Ctx &ctx, const Data &data, std::int64_t first, std::int64_t count)
    {
        ctx.call(rob_query_add_data, raw(), data.raw(), first, count);
    }
    void replace(Ctx &ctx, std::int64_t i, Numbers x, std::int64_t label = -1)
    {
        const std::int64_t steps = detail::steps(x, shape_.features);
        ctx.call(rob_query_replace, raw(), i, x.data(), steps, label);
    }
    std::int64_t count() const noexcept { return rob_query_count(raw()); }

    void set_ball(Ctx &ctx, Norm norm, double radius)
    {
        const auto number = static_cast<std::int32_t>(norm);
        ctx.call(rob_query_set_ball, raw(), number, radius);
    }
    void set_units(Ctx &ctx, Units units)
    {
        const auto number = static_cast<std::int32_t>(units);
        ctx.call(rob_query_set_units, raw(), number);
    }
    /* Nonzero may move; an empty mask takes it away. i -1: the default of all. */
    void set_mask(Ctx &ctx, std::int64_t i, View<std::uint8_t> mask)
    {
        ctx.call(rob_query_set_mask, raw(), i, mask.data_or_null(), mask.count());
    }
    /* Weigh the norm: one number, one a feature, or (T, D); i as for the mask. */
    void set_scale(Ctx &ctx, std::int64_t i, Numbers scale)
    {
        ctx.call(rob_query_set_scale, raw(), i, scale.data_or_null(), scale.count());
    }
    /* Measure relative to the series. */
    void set_relative(Ctx &ctx, bool on = true)
    {
        ctx.call(rob_query_set_relative, raw(), on ? 1 : 0);
    }
    /* Keep x + d between walls of one size, 1, D or (T, D); an empty one is no wall. */
    void set_box(Ctx &ctx, std::int64_t i, Numbers low, Numbers high)
    {
        if (low.count() && high.count() && low.count() != high.count())
            detail::misfit("low, high: " + std::to_string(low.count()) + " and " +
                           std::to_string(high.count()) + " numbers");
        ctx.call(rob_query_set_box, raw(), i, low.data_or_null(), high.data_or_null(),
                 low.count() ? low.count() : high.count());
    }
    /* A radius a step, or one for all. */
    void set_budget(Ctx &ctx, std::int64_t i, Numbers budget)
    {
        ctx.call(rob_query_set_budget, raw(), i, budget.data_or_null(), budget.count());
    }
    /* Move along the columns of e (T D, columns) only, row-major. */
    void set_subspace(Ctx &ctx, std::int64_t i, Numbers e, std::int64_t columns)
    {
        const std::int64_t rows = e.count() ? detail::steps(e, columns) : 0;
        ctx.call(rob_query_set_subspace, raw(), i, e.data_or_null(), rows, columns);
    }
    /* The lowest cosines of every feature; 0: all. */
    void set_band_limit(Ctx &ctx, std::int64_t modes)
    {
        ctx.call(rob_query_set_band_limit, raw(), modes);
    }
    void set_smoothness(Ctx &ctx, double variation, double difference = infinity)
    {
        ctx.call(rob_query_set_smoothness, raw(), variation, difference);
    }
    /* Let at most so many steps move; 0: any number. */
    void set_steps(Ctx &ctx, std::int64_t steps)
    {
        ctx.call(rob_query_set_steps, raw(), steps);
    }
    void set_reference(Ctx &ctx, Reference reference)
    {
        const auto number = static_cast<std::int32_t>(reference);
        ctx.call(rob_query_set_reference, raw(), number);
    }
    void set_target(Ctx &ctx, std::int64_t i, std::int64_t target)
    {
        ctx.call(rob_query_set_target, raw(), i, target);
    }
    /* Fails where in some group every row has c f + b <= 0; c (rows, L). Empty b:
     * zeros; empty group: one group; empty c: back to classes. */
    void set_rows(Ctx &ctx, Numbers c, Numbers b = {}, View<std::int32_t> group = {})
    {
        const std::int64_t rows = detail::steps(c, shape_.outputs);
        if ((b.count() && b.count() != rows) ||
            (group.count() && group.count() != rows))
            detail::misfit("b, group: " + std::to_string(b.count()) + " and " +
                           std::to_string(group.count()) + " for " +
                           std::to_string(rows) + " rows");
        ctx.call(rob_query_set_rows, raw(), c.data(), b.count() ? b.data() : nullptr,
                 group.count() ? group.data() : nullptr, rows);
    }
    /* Fails where a forecast leaves (below, above) around itself; output -1: back to
     * classes. */
    void set_band(Ctx &ctx, std::int64_t output, double below, double above)
    {
        ctx.call(rob_query_set_band, raw(), output, below, above);
    }
    /* How far can these outputs be pushed, and how near is a push by `tolerance`?
     * Empty: all outputs. */
    void set_deviation(Ctx &ctx, View<std::int64_t> outputs,
                       Direction direction = Direction::either, double tolerance = 0)
    {
        const auto number = static_cast<std::int32_t>(direction);
        ctx.call(rob_query_set_deviation, raw(), outputs.data_or_null(),
                 outputs.count(), number, tolerance);
    }
    /* A result by name, such as "margin". It may evaluate the model and cache. */
    std::vector<double> get(Ctx &ctx, const std::string &what, std::int64_t i = -1)
    {
        return ctx.read(rob_query_get, raw(), what.c_str(), i);
    }
    rob_query *raw() const noexcept { return raw_.get(); }

private:
    Shape shape_;
    Model model_;
    Handle raw_;
};

/* ---- attack -------------------------------------------------------------------- */
class Attack {
public:
    using Handle = detail::Owned<rob_attack, rob_attack_free>;

    Attack(Ctx &ctx, const std::string &method)
        : raw_(ctx.make<Handle>(rob_attack_create, method.c_str())) {}

    void set(Ctx &ctx, const std::string &name, double value)
    {
        ctx.call(rob_attack_set, raw(), name.c_str(), value);
    }
    void set_text(Ctx &ctx, const std::string &name, const std::string &value)
    {
        ctx.call(rob_attack_set_text, raw(), name.c_str(), value.c_str());
    }
    /* U (n): a failing point was seen at this distance; infinite: none was found. */
    std::vector<double> distance(Ctx &ctx, Query &q)
    {
        return ctx.fill(q.count(), rob_attack_distance, raw(), q.raw());
    }
    /* The lowest margin (n) seen in the ball; <= 0: broken. */
    std::vector<double> margin(Ctx &ctx, Query &q)
    {
        return ctx.fill(q.count(), rob_attack_margin, raw(), q.raw());
    }
    /* One perturbation (T, D) that breaks many series; "fooled" says how many. */
    std::vector<double> universal(Ctx &ctx, Query &q)
    {
        ctx.call(rob_attack_universal, raw(), q.raw(), nullptr, 0, nullptr);
        const bool stopped = ctx.stopped();
        auto delta = get(ctx, "universal");
        ctx.keep_stopped(stopped);
        return delta;
    }
    /* Add delta to every series; "fooled": how many fail, with its interval. */
    std::vector<double> transfer(Ctx &ctx, Query &q, Numbers delta)
    {
        ctx.call(rob_attack_transfer, raw(), q.raw(), delta.data(), delta.count());
        const bool stopped = ctx.stopped();
        auto fooled = get(ctx, "fooled");
        ctx.keep_stopped(stopped);
        return fooled;
    }
    std::vector<double> get(Ctx &ctx, const std::string &what,
                            std::int64_t i = -1) const
    {
        return ctx.read(rob_attack_get, raw(), what.c_str(), i);
    }
    rob_attack *raw() const noexcept { return raw_.get(); }

private:
    Handle raw_;
};

/* ---- bound --------------------------------------------------------------------- */
class Bound {
public:
    using Handle = detail::Owned<rob_bound, rob_bound_free>;

    Bound(Ctx &ctx, const std::string &method)
        : raw_(ctx.make<Handle>(rob_bound_create, method.c_str())) {}

    void set(Ctx &ctx, const std::string &name, double value)
    {
        ctx.call(rob_bound_set, raw(), name.c_str(), value);
    }
    /* L (n): within it nothing fails, proved. */
    std::vector<double> radius(Ctx &ctx, Query &q)
    {
        return ctx.fill(q.count(), rob_bound_radius, raw(), q.raw());
    }
    /* M (n): no margin in the query's ball is lower, proved. */
    std::vector<double> margin(Ctx &ctx, Query &q)
    {
        return ctx.fill(q.count(), rob_bound_margin, raw(), q.raw());
    }
    /* K (n): on the ball no margin changes faster than K ||x - y||, proved. */
    std::vector<double> lipschitz(Ctx &ctx, Query &q)
    {
        return ctx.fill(q.count(), rob_bound_lipschitz, raw(), q.raw());
    }
    /* At most so many series fail under any one perturbation for all, proved. */
    std::int64_t universal(Ctx &ctx, Query &q)
    {
        std::int64_t most = 0;
        ctx.call(rob_bound_universal, raw(), q.raw(), &most);
        return most;
    }
    std::vector<double> get(Ctx &ctx, const std::string &what,
                            std::int64_t i = -1) const
    {
        return ctx.read(rob_bound_get, raw(), what.c_str(), i);
    }
    rob_bound *raw() const noexcept { return raw_.get(); }

private:
    Handle raw_;
};

/* ---- certificate --------------------------------------------------------------- */
/* A proof that can be written down and proved again by who believes neither the search
 * nor its writer. */
class Certificate {
public:
    using Handle = detail::Owned<rob_certificate, rob_certificate_free>;

    /* Prove series i once more on a ball of this radius, and keep why. */
    static Certificate prove(Ctx &ctx, const Bound &bound, Query &q, std::int64_t i,
                             double radius)
    {
        return Certificate(ctx.make<Handle>(rob_certificate_create, bound.raw(),
                                            q.raw(), i, radius));
    }
    static Certificate load(Ctx &ctx, const std::string &path)
    {
        return Certificate(ctx.make<Handle>(rob_certificate_load, path.c_str()));
    }
    explicit Certificate(Handle raw) : raw_(std::move(raw))
    {
        if (!raw_) throw Error(ROB_STOPPED, "certificate: stopped, nothing is proved");
    }

    void save(Ctx &ctx, const std::string &path) const
    {
        ctx.call(rob_certificate_save, raw(), path.c_str());
    }
    /* Prove all it says of this model: the margin proved. Throws when it is refused,
     * and when the check was stopped: one that only began proves nothing. */
    double check(Ctx &ctx, const Model &model)
    {
        ctx.call(rob_certificate_check, raw(), model.raw());
        if (ctx.stopped())
            throw Error(ROB_STOPPED, "certificate: stopped, nothing is proved");
        return get(ctx, "proved").at(0);
    }
    std::vector<double> get(Ctx &ctx, const std::string &what) const
    {
        return ctx.read(rob_certificate_get, raw(), what.c_str());
    }
    rob_certificate *raw() const noexcept { return raw_.get(); }

private:
    Handle raw_;
};

/* ---- geometry ------------------------------------------------------------------ */
/* The decision boundary near a series: nearest point, normal, curvatures, estimates. */
class Boundary {
public:
    using Handle = detail::Owned<rob_boundary, rob_boundary_free>;

    explicit Boundary(Ctx &ctx) : raw_(ctx.make<Handle>(rob_boundary_create)) {}

    void set(Ctx &ctx, const std::string &name, double value)
    {
        ctx.call(rob_boundary_set, raw(), name.c_str(), value);
    }
    /* Distances (n) of the nearest boundary points; infinite: none was found. */
    std::vector<double> find(Ctx &ctx, Query &q)
    {
        return ctx.fill(q.count(), rob_boundary_find, raw(), q.raw());
    }
    std::vector<double> get(Ctx &ctx, const std::string &what,
                            std::int64_t i = -1) const
    {
        return ctx.read(rob_boundary_get, raw(), what.c_str(), i);
    }
    rob_boundary *raw() const noexcept { return raw_.get(); }

private:
    Handle raw_;
};

/* Condition numbers: how far a verdict moves when series, steps or weights do. */
class Condition {
public:
    using Handle = detail::Owned<rob_condition, rob_condition_free>;

    explicit Condition(Ctx &ctx) : raw_(ctx.make<Handle>(rob_condition_create)) {}

    void set(Ctx &ctx, const std::string &name, double value)
    {
        ctx.call(rob_condition_set, raw(), name.c_str(), value);
    }
    /* Of every series; read them with get. */
    void compute(Ctx &ctx, Query &q)
    {
        ctx.call(rob_condition_compute, raw(), q.raw());
    }
    /* Of each step of series i (T). */
    std::vector<double> steps(Ctx &ctx, Query &q, std::int64_t i)
    {
        return ctx.read(rob_condition_steps, raw(), q.raw(), i);
    }
    std::vector<double> get(Ctx &ctx, const std::string &what,
                            std::int64_t i = -1) const
    {
        return ctx.read(rob_condition_get, raw(), what.c_str(), i);
    }
    rob_condition *raw() const noexcept { return raw_.get(); }

private:
    Handle raw_;
};

/* How sharply the loss bends around a series: both ends of its Hessian's spectrum. */
class Spectrum {
public:
    using Handle = detail::Owned<rob_spectrum, rob_spectrum_free>;

    explicit Spectrum(Ctx &ctx) : raw_(ctx.make<Handle>(rob_spectrum_create)) {}

    void set(Ctx &ctx, const std::string &name, double value)
    {
        ctx.call(rob_spectrum_set, raw(), name.c_str(), value);
    }
    /* (n, 2): lowest and highest eigenvalue of every series. */
    std::vector<double> extremes(Ctx &ctx, Query &q)
    {
        return ctx.fill(2 * q.count(), rob_spectrum_extremes, raw(), q.raw());
    }
    std::vector<double> get(Ctx &ctx, const std::string &what,
                            std::int64_t i = -1) const
    {
        return ctx.read(rob_spectrum_get, raw(), what.c_str(), i);
    }
    rob_spectrum *raw() const noexcept { return raw_.get(); }

private:
    Handle raw_;
};

/* ---- diagnosis ----------------------------------------------------------------- */
/* Can attacks by gradients be trusted on this model? */
class Diagnosis {
public:
    using Handle = detail::Owned<rob_diagnosis, rob_diagnosis_free>;

    explicit Diagnosis(Ctx &ctx) : raw_(ctx.make<Handle>(rob_diagnosis_create)) {}

    void set(Ctx &ctx, const std::string &name, double value)
    {
        ctx.call(rob_diagnosis_set, raw(), name.c_str(), value);
    }
    void set_text(Ctx &ctx, const std::string &name, const std::string &value)
    {
        ctx.call(rob_diagnosis_set_text, raw(), name.c_str(), value.c_str());
    }
    void run(Ctx &ctx, Query &q) { ctx.call(rob_diagnosis_run, raw(), q.raw()); }
    /* The signs that enough series show, as sentences. */
    std::vector<std::string> warnings() const
    {
        std::vector<std::string> texts;
        const char *text;
        for (std::int64_t k = 0; (text = rob_diagnosis_warning(raw(), k)); k++)
            texts.emplace_back(text);
        return texts;
    }
    std::vector<double> get(Ctx &ctx, const std::string &what,
                            std::int64_t i = -1) const
    {
        return ctx.read(rob_diagnosis_get, raw(), what.c_str(), i);
    }
    rob_diagnosis *raw() const noexcept { return raw_.get(); }

private:
    Handle raw_;
};

/* ---- sampler ------------------------------------------------------------------- */
class Sampler {
public:
    using Handle = detail::Owned<rob_sampler, rob_sampler_free>;

    Sampler(Ctx &ctx, const std::string &method)
        : raw_(ctx.make<Handle>(rob_sampler_create, method.c_str())) {}

    void set(Ctx &ctx, const std::string &name, double value)
    {
        ctx.call(rob_sampler_set, raw(), name.c_str(), value);
    }
    /* (n, radii, 3): log P of failing at each radius, lower end, upper end. */
    std::vector<double> curve(Ctx &ctx, Query &q, Numbers radius)
    {
        return ctx.fill(3 * radius.count() * q.count(), rob_sampler_curve, raw(),
                        q.raw(), radius.data(), radius.count());
    }
    /* (n, 3): the smoothed model's class, -1: abstained; its certified radius; the
     * lower end of its probability. */
    std::vector<double> smooth(Ctx &ctx, Query &q, double sigma) const
    {
        return ctx.fill(3 * q.count(), rob_sampler_smooth, raw(), q.raw(), sigma);
    }
    std::vector<double> get(Ctx &ctx, const std::string &what,
                            std::int64_t i = -1) const
    {
        return ctx.read(rob_sampler_get, raw(), what.c_str(), i);
    }
    rob_sampler *raw() const noexcept { return raw_.get(); }

private:
    Handle raw_;
};

/* ---- report -------------------------------------------------------------------- */
/* Every method about one query, which must live as long: named columns, JSON, a page. */
class Report {
public:
    using Handle = detail::Owned<rob_report, rob_report_free>;

    Report(Ctx &ctx, Query &q) : raw_(ctx.make<Handle>(rob_report_create, q.raw())) {}

    void set(Ctx &ctx, const std::string &name, double value)
    {
        ctx.call(rob_report_set, raw(), name.c_str(), value);
    }
    void set_text(Ctx &ctx, const std::string &name, const std::string &value)
    {
        ctx.call(rob_report_set_text, raw(), name.c_str(), value.c_str());
    }
    void run(Ctx &ctx) { ctx.call(rob_report_run, raw()); }
    /* One change for all series, searched on one query and judged on another. */
    void add_universal(Ctx &ctx, Query &search, Query &held)
    {
        ctx.call(rob_report_add_universal, raw(), search.raw(), held.raw());
    }
    std::vector<std::string> columns() const
    {
        std::vector<std::string> names;
        for (std::int64_t k = 0; const char *name = rob_report_column(raw(), k); k++)
            names.emplace_back(name);
        return names;
    }
    /* The numbers of a column; none where it was not computed. */
    std::vector<double> get(Ctx &ctx, const std::string &column) const
    {
        return ctx.read(rob_report_get, raw(), column.c_str());
    }
    /* .json or .html, by the ending of the path */
    void save(Ctx &ctx, const std::string &path) const
    {
        ctx.call(rob_report_save, raw(), path.c_str());
    }
    rob_report *raw() const noexcept { return raw_.get(); }

private:
    Handle raw_;
};

}  // namespace robust

#endif
