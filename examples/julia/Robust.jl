"""
librobust from Julia: this file, and the library pkg-config knows (or the one ENV names in
ROBUST_LIBRARY).

    include("Robust.jl"); using .Robust
    ctx = Ctx()
    model = load(ctx, "model.safetensors")
    query = Query(ctx, model)
    add!(ctx, query, x)                     # x: vector, or matrix (D, T): a column a step
    set_ball!(ctx, query, L2, Inf)
    upper = distance!(ctx, Attack(ctx, "auto"), query)
    lower = radius!(ctx, Bound(ctx, "auto"), query)

The context comes first in every call that can fail: it holds the error line, the seed, the
threads, progress and cancel. A context, and every handle but a model, belongs to one task
at a time. A call that fails throws a RobustError with the status and the library's line.
One that was cancelled or out of time throws nothing: its results are valid as far as they
go, and `ctx.stopped` says so. Handles keep no context; their finalizers call nothing but
the handle's free function, which takes no lock and may run in any order, on any thread.

The C headers are the manual: options, names of answers and methods are those words. Series
and classes count from 0 as there; `nothing` stands for -1: every series, no label, any.
Arrays come back as vectors, steps by steps; `reshape(v, D, :)` has a column a step.
"""
module Robust

export Ctx, Model, Data, Trainer, Query, Attack, Bound, Sampler, Report, RobustError
export L1, L2, LINF, UNITS_MODEL, UNITS_DATA, REFERENCE_PREDICTION, REFERENCE_LABEL
export version, build_info, set_seed!, set_threads!, set_memory!, set_deadline!, set_text!
export set_progress!, cancel, load, create, save, shape, predict, describe, with_tensor
export set!, simulate!, add!, split!, classes, run!, add_data!, replace_series!
export set_ball!, set_units!, set_mask!, set_reference!, set_target!, set_rows!
export answer, distance!, margin!, radius!, curve!, add_universal!, columns

import Base: read!

const librobust = get(ENV, "ROBUST_LIBRARY") do
    joinpath(readchomp(`pkg-config --variable=libdir robust`), "librobust.so")
end

const L1, L2, LINF = Int32(1), Int32(2), Int32(100)
const UNITS_MODEL, UNITS_DATA = Int32(0), Int32(1)
const REFERENCE_PREDICTION, REFERENCE_LABEL = Int32(0), Int32(1)
const STOPPED, ESHAPE = Int32(1), Int32(-30)

const Handle = Ptr{Cvoid}
const Callback = Ptr{Cvoid}

"A call that failed: the status, below 0, and the library's one line."
struct RobustError <: Exception
    status::Int32
    text::String
end
Base.showerror(io::IO, e::RobustError) = print(io, e.text)

version() = unsafe_string(@ccall librobust.rob_version()::Cstring)
build_info() = unsafe_string(@ccall librobust.rob_build_info()::Cstring)

# ---- context -------------------------------------------------------------------------
"What a progress callback is, and what it threw."
mutable struct Progress
    step::Any
    thrown::Any
end

"One thread's workspace, and the first argument of every call that can fail."
mutable struct Ctx
    raw::Handle
    progress::Union{Nothing,Progress}
    stopped::Bool
    function Ctx()
        out = Ref{Handle}(C_NULL)
        status = @ccall librobust.rob_ctx_create(out::Ref{Handle})::Int32
        status < 0 && throw(RobustError(status, "ctx: no memory for a context"))
        ctx = new(out[], nothing, false)
        finalizer(c -> @ccall(librobust.rob_ctx_free(c.raw::Handle)::Cvoid), ctx)
    end
end

"Called by C, which an exception must not cross: it is kept, and the call stopped."
function told(user::Ptr{Cvoid}, stage::Cstring, done::Int64, total::Int64)::Int32
    progress = unsafe_pointer_to_objref(user)::Progress
    try
        return progress.step(unsafe_string(stage), done, total) === true
    catch thrown
        progress.thrown = thrown
        return 1
    end
end

"A status as an exception, or none."
function check(ctx::Ctx, status::Int32)
    ctx.stopped = status == STOPPED
    if ctx.progress !== nothing && ctx.progress.thrown !== nothing
        thrown = ctx.progress.thrown
        ctx.progress.thrown = nothing
        throw(thrown)
    end
    status < 0 || return nothing
    line = @ccall librobust.rob_ctx_error(ctx.raw::Handle)::Cstring
    throw(RobustError(status, unsafe_string(line)))
end

"Run f(context's pointer) while nothing it uses is collected, and check the status."
call(f, ctx::Ctx, keep...) = check(ctx, GC.@preserve ctx keep f(ctx.raw))

"An answer of count numbers: f(context's pointer, array, count)."
function fill_numbers(f, ctx::Ctx, count, keep...)
    out = Vector{Float64}(undef, count)
    call(c -> f(c, out, Int64(count)), ctx, keep...)
    out
end

"An answer by name: asked for its size, then copied."
function read_numbers(f, ctx::Ctx, keep...)
    count = Ref{Int64}(0)
    call(c -> f(c, C_NULL, Int64(0), count), ctx, keep...)
    stopped = ctx.stopped
    out = fill_numbers((c, o, n) -> f(c, o, n, count), ctx, count[], keep...)
    ctx.stopped |= stopped
    out
end

set_seed!(ctx::Ctx, seed) =
    call(c -> @ccall(librobust.rob_ctx_set_seed(c::Handle, seed::UInt64)::Int32), ctx)
set_threads!(ctx::Ctx, workers) =
    call(c -> @ccall(librobust.rob_ctx_set_threads(c::Handle, workers::Int32)::Int32), ctx)
set_memory!(ctx::Ctx, bytes) =
    call(c -> @ccall(librobust.rob_ctx_set_memory(c::Handle, bytes::Int64)::Int32), ctx)
set_deadline!(ctx::Ctx, seconds) =
    call(ctx) do c
        @ccall librobust.rob_ctx_set_deadline(c::Handle, seconds::Float64)::Int32
    end
set_text!(ctx::Ctx, name, value) =
    call(ctx) do c
        @ccall librobust.rob_ctx_set_text(c::Handle, name::Cstring, value::Cstring)::Int32
    end

"""
    set_progress!(step, ctx)

`step(stage, done, total)` is told how far long calls are; `true` stops the call. What it
throws stops the call too and is thrown when that has returned. `set_progress!(nothing, ctx)`:
nobody is told.
"""
function set_progress!(step, ctx::Ctx)
    fresh = Progress(step, nothing)
    f = step === nothing ? C_NULL :
        @cfunction(told, Int32, (Ptr{Cvoid}, Cstring, Int64, Int64))
    user = pointer_from_objref(fresh)
    call(ctx, fresh) do c
        @ccall librobust.rob_ctx_set_progress(c::Handle, f::Callback,
                                              user::Ptr{Cvoid})::Int32
    end
    ctx.progress = fresh
    nothing
end

"Stop the running call, or else the next; the one function for other threads."
cancel(ctx::Ctx) = @ccall librobust.rob_ctx_cancel(ctx.raw::Handle)::Cvoid

# ---- from Julia to C -----------------------------------------------------------------
index(i) = i === nothing ? Int64(-1) : Int64(i)

"Numbers as C reads them: a vector, or the columns of (D, T) one after the other."
numbers(x::AbstractVecOrMat) = vec(Array{Float64}(x))

"(numbers, steps) of a series of D features."
function series(x::AbstractVecOrMat, features)
    good = ndims(x) == 2 ? size(x, 1) == features : features == 1
    good || throw(RobustError(ESHAPE, "x: size $(size(x)) is not ($features, steps)"))
    numbers(x), Int64(length(x) ÷ features)
end

# Owners of handles. Each finalizer calls the free function and nothing else.
for name in (:Model, :Data, :Trainer, :Attack, :Bound, :Sampler)
    @eval mutable struct $name
        raw::Handle
        $name(raw::Handle) = finalizer(release, new(raw))
    end
end

"A handle: f(context's pointer, where it goes)."
function make(f, ctx::Ctx, keep...)
    out = Ref{Handle}(C_NULL)
    call(c -> f(c, out), ctx, keep...)
    out[]
end

release(h::Model) = @ccall librobust.rob_model_free(h.raw::Handle)::Cvoid
release(h::Data) = @ccall librobust.rob_data_free(h.raw::Handle)::Cvoid
release(h::Trainer) = @ccall librobust.rob_trainer_free(h.raw::Handle)::Cvoid
release(h::Attack) = @ccall librobust.rob_attack_free(h.raw::Handle)::Cvoid
release(h::Bound) = @ccall librobust.rob_bound_free(h.raw::Handle)::Cvoid
release(h::Sampler) = @ccall librobust.rob_sampler_free(h.raw::Handle)::Cvoid

# ---- model ---------------------------------------------------------------------------
"A sequence model; it never changes, and threads may share it."
Model

"A safetensors file; without a recipe, the one in the file."
load(ctx::Ctx, path) =
    Model(make(ctx) do c, out
        @ccall librobust.rob_model_load(c::Handle, path::Cstring, C_NULL::Cstring,
                                        out::Ref{Handle})::Int32
    end)
load(ctx::Ctx, path, recipe) =
    Model(make(ctx) do c, out
        @ccall librobust.rob_model_load(c::Handle, path::Cstring, recipe::Cstring,
                                        out::Ref{Handle})::Int32
    end)

"Random weights of the context's seed."
create(ctx::Ctx, recipe) =
    Model(make(ctx) do c, out
        @ccall librobust.rob_model_create(c::Handle, recipe::Cstring,
                                          out::Ref{Handle})::Int32
    end)

save(ctx::Ctx, m::Model, path) =
    call(ctx, m) do c
        @ccall librobust.rob_model_save(c::Handle, m.raw::Handle, path::Cstring)::Int32
    end

"(steps, features, outputs); steps 0: any."
function shape(ctx::Ctx, m::Model)
    steps, features, outputs = Ref{Int64}(0), Ref{Int64}(0), Ref{Int64}(0)
    call(ctx, m) do c
        @ccall librobust.rob_model_shape(c::Handle, m.raw::Handle, steps::Ref{Int64},
                                         features::Ref{Int64}, outputs::Ref{Int64})::Int32
    end
    (steps = steps[], features = features[], outputs = outputs[])
end

"Logits of one series."
function predict(ctx::Ctx, m::Model, x)
    s = shape(ctx, m)
    v, steps = series(x, s.features)
    fill_numbers(ctx, s.outputs, m) do c, out, n
        @ccall librobust.rob_model_predict(c::Handle, m.raw::Handle, v::Ptr{Float64},
                                           steps::Int64, out::Ptr{Float64},
                                           n::Int64)::Int32
    end
end

function describe(ctx::Ctx, m::Model)
    count = Ref{Int64}(0)
    ask(c, text, n) = @ccall librobust.rob_model_describe(
        c::Handle, m.raw::Handle, text::Ptr{Cchar}, n::Int64, count::Ref{Int64})::Int32
    call(c -> ask(c, C_NULL, 0), ctx, m)
    text = Vector{UInt8}(undef, count[])
    call(c -> ask(c, text, length(text)), ctx, m)
    String(text[1:(findfirst(==(0x00), text)-1)])
end

"The numbers of a tensor, row-major as in the file."
answer(ctx::Ctx, m::Model, name) =
    read_numbers(ctx, m) do c, out, n, count
        @ccall librobust.rob_model_get(c::Handle, m.raw::Handle, name::Cstring,
                                       out::Ptr{Float64}, n::Int64,
                                       count::Ref{Int64})::Int32
    end

"A model in which one tensor is another."
function with_tensor(ctx::Ctx, m::Model, name, values)
    v = numbers(values)
    Model(make(ctx, m) do c, out
        @ccall librobust.rob_model_with(c::Handle, m.raw::Handle, name::Cstring,
                                        v::Ptr{Float64}, length(v)::Int64,
                                        out::Ref{Handle})::Int32
    end)
end

# ---- data ----------------------------------------------------------------------------
"A data set of labelled series, empty at first."
Data(ctx::Ctx) =
    Data(make(ctx) do c, out
        @ccall librobust.rob_data_create(c::Handle, out::Ref{Handle})::Int32
    end)

set!(ctx::Ctx, d::Data, name, value) =
    call(ctx, d) do c
        @ccall librobust.rob_data_set(c::Handle, d.raw::Handle, name::Cstring,
                                      value::Float64)::Int32
    end
set_text!(ctx::Ctx, d::Data, name, value) =
    call(ctx, d) do c
        @ccall librobust.rob_data_set_text(c::Handle, d.raw::Handle, name::Cstring,
                                           value::Cstring)::Int32
    end
read!(ctx::Ctx, d::Data, path) =
    call(ctx, d) do c
        @ccall librobust.rob_data_read(c::Handle, d.raw::Handle, path::Cstring)::Int32
    end
simulate!(ctx::Ctx, d::Data, what, count) =
    call(ctx, d) do c
        @ccall librobust.rob_data_simulate(c::Handle, d.raw::Handle, what::Cstring,
                                           count::Int64)::Int32
    end

"Append one series: a vector, or (D, T)."
function add!(ctx::Ctx, d::Data, x; label = nothing)
    features = ndims(x) == 2 ? size(x, 1) : 1
    v, steps = series(x, features)
    call(ctx, d) do c
        @ccall librobust.rob_data_add(c::Handle, d.raw::Handle, v::Ptr{Float64},
                                      steps::Int64, features::Int64,
                                      index(label)::Int64)::Int32
    end
end

"A share of every class leaves for a new data set."
split!(ctx::Ctx, d::Data, share) =
    Data(make(ctx, d) do c, out
        @ccall librobust.rob_data_split(c::Handle, d.raw::Handle, share::Float64,
                                        out::Ref{Handle})::Int32
    end)
save(ctx::Ctx, d::Data, path) =
    call(ctx, d) do c
        @ccall librobust.rob_data_save(c::Handle, d.raw::Handle, path::Cstring)::Int32
    end
Base.length(d::Data) = GC.@preserve d @ccall librobust.rob_data_count(d.raw::Handle)::Int64
classes(d::Data) = GC.@preserve d @ccall librobust.rob_data_classes(d.raw::Handle)::Int64

"(x (D, T), label) of series i, from 0."
function answer(ctx::Ctx, d::Data, i::Integer)
    steps, features, label = Ref{Int64}(0), Ref{Int64}(0), Ref{Int64}(0)
    ask(c, x, n) = @ccall librobust.rob_data_get(
        c::Handle, d.raw::Handle, i::Int64, x::Ptr{Float64}, n::Int64, steps::Ref{Int64},
        features::Ref{Int64}, label::Ref{Int64})::Int32
    call(c -> ask(c, C_NULL, 0), ctx, d)
    x = fill_numbers(ask, ctx, steps[] * features[], d)
    reshape(x, Int(features[]), :), label[] < 0 ? nothing : label[]
end

# ---- trainer -------------------------------------------------------------------------
"Fits a model to labelled series."
Trainer(ctx::Ctx) =
    Trainer(make(ctx) do c, out
        @ccall librobust.rob_trainer_create(c::Handle, out::Ref{Handle})::Int32
    end)
set!(ctx::Ctx, t::Trainer, name, value) =
    call(ctx, t) do c
        @ccall librobust.rob_trainer_set(c::Handle, t.raw::Handle, name::Cstring,
                                         value::Float64)::Int32
    end

"A fitted model; stopped, it is the best epoch so far."
function run!(ctx::Ctx, t::Trainer, m::Model, train::Data; valid = nothing)
    v = valid === nothing ? C_NULL : valid.raw
    out = Ref{Handle}(C_NULL)
    status = GC.@preserve ctx t m train valid @ccall librobust.rob_trainer_run(
        ctx.raw::Handle, t.raw::Handle, m.raw::Handle, train.raw::Handle, v::Handle,
        out::Ref{Handle})::Int32
    fitted = Model(out[])
    check(ctx, status)
    fitted
end
answer(ctx::Ctx, t::Trainer, what) =
    read_numbers(ctx, t) do c, out, n, count
        @ccall librobust.rob_trainer_get(c::Handle, t.raw::Handle, what::Cstring,
                                         out::Ptr{Float64}, n::Int64,
                                         count::Ref{Int64})::Int32
    end

# ---- query ---------------------------------------------------------------------------
"The question: a model, series, what may change, what failing means."
mutable struct Query
    raw::Handle
    features::Int64
    outputs::Int64
    function Query(ctx::Ctx, m::Model)
        s = shape(ctx, m)
        raw = make(ctx, m) do c, out
            @ccall librobust.rob_query_create(c::Handle, m.raw::Handle,
                                              out::Ref{Handle})::Int32
        end
        finalizer(release, new(raw, s.features, s.outputs))
    end
end
release(h::Query) = @ccall librobust.rob_query_free(h.raw::Handle)::Cvoid

"Add one series: (D, T), or a vector where D = 1."
function add!(ctx::Ctx, q::Query, x; label = nothing)
    v, steps = series(x, q.features)
    call(ctx, q) do c
        @ccall librobust.rob_query_add(c::Handle, q.raw::Handle, v::Ptr{Float64},
                                       steps::Int64, index(label)::Int64)::Int32
    end
end
add_data!(ctx::Ctx, q::Query, d::Data, first, count) =
    call(ctx, q, d) do c
        @ccall librobust.rob_query_add_data(c::Handle, q.raw::Handle, d.raw::Handle,
                                            first::Int64, count::Int64)::Int32
    end
function replace_series!(ctx::Ctx, q::Query, i, x; label = nothing)
    v, steps = series(x, q.features)
    call(ctx, q) do c
        @ccall librobust.rob_query_replace(c::Handle, q.raw::Handle, i::Int64,
                                           v::Ptr{Float64}, steps::Int64,
                                           index(label)::Int64)::Int32
    end
end
Base.length(q::Query) = GC.@preserve q @ccall librobust.rob_query_count(q.raw::Handle)::Int64
set_ball!(ctx::Ctx, q::Query, norm, radius) =
    call(ctx, q) do c
        @ccall librobust.rob_query_set_ball(c::Handle, q.raw::Handle, norm::Int32,
                                            radius::Float64)::Int32
    end
set_units!(ctx::Ctx, q::Query, units) =
    call(ctx, q) do c
        @ccall librobust.rob_query_set_units(c::Handle, q.raw::Handle, units::Int32)::Int32
    end

"What is true may move. i nothing: the default of all; mask nothing: take it away."
function set_mask!(ctx::Ctx, q::Query, mask; i = nothing)
    v = mask === nothing ? UInt8[] : vec(Array{UInt8}(mask))
    call(ctx, q, v) do c
        p = mask === nothing ? Ptr{UInt8}(C_NULL) : pointer(v)
        @ccall librobust.rob_query_set_mask(c::Handle, q.raw::Handle, index(i)::Int64,
                                            p::Ptr{UInt8}, length(v)::Int64)::Int32
    end
end
set_reference!(ctx::Ctx, q::Query, reference) =
    call(ctx, q) do c
        @ccall librobust.rob_query_set_reference(c::Handle, q.raw::Handle,
                                                 reference::Int32)::Int32
    end

"Ask for one class; target nothing: any again."
set_target!(ctx::Ctx, q::Query, target; i = nothing) =
    call(ctx, q) do c
        @ccall librobust.rob_query_set_target(c::Handle, q.raw::Handle, index(i)::Int64,
                                              index(target)::Int64)::Int32
    end

"Fail where in some group every row has c f + b <= 0; a column of c (L, rows) is a row."
function set_rows!(ctx::Ctx, q::Query, c::AbstractMatrix, b = zeros(size(c, 2)),
                   group = zeros(Int32, size(c, 2)))
    rows = size(c, 2)
    if (rows > 0 && size(c, 1) != q.outputs) || length(b) != rows || length(group) != rows
        throw(RobustError(ESHAPE, "c: size $(size(c)) is not ($(q.outputs), rows), or " *
                                  "b or group has not a number for each row"))
    end
    v, w, g = numbers(c), numbers(b), Vector{Int32}(group)
    call(ctx, q) do p
        @ccall librobust.rob_query_set_rows(p::Handle, q.raw::Handle, v::Ptr{Float64},
                                            w::Ptr{Float64}, g::Ptr{Int32},
                                            rows::Int64)::Int32
    end
end

"A result by name, such as \"margin\"."
answer(ctx::Ctx, q::Query, what; i = nothing) =
    read_numbers(ctx, q) do c, out, n, count
        @ccall librobust.rob_query_get(c::Handle, q.raw::Handle, what::Cstring,
                                       index(i)::Int64, out::Ptr{Float64}, n::Int64,
                                       count::Ref{Int64})::Int32
    end

# ---- attack --------------------------------------------------------------------------
"Upper bounds: points that were seen to fail."
Attack(ctx::Ctx, method) =
    Attack(make(ctx) do c, out
        @ccall librobust.rob_attack_create(c::Handle, method::Cstring,
                                           out::Ref{Handle})::Int32
    end)
set!(ctx::Ctx, a::Attack, name, value) =
    call(ctx, a) do c
        @ccall librobust.rob_attack_set(c::Handle, a.raw::Handle, name::Cstring,
                                        value::Float64)::Int32
    end
set_text!(ctx::Ctx, a::Attack, name, value) =
    call(ctx, a) do c
        @ccall librobust.rob_attack_set_text(c::Handle, a.raw::Handle, name::Cstring,
                                             value::Cstring)::Int32
    end

"U: a failing point was seen at this distance; Inf: none was found."
distance!(ctx::Ctx, a::Attack, q::Query) =
    fill_numbers(ctx, length(q), a, q) do c, out, n
        @ccall librobust.rob_attack_distance(c::Handle, a.raw::Handle, q.raw::Handle,
                                             out::Ptr{Float64}, n::Int64)::Int32
    end

"The lowest margin seen in the ball; <= 0: broken."
margin!(ctx::Ctx, a::Attack, q::Query) =
    fill_numbers(ctx, length(q), a, q) do c, out, n
        @ccall librobust.rob_attack_margin(c::Handle, a.raw::Handle, q.raw::Handle,
                                           out::Ptr{Float64}, n::Int64)::Int32
    end
answer(ctx::Ctx, a::Attack, what; i = nothing) =
    read_numbers(ctx, a) do c, out, n, count
        @ccall librobust.rob_attack_get(c::Handle, a.raw::Handle, what::Cstring,
                                        index(i)::Int64, out::Ptr{Float64}, n::Int64,
                                        count::Ref{Int64})::Int32
    end

# ---- bound ---------------------------------------------------------------------------
"Certified lower bounds."
Bound(ctx::Ctx, method) =
    Bound(make(ctx) do c, out
        @ccall librobust.rob_bound_create(c::Handle, method::Cstring,
                                          out::Ref{Handle})::Int32
    end)
set!(ctx::Ctx, b::Bound, name, value) =
    call(ctx, b) do c
        @ccall librobust.rob_bound_set(c::Handle, b.raw::Handle, name::Cstring,
                                       value::Float64)::Int32
    end

"L: within it nothing fails, proved."
radius!(ctx::Ctx, b::Bound, q::Query) =
    fill_numbers(ctx, length(q), b, q) do c, out, n
        @ccall librobust.rob_bound_radius(c::Handle, b.raw::Handle, q.raw::Handle,
                                          out::Ptr{Float64}, n::Int64)::Int32
    end

"M: no margin in the query's ball is lower, proved."
margin!(ctx::Ctx, b::Bound, q::Query) =
    fill_numbers(ctx, length(q), b, q) do c, out, n
        @ccall librobust.rob_bound_margin(c::Handle, b.raw::Handle, q.raw::Handle,
                                          out::Ptr{Float64}, n::Int64)::Int32
    end
answer(ctx::Ctx, b::Bound, what; i = nothing) =
    read_numbers(ctx, b) do c, out, n, count
        @ccall librobust.rob_bound_get(c::Handle, b.raw::Handle, what::Cstring,
                                       index(i)::Int64, out::Ptr{Float64}, n::Int64,
                                       count::Ref{Int64})::Int32
    end

# ---- sampler -------------------------------------------------------------------------
"How probable a failure is under random perturbations of a given length."
Sampler(ctx::Ctx, method) =
    Sampler(make(ctx) do c, out
        @ccall librobust.rob_sampler_create(c::Handle, method::Cstring,
                                            out::Ref{Handle})::Int32
    end)
set!(ctx::Ctx, s::Sampler, name, value) =
    call(ctx, s) do c
        @ccall librobust.rob_sampler_set(c::Handle, s.raw::Handle, name::Cstring,
                                         value::Float64)::Int32
    end

"(3, radii, n): log P of failing at each radius, lower end, upper end."
function curve!(ctx::Ctx, s::Sampler, q::Query, radius)
    r = numbers(radius)
    out = fill_numbers(ctx, 3 * length(r) * length(q), s, q) do c, to, n
        @ccall librobust.rob_sampler_curve(c::Handle, s.raw::Handle, q.raw::Handle,
                                           r::Ptr{Float64}, length(r)::Int64,
                                           to::Ptr{Float64}, n::Int64)::Int32
    end
    reshape(out, 3, length(r), :)
end
answer(ctx::Ctx, s::Sampler, what; i = nothing) =
    read_numbers(ctx, s) do c, out, n, count
        @ccall librobust.rob_sampler_get(c::Handle, s.raw::Handle, what::Cstring,
                                         index(i)::Int64, out::Ptr{Float64}, n::Int64,
                                         count::Ref{Int64})::Int32
    end

# ---- report --------------------------------------------------------------------------
"Every method about one query, which it keeps alive: named columns, JSON, a page."
mutable struct Report
    raw::Handle
    query::Query
    Report(raw::Handle, query::Query) = finalizer(release, new(raw, query))
end
release(h::Report) = @ccall librobust.rob_report_free(h.raw::Handle)::Cvoid

Report(ctx::Ctx, q::Query) =
    Report(make(ctx, q) do c, out
        @ccall librobust.rob_report_create(c::Handle, q.raw::Handle, out::Ref{Handle})::Int32
    end, q)
set!(ctx::Ctx, r::Report, name, value) =
    call(ctx, r) do c
        @ccall librobust.rob_report_set(c::Handle, r.raw::Handle, name::Cstring,
                                        value::Float64)::Int32
    end
set_text!(ctx::Ctx, r::Report, name, value) =
    call(ctx, r) do c
        @ccall librobust.rob_report_set_text(c::Handle, r.raw::Handle, name::Cstring,
                                             value::Cstring)::Int32
    end
run!(ctx::Ctx, r::Report) =
    call(ctx, r) do c
        @ccall librobust.rob_report_run(c::Handle, r.raw::Handle)::Int32
    end

"One change for all series, searched on one query and judged on another."
add_universal!(ctx::Ctx, r::Report, search::Query, held::Query) =
    call(ctx, r, search, held) do c
        @ccall librobust.rob_report_add_universal(c::Handle, r.raw::Handle,
                                                  search.raw::Handle,
                                                  held.raw::Handle)::Int32
    end

"The names of the columns there are."
function columns(r::Report)
    names = String[]
    while true
        name = @ccall librobust.rob_report_column(r.raw::Handle,
                                                  length(names)::Int64)::Cstring
        name == C_NULL && return names
        push!(names, unsafe_string(name))
    end
end

"The numbers of a column; none where it was not computed."
answer(ctx::Ctx, r::Report, column) =
    read_numbers(ctx, r) do c, out, n, count
        @ccall librobust.rob_report_get(c::Handle, r.raw::Handle, column::Cstring,
                                        out::Ptr{Float64}, n::Int64,
                                        count::Ref{Int64})::Int32
    end

"Write .json or .html, by the ending of the path."
save(ctx::Ctx, r::Report, path) =
    call(ctx, r) do c
        @ccall librobust.rob_report_save(c::Handle, r.raw::Handle, path::Cstring)::Int32
    end

end
