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

private:
    rob_status status_;
};

constexpr double infinity = std::numeric_limits<double>::infinity();

enum class Norm : std::int32_t {
    l1 = ROB_NORM_L1, l2 = ROB_NORM_L2, linf = ROB_NORM_LINF
};
enum class Units : std::int32_t { model = ROB_UNITS_MODEL, data = ROB_UNITS_DATA };
enum class Reference : std::int32_t {
    prediction = ROB_REFERENCE_PREDICTION, label = ROB_REFERENCE_LABEL
};

/* Elements somebody else keeps: a vector, an array, or a pointer and a count. */
template <class T>
class View {
public:
    View() = default;
    View(const T *data, std::size_t count)
        : data_(data), count_(static_cast<std::int64_t>(count)) {}
    template <class C, class = std::enable_if_t<std::is_convertible_v<
                           decltype(std::declval<const C &>().data()), const T *>>>
    View(const C &c) : View(c.data(), c.size()) {}
    const T *data() const { return data_; }
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

struct Progress {
    Step step;
    std::exception_ptr thrown;
};

/* Called by C, which an exception must not cross: it is kept, and the call stopped. */
extern "C" inline std::int32_t robust_cpp_told(void *user, const char *stage,
                                               std::int64_t done, std::int64_t total)
{
    auto *progress = static_cast<Progress *>(user);
    try {
        return progress->step(stage, done, total) ? 1 : 0;
    } catch (...) {
        progress->thrown = std::current_exception();
        return 1;
    }
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
        auto fresh = std::make_unique<detail::Progress>();
        fresh->step = std::move(step);
        const auto told = fresh->step ? detail::robust_cpp_told : nullptr;
        call(rob_ctx_set_progress, told, fresh.get());
        progress_ = std::move(fresh);
    }

    /* The one function for other threads. The context must still be there. */
    void cancel() const noexcept { rob_ctx_cancel(raw_.get()); }

    /* Whether the last call was cut short by cancel, progress or deadline. */
    bool stopped() const noexcept { return stopped_; }

    rob_ctx *raw() const noexcept { return raw_.get(); }

    /* A status as an exception, or none; this and the four below wrap any function. */
    void check(rob_status status)
    {
        stopped_ = status == ROB_STOPPED;
        if (progress_ && progress_->thrown)
            std::rethrow_exception(std::exchange(progress_->thrown, nullptr));
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
        stopped_ = stopped_ || stopped;
        return out;
    }

private:
    std::unique_ptr<detail::Progress> progress_;  /* goes after raw_, which calls it */
    detail::Owned<rob_ctx, rob_ctx_free> raw_;
    bool stopped_ = false;
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
    static Model create(Ctx &ctx, const std::string &recipe)
    {
        return Model(ctx.make<Handle>(rob_model_create, recipe.c_str()));
    }
    explicit Model(Handle raw) : raw_(std::move(raw)) {}

    /* One more reference to the same model. */
    Model share() const { return Model(Handle(rob_model_ref(raw()))); }

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
    std::string describe(Ctx &ctx) const
    {
        std::int64_t count = 0;
        ctx.call(rob_model_describe, raw(), nullptr, 0, &count);
        std::vector<char> text(static_cast<std::size_t>(count));
        ctx.call(rob_model_describe, raw(), text.data(), count, nullptr);
        return text.data();
    }
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
        : shape_(model.shape(ctx)),
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
        const std::uint8_t *bytes = mask.count() > 0 ? mask.data() : nullptr;
        ctx.call(rob_query_set_mask, raw(), i, bytes, mask.count());
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
    /* A result by name, such as "margin". It may evaluate the model and cache. */
    std::vector<double> get(Ctx &ctx, const std::string &what, std::int64_t i = -1)
    {
        return ctx.read(rob_query_get, raw(), what.c_str(), i);
    }
    rob_query *raw() const noexcept { return raw_.get(); }

private:
    Shape shape_;
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
    std::vector<double> get(Ctx &ctx, const std::string &what,
                            std::int64_t i = -1) const
    {
        return ctx.read(rob_bound_get, raw(), what.c_str(), i);
    }
    rob_bound *raw() const noexcept { return raw_.get(); }

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
