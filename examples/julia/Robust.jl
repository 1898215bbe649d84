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

export Ctx, Tape, Model, Data, Trainer, Query, Attack, Bound, Certificate, Boundary
export ConditionNumbers, Spectrum, Diagnosis, Sampler, Report, RobustError
export L0, L1, L2, LINF, UNITS_MODEL, UNITS_DATA, REFERENCE_PREDICTION, REFERENCE_LABEL
export DOWN, EITHER, UP, F32, F64
export version, build_info, kind, set_seed!, set_threads!, set_memory!, set_deadline!
export set_text!, set_progress!, set_log!, cancel
export input!, constant!, apply!, gradient!, vjp!, jvp!
export load, load_bytes, create, from_tape, from_callback, with_front, with_tensor
export save, shape, predict, describe
export set!, simulate!, add!, split!, split_time!, normalize!, about, about_text, classes
export run!, add_data!, replace_series!, set_ball!, set_units!, set_mask!, set_scale!
export set_relative!, set_box!, set_budget!, set_subspace!, set_band_limit!
export set_smoothness!, set_steps!, set_reference!, set_target!, set_rows!, set_band!
export set_deviation!, answer, distance!, margin!, universal!, transfer!, radius!
export lipschitz!
export prove, load_certificate, check, find!, compute!, steps!, extremes!, warnings
export curve!, smooth!, add_universal!, columns

import Base: read!

const librobust = get(ENV, "ROBUST_LIBRARY") do
    joinpath(readchomp(`pkg-config --variable=libdir robust`), "librobust.so")
end

const L0, L1, L2, LINF = Int32(0), Int32(1), Int32(2), Int32(100)
const UNITS_MODEL, UNITS_DATA = Int32(0), Int32(1)
const REFERENCE_PREDICTION, REFERENCE_LABEL = Int32(0), Int32(1)
const DOWN, EITHER, UP = Int32(-1), Int32(0), Int32(1)
const F32, F64 = Int32(32), Int32(64)
const STOPPED, ESHAPE = Int32(1), Int32(-30)

const Handle = Ptr{Cvoid}
const Callback = Ptr{Cvoid}

"A call that failed: the status, below 0, and the library's one line."
struct RobustError <: Exception
    status::Int32
    text::String
end
Base.showerror(io::IO, e::RobustError) = print(io, e.text)

"The status in words, such as \"wrong argument\"."
kind(e::RobustError) =
    unsafe_string(@ccall librobust.rob_status_string(e.status::Int32)::Cstring)

version() = unsafe_string(@ccall librobust.rob_version()::Cstring)
build_info() = unsafe_string(@ccall librobust.rob_build_info()::Cstring)

# ---- context -------------------------------------------------------------------------
"What C calls back: this object's address is all that C is told of it."
mutable struct Told
    f::Any
end

"""
Run what C called, which an exception must not cross: the first one is kept, by the task
that called the library, until the call has returned. What f answers, or failed.
"""
function guard(f, failed)
    try
        f()
    catch thrown
        get!(task_local_storage(), :robust_thrown, thrown)
        failed
    end
end

"One thread's workspace, and the first argument of every call that can fail."
mutable struct Ctx
    raw::Handle
    progress::Union{Nothing,Told}
    log::Union{Nothing,Told}
    stopped::Bool
    function Ctx()
        out = Ref{Handle}(C_NULL)
        status = @ccall librobust.rob_ctx_create(out::Ref{Handle})::Int32
        status < 0 && throw(RobustError(status, "ctx: no memory for a context"))
        ctx = new(out[], nothing, nothing, false)
        finalizer(c -> @ccall(librobust.rob_ctx_free(c.raw::Handle)::Cvoid), ctx)
    end
end

step_told(user::Ptr{Cvoid}, stage::Cstring, done::Int64, total::Int64)::Int32 =
    guard(Int32(1)) do
        step = (unsafe_pointer_to_objref(user)::Told).f
        Int32(step(unsafe_string(stage), done, total) === true)
    end

line_told(user::Ptr{Cvoid}, level::Int32, text::Cstring)::Cvoid =
    guard(nothing) do
        (unsafe_pointer_to_objref(user)::Told).f(level, unsafe_string(text))
        nothing
    end

"A status as an exception, or none."
function checked(ctx::Ctx, status::Int32)
    ctx.stopped = status == STOPPED
    thrown = pop!(task_local_storage(), :robust_thrown, nothing)
    thrown === nothing || throw(thrown)
    status < 0 || return nothing
    line = @ccall librobust.rob_ctx_error(ctx.raw::Handle)::Cstring
    throw(RobustError(status, unsafe_string(line)))
end

"Run f(context's pointer) while nothing it uses is collected, and check the status."
call(f, ctx::Ctx, keep...) = checked(ctx, GC.@preserve ctx keep f(ctx.raw))

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

"An answer of a call just made, which may have been stopped."
function afterwards(f, ctx::Ctx)
    stopped = ctx.stopped
    out = f()
    ctx.stopped |= stopped
    out
end

"A text: asked for its size, then copied."
function read_text(f, ctx::Ctx, keep...)
    count = Ref{Int64}(0)
    call(c -> f(c, C_NULL, Int64(0), count), ctx, keep...)
    text = Vector{UInt8}(undef, count[])
    call(c -> f(c, text, Int64(length(text)), count), ctx, keep...)
    String(text[1:(findfirst(==(0x00), text)-1)])
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
    fresh = Told(step)
    f = step === nothing ? C_NULL :
        @cfunction(step_told, Int32, (Ptr{Cvoid}, Cstring, Int64, Int64))
    user = pointer_from_objref(fresh)
    call(ctx, fresh) do c
        @ccall librobust.rob_ctx_set_progress(c::Handle, f::Callback,
                                              user::Ptr{Cvoid})::Int32
    end
    ctx.progress = fresh
    nothing
end

"""
    set_log!(line, ctx)

`line(level, text)` is told the library's remarks; what it throws is thrown when the call
has returned. `set_log!(nothing, ctx)`: remarks are dropped.
"""
function set_log!(line, ctx::Ctx)
    fresh = Told(line)
    f = line === nothing ? C_NULL :
        @cfunction(line_told, Cvoid, (Ptr{Cvoid}, Int32, Cstring))
    user = pointer_from_objref(fresh)
    call(ctx, fresh) do c
        @ccall librobust.rob_ctx_set_log(c::Handle, f::Callback, user::Ptr{Cvoid})::Int32
    end
    ctx.log = fresh
    nothing
end

"Stop the running call, or else the next; the one function for other threads."
cancel(ctx::Ctx) = @ccall librobust.rob_ctx_cancel(ctx.raw::Handle)::Cvoid

# ---- from Julia to C -----------------------------------------------------------------
index(i) = i === nothing ? Int64(-1) : Int64(i)

"Numbers as C reads them: a vector, or the columns of (D, T) one after the other."
numbers(x::AbstractArray) = vec(Array{Float64}(x))
numbers(x::Real) = [Float64(x)]

"(numbers, how many); nothing: NULL and 0."
function optional(x)
    x === nothing && return C_NULL, Int64(0)
    v = numbers(x)
    v, Int64(length(v))
end

"(numbers, steps) of a series of D features."
function series(x::AbstractVecOrMat, features)
    good = ndims(x) == 2 ? size(x, 1) == features : features == 1
    good || throw(RobustError(ESHAPE, "x: size $(size(x)) is not ($features, steps)"))
    numbers(x), Int64(length(x) ÷ features)
end

"text(0), text(1), ... up to the first that is null."
function names(text)
    found = String[]
    while (line = text(length(found))) != C_NULL
        push!(found, unsafe_string(line))
    end
    found
end

# Owners of handles. Each finalizer calls the free function and nothing else.
for name in (:Tape, :Data, :Trainer, :Attack, :Bound, :Certificate, :Boundary,
             :ConditionNumbers, :Spectrum, :Diagnosis, :Sampler)
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

release(h::Tape) = @ccall librobust.rob_tape_free(h.raw::Handle)::Cvoid
release(h::Data) = @ccall librobust.rob_data_free(h.raw::Handle)::Cvoid
release(h::Trainer) = @ccall librobust.rob_trainer_free(h.raw::Handle)::Cvoid
release(h::Attack) = @ccall librobust.rob_attack_free(h.raw::Handle)::Cvoid
release(h::Bound) = @ccall librobust.rob_bound_free(h.raw::Handle)::Cvoid
release(h::Certificate) = @ccall librobust.rob_certificate_free(h.raw::Handle)::Cvoid
release(h::Boundary) = @ccall librobust.rob_boundary_free(h.raw::Handle)::Cvoid
release(h::ConditionNumbers) = @ccall librobust.rob_condition_free(h.raw::Handle)::Cvoid
release(h::Spectrum) = @ccall librobust.rob_spectrum_free(h.raw::Handle)::Cvoid
release(h::Diagnosis) = @ccall librobust.rob_diagnosis_free(h.raw::Handle)::Cvoid
release(h::Sampler) = @ccall librobust.rob_sampler_free(h.raw::Handle)::Cvoid

# ---- tape ----------------------------------------------------------------------------
"""
A program over tensors: recorded, differentiated, replayed at new inputs. Variables are
numbers that mean something with their own tape only. Shapes and axes are those of C, the
last one the fastest: the reverse of Julia's `size`.
"""
Tape(ctx::Ctx; dtype = F64) =
    Tape(make(ctx) do c, out
        @ccall librobust.rob_tape_create(c::Handle, dtype::Int32, out::Ref{Handle})::Int32
    end)

"A new variable: f(context's pointer, where it goes)."
function record!(f, ctx::Ctx, t::Tape)
    out = Ref{Int32}(-1)
    call(c -> f(c, out), ctx, t)
    out[]
end

"A variable that `set!` gives its value."
function input!(ctx::Ctx, t::Tape, shape)
    dims = Int64[shape...]
    record!(ctx, t) do c, out
        @ccall librobust.rob_tape_input(c::Handle, t.raw::Handle, dims::Ptr{Int64},
                                        length(dims)::Int32, out::Ref{Int32})::Int32
    end
end

"Numbers that do not change; (D, T) here is (T, D) there."
function constant!(ctx::Ctx, t::Tape, values)
    v, dims = numbers(values), Int64[reverse(size(values))...]
    record!(ctx, t) do c, out
        @ccall librobust.rob_tape_constant(c::Handle, t.raw::Handle, v::Ptr{Float64},
                                           dims::Ptr{Int64}, length(dims)::Int32,
                                           out::Ref{Int32})::Int32
    end
end

"op(operands...); numbers are what the list of operators shows in braces."
function apply!(ctx::Ctx, t::Tape, op, operands...; numbers = nothing)
    v = Int32[operands...]
    numbers === nothing && return record!(ctx, t) do c, out
        @ccall librobust.rob_tape_apply(c::Handle, t.raw::Handle, op::Cstring,
                                        v::Ptr{Int32}, length(v)::Int32,
                                        out::Ref{Int32})::Int32
    end
    braces = Float64[numbers...]
    record!(ctx, t) do c, out
        @ccall librobust.rob_tape_apply_with(c::Handle, t.raw::Handle, op::Cstring,
                                             v::Ptr{Int32}, length(v)::Int32,
                                             braces::Ptr{Float64}, length(braces)::Int32,
                                             out::Ref{Int32})::Int32
    end
end

"dy/dx of a scalar y."
gradient!(ctx::Ctx, t::Tape, y, x) =
    record!(ctx, t) do c, out
        @ccall librobust.rob_tape_gradient(c::Handle, t.raw::Handle, y::Int32, x::Int32,
                                           out::Ref{Int32})::Int32
    end

"sum_j w_j dy_j/dx."
vjp!(ctx::Ctx, t::Tape, y, x, w) =
    record!(ctx, t) do c, out
        @ccall librobust.rob_tape_vjp(c::Handle, t.raw::Handle, y::Int32, x::Int32,
                                      w::Int32, out::Ref{Int32})::Int32
    end

"sum_i dy/dx_i v_i."
jvp!(ctx::Ctx, t::Tape, y, x, v) =
    record!(ctx, t) do c, out
        @ccall librobust.rob_tape_jvp(c::Handle, t.raw::Handle, y::Int32, x::Int32,
                                      v::Int32, out::Ref{Int32})::Int32
    end
function set!(ctx::Ctx, t::Tape, x, values)
    v = numbers(values)
    call(ctx, t) do c
        @ccall librobust.rob_tape_set(c::Handle, t.raw::Handle, x::Int32, v::Ptr{Float64},
                                      length(v)::Int64)::Int32
    end
end

"Compute variables at the inputs set last."
function run!(ctx::Ctx, t::Tape, want...)
    v = Int32[want...]
    call(ctx, t) do c
        @ccall librobust.rob_tape_run(c::Handle, t.raw::Handle, v::Ptr{Int32},
                                      length(v)::Int32)::Int32
    end
end

"The numbers of a variable."
answer(ctx::Ctx, t::Tape, y) =
    read_numbers(ctx, t) do c, out, n, count
        @ccall librobust.rob_tape_get(c::Handle, t.raw::Handle, y::Int32,
                                      out::Ptr{Float64}, n::Int64,
                                      count::Ref{Int64})::Int32
    end

# ---- model ---------------------------------------------------------------------------
"f and its gradients, for C to call."
struct Engine
    features::Int
    outputs::Int
    logits::Any
    pullback::Any
end

"A sequence model; it never changes, and threads may share it."
mutable struct Model
    raw::Handle
    engine::Union{Nothing,Told}
    Model(raw::Handle, engine = nothing) = finalizer(release, new(raw, engine))
end
release(h::Model) = @ccall librobust.rob_model_free(h.raw::Handle)::Cvoid

view_of(p::Ptr{Float64}, size...) = unsafe_wrap(Array, p, Int.(size))

"What an engine answered, where C wants it."
function put(given, out)
    size(given) == size(out) ||
        throw(RobustError(ESHAPE, "callback: it answered size $(size(given)), not $(size(out))"))
    out .= given
    Int32(0)
end

logits_told(user::Ptr{Cvoid}, x::Ptr{Float64}, rows::Int64, steps::Int64,
            out::Ptr{Float64})::Int32 =
    guard(Int32(1)) do
        e = (unsafe_pointer_to_objref(user)::Told).f::Engine
        put(e.logits(copy(view_of(x, e.features, steps, rows))),
            view_of(out, e.outputs, rows))
    end

pullback_told(user::Ptr{Cvoid}, x::Ptr{Float64}, seed::Ptr{Float64}, rows::Int64,
              steps::Int64, out::Ptr{Float64})::Int32 =
    guard(Int32(1)) do
        e = (unsafe_pointer_to_objref(user)::Told).f::Engine
        size = (e.features, steps, rows)
        put(e.pullback(copy(view_of(x, size...)), copy(view_of(seed, e.outputs, rows))),
            view_of(out, size...))
    end

"""
    from_callback(ctx, features, outputs, logits, pullback = nothing)

Any engine: `logits(x)` of x (D, T, R), R series of T steps, is (L, R); `pullback(x, seed)`,
for attacks that use gradients, of seed (L, R) is (D, T, R). What they throw is thrown on by
the call.
"""
function from_callback(ctx::Ctx, features, outputs, logits, pullback = nothing)
    engine = Told(Engine(features, outputs, logits, pullback))
    user = pointer_from_objref(engine)
    f = @cfunction(logits_told, Int32,
                   (Ptr{Cvoid}, Ptr{Float64}, Int64, Int64, Ptr{Float64}))
    g = pullback === nothing ? C_NULL :
        @cfunction(pullback_told, Int32, (Ptr{Cvoid}, Ptr{Float64}, Ptr{Float64}, Int64,
                                          Int64, Ptr{Float64}))
    Model(make(ctx, engine) do c, out
        @ccall librobust.rob_model_from_callback(
            c::Handle, features::Int64, outputs::Int64, f::Callback, g::Callback,
            user::Ptr{Cvoid}, out::Ref{Handle})::Int32
    end, engine)
end

"A recorded program y = F(x)."
from_tape(ctx::Ctx, t::Tape, x, y) =
    Model(make(ctx, t) do c, out
        @ccall librobust.rob_model_from_tape(c::Handle, t.raw::Handle, x::Int32, y::Int32,
                                             out::Ref{Handle})::Int32
    end)

"A file in memory; without a recipe, the one in it."
function load_bytes(ctx::Ctx, bytes::Vector{UInt8}, recipe = nothing)
    words = recipe === nothing ? C_NULL : recipe
    Model(make(ctx) do c, out
        @ccall librobust.rob_model_load_bytes(c::Handle, bytes::Ptr{Cvoid},
                                              length(bytes)::Int64, words::Cstring,
                                              out::Ref{Handle})::Int32
    end)
end

"Prices, \"returns\" or \"candles\", in front of a model of returns."
with_front(ctx::Ctx, m::Model, front, scale) =
    Model(make(ctx, m) do c, out
        @ccall librobust.rob_model_with_front(c::Handle, m.raw::Handle, front::Cstring,
                                              scale::Float64, out::Ref{Handle})::Int32
    end)

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

describe(ctx::Ctx, m::Model) =
    read_text(ctx, m) do c, text, n, count
        @ccall librobust.rob_model_describe(c::Handle, m.raw::Handle, text::Ptr{Cchar},
                                            n::Int64, count::Ref{Int64})::Int32
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
"The latest share of windows of prices leaves for a new data set."
split_time!(ctx::Ctx, d::Data, share) =
    Data(make(ctx, d) do c, out
        @ccall librobust.rob_data_split_time(c::Handle, d.raw::Handle, share::Float64,
                                             out::Ref{Handle})::Int32
    end)

"Real-valued targets of series i, what a forecast is fitted to."
function set_target!(ctx::Ctx, d::Data, i, target)
    v = numbers(target)
    call(ctx, d) do c
        @ccall librobust.rob_data_set_target(c::Handle, d.raw::Handle, i::Int64,
                                             v::Ptr{Float64}, length(v)::Int64)::Int32
    end
end

"Scale every feature as the training set like is; nothing: by the set itself."
function normalize!(ctx::Ctx, d::Data; like = nothing)
    other = like === nothing ? C_NULL : like.raw
    call(ctx, d, like) do c
        @ccall librobust.rob_data_normalize(c::Handle, d.raw::Handle, other::Handle)::Int32
    end
end

"What is known of series i beside its values, such as \"scale\"; nothing: of the set."
about(ctx::Ctx, d::Data, name; i = nothing) =
    read_numbers(ctx, d) do c, out, n, count
        @ccall librobust.rob_data_about(c::Handle, d.raw::Handle, index(i)::Int64,
                                        name::Cstring, out::Ptr{Float64}, n::Int64,
                                        count::Ref{Int64})::Int32
    end
about_text(ctx::Ctx, d::Data, name; i = nothing) =
    read_text(ctx, d) do c, text, n, count
        @ccall librobust.rob_data_about_text(c::Handle, d.raw::Handle, index(i)::Int64,
                                             name::Cstring, text::Ptr{Cchar}, n::Int64,
                                             count::Ref{Int64})::Int32
    end
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
    checked(ctx, status)
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
    model::Model                      # the engine of a callback lives in it
    function Query(ctx::Ctx, m::Model)
        s = shape(ctx, m)
        raw = make(ctx, m) do c, out
            @ccall librobust.rob_query_create(c::Handle, m.raw::Handle,
                                              out::Ref{Handle})::Int32
        end
        finalizer(release, new(raw, s.features, s.outputs, m))
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
"Weigh the norm: one number, one a feature, or (D, T); nothing: take it away."
function set_scale!(ctx::Ctx, q::Query, scale; i = nothing)
    v, count = optional(scale)
    call(ctx, q) do c
        @ccall librobust.rob_query_set_scale(c::Handle, q.raw::Handle, index(i)::Int64,
                                             v::Ptr{Float64}, count::Int64)::Int32
    end
end

"Measure relative to the series."
set_relative!(ctx::Ctx, q::Query, on = true) =
    call(ctx, q) do c
        @ccall librobust.rob_query_set_relative(c::Handle, q.raw::Handle, on::Int32)::Int32
    end

"Keep x + d between low and high, both of one size, or one of them nothing."
function set_box!(ctx::Ctx, q::Query, low, high; i = nothing)
    (v, floor), (w, ceiling) = optional(low), optional(high)
    low === nothing || high === nothing || floor == ceiling ||
        throw(RobustError(ESHAPE, "low, high: $floor and $ceiling numbers"))
    call(ctx, q) do c
        @ccall librobust.rob_query_set_box(c::Handle, q.raw::Handle, index(i)::Int64,
                                           v::Ptr{Float64}, w::Ptr{Float64},
                                           max(floor, ceiling)::Int64)::Int32
    end
end

"A radius a step, or one for all steps; nothing: take them away."
function set_budget!(ctx::Ctx, q::Query, budget; i = nothing)
    v, count = optional(budget)
    call(ctx, q) do c
        @ccall librobust.rob_query_set_budget(c::Handle, q.raw::Handle, index(i)::Int64,
                                              v::Ptr{Float64}, count::Int64)::Int32
    end
end

"Move along the columns of e (D T, m) only; nothing: take it away."
function set_subspace!(ctx::Ctx, q::Query, e; i = nothing)
    v, _ = optional(e === nothing ? nothing : permutedims(e))
    rows, columns = e === nothing ? (0, 0) : size(e)
    call(ctx, q) do c
        @ccall librobust.rob_query_set_subspace(c::Handle, q.raw::Handle, index(i)::Int64,
                                                v::Ptr{Float64}, rows::Int64,
                                                columns::Int64)::Int32
    end
end

"The lowest cosines of every feature; 0: all."
set_band_limit!(ctx::Ctx, q::Query, modes) =
    call(ctx, q) do c
        @ccall librobust.rob_query_set_band_limit(c::Handle, q.raw::Handle,
                                                  modes::Int64)::Int32
    end
set_smoothness!(ctx::Ctx, q::Query; variation = Inf, difference = Inf) =
    call(ctx, q) do c
        @ccall librobust.rob_query_set_smoothness(c::Handle, q.raw::Handle,
                                                  variation::Float64,
                                                  difference::Float64)::Int32
    end

"Let at most so many steps move; 0: any number."
set_steps!(ctx::Ctx, q::Query, steps) =
    call(ctx, q) do c
        @ccall librobust.rob_query_set_steps(c::Handle, q.raw::Handle, steps::Int64)::Int32
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

"Fail where a forecast leaves (below, above) around itself; output nothing: classes again."
set_band!(ctx::Ctx, q::Query, output; below = -Inf, above = Inf) =
    call(ctx, q) do c
        @ccall librobust.rob_query_set_band(c::Handle, q.raw::Handle, index(output)::Int64,
                                            below::Float64, above::Float64)::Int32
    end

"How far can these outputs be pushed, and how near is a push by tolerance? nothing: all."
function set_deviation!(ctx::Ctx, q::Query; outputs = nothing, direction = EITHER,
                        tolerance = 0.0)
    v = outputs === nothing ? C_NULL : Int64[outputs...]
    count = outputs === nothing ? 0 : length(v)
    call(ctx, q) do c
        @ccall librobust.rob_query_set_deviation(c::Handle, q.raw::Handle, v::Ptr{Int64},
                                                 count::Int64, direction::Int32,
                                                 tolerance::Float64)::Int32
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
"One perturbation that breaks many series; \"fooled\" says how many."
function universal!(ctx::Ctx, a::Attack, q::Query)
    call(ctx, a, q) do c
        @ccall librobust.rob_attack_universal(c::Handle, a.raw::Handle, q.raw::Handle,
                                              C_NULL::Ptr{Float64}, 0::Int64,
                                              C_NULL::Ptr{Int64})::Int32
    end
    afterwards(() -> answer(ctx, a, "universal"), ctx)
end

"Add delta to every series; \"fooled\": how many fail, with its interval."
function transfer!(ctx::Ctx, a::Attack, q::Query, delta)
    v = numbers(delta)
    call(ctx, a, q) do c
        @ccall librobust.rob_attack_transfer(c::Handle, a.raw::Handle, q.raw::Handle,
                                             v::Ptr{Float64}, length(v)::Int64)::Int32
    end
    afterwards(() -> answer(ctx, a, "fooled"), ctx)
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

"K: on the ball no margin changes faster than K ||x - y||, proved."
lipschitz!(ctx::Ctx, b::Bound, q::Query) =
    fill_numbers(ctx, length(q), b, q) do c, out, n
        @ccall librobust.rob_bound_lipschitz(c::Handle, b.raw::Handle, q.raw::Handle,
                                             out::Ptr{Float64}, n::Int64)::Int32
    end

"At most so many series fail under any one perturbation for all, proved."
function universal!(ctx::Ctx, b::Bound, q::Query)
    most = Ref{Int64}(0)
    call(ctx, b, q) do c
        @ccall librobust.rob_bound_universal(c::Handle, b.raw::Handle, q.raw::Handle,
                                             most::Ref{Int64})::Int32
    end
    most[]
end
answer(ctx::Ctx, b::Bound, what; i = nothing) =
    read_numbers(ctx, b) do c, out, n, count
        @ccall librobust.rob_bound_get(c::Handle, b.raw::Handle, what::Cstring,
                                       index(i)::Int64, out::Ptr{Float64}, n::Int64,
                                       count::Ref{Int64})::Int32
    end

# ---- certificate ---------------------------------------------------------------------
"A proof that can be written down, and proved again by who believes no search."
Certificate

"Prove series i once more on a ball of this radius, and keep why."
function prove(ctx::Ctx, b::Bound, q::Query, i, radius)
    raw = make(ctx, b, q) do c, out
        @ccall librobust.rob_certificate_create(c::Handle, b.raw::Handle, q.raw::Handle,
                                                i::Int64, radius::Float64,
                                                out::Ref{Handle})::Int32
    end
    raw == C_NULL && throw(RobustError(STOPPED, "certificate: stopped, nothing is proved"))
    Certificate(raw)
end
load_certificate(ctx::Ctx, path) =
    Certificate(make(ctx) do c, out
        @ccall librobust.rob_certificate_load(c::Handle, path::Cstring,
                                              out::Ref{Handle})::Int32
    end)
save(ctx::Ctx, k::Certificate, path) =
    call(ctx, k) do c
        @ccall librobust.rob_certificate_save(c::Handle, k.raw::Handle, path::Cstring)::Int32
    end

"""
Prove all it says of this model: the margin proved. Throws when it is refused, and when the
check was stopped: a check that only began proves nothing.
"""
function check(ctx::Ctx, k::Certificate, m::Model)
    call(ctx, k, m) do c
        @ccall librobust.rob_certificate_check(c::Handle, k.raw::Handle, m.raw::Handle)::Int32
    end
    ctx.stopped && throw(RobustError(STOPPED, "certificate: stopped, nothing is proved"))
    answer(ctx, k, "proved")[1]
end
answer(ctx::Ctx, k::Certificate, what) =
    read_numbers(ctx, k) do c, out, n, count
        @ccall librobust.rob_certificate_get(c::Handle, k.raw::Handle, what::Cstring,
                                             out::Ptr{Float64}, n::Int64,
                                             count::Ref{Int64})::Int32
    end

# ---- geometry ------------------------------------------------------------------------
"The decision boundary near a series: nearest point, normal, curvatures, estimates."
Boundary(ctx::Ctx) =
    Boundary(make(ctx) do c, out
        @ccall librobust.rob_boundary_create(c::Handle, out::Ref{Handle})::Int32
    end)
set!(ctx::Ctx, b::Boundary, name, value) =
    call(ctx, b) do c
        @ccall librobust.rob_boundary_set(c::Handle, b.raw::Handle, name::Cstring,
                                          value::Float64)::Int32
    end

"Distances of the nearest boundary points; Inf: none was found."
find!(ctx::Ctx, b::Boundary, q::Query) =
    fill_numbers(ctx, length(q), b, q) do c, out, n
        @ccall librobust.rob_boundary_find(c::Handle, b.raw::Handle, q.raw::Handle,
                                           out::Ptr{Float64}, n::Int64)::Int32
    end
answer(ctx::Ctx, b::Boundary, what; i = nothing) =
    read_numbers(ctx, b) do c, out, n, count
        @ccall librobust.rob_boundary_get(c::Handle, b.raw::Handle, what::Cstring,
                                          index(i)::Int64, out::Ptr{Float64}, n::Int64,
                                          count::Ref{Int64})::Int32
    end

"Condition numbers: how far a verdict moves when series, steps or weights do."
ConditionNumbers(ctx::Ctx) =
    ConditionNumbers(make(ctx) do c, out
        @ccall librobust.rob_condition_create(c::Handle, out::Ref{Handle})::Int32
    end)
set!(ctx::Ctx, k::ConditionNumbers, name, value) =
    call(ctx, k) do c
        @ccall librobust.rob_condition_set(c::Handle, k.raw::Handle, name::Cstring,
                                           value::Float64)::Int32
    end

"Of every series; read them with `answer`."
compute!(ctx::Ctx, k::ConditionNumbers, q::Query) =
    call(ctx, k, q) do c
        @ccall librobust.rob_condition_compute(c::Handle, k.raw::Handle,
                                               q.raw::Handle)::Int32
    end

"Of each step of series i."
steps!(ctx::Ctx, k::ConditionNumbers, q::Query, i) =
    read_numbers(ctx, k, q) do c, out, n, count
        @ccall librobust.rob_condition_steps(c::Handle, k.raw::Handle, q.raw::Handle,
                                             i::Int64, out::Ptr{Float64}, n::Int64,
                                             count::Ref{Int64})::Int32
    end
answer(ctx::Ctx, k::ConditionNumbers, what; i = nothing) =
    read_numbers(ctx, k) do c, out, n, count
        @ccall librobust.rob_condition_get(c::Handle, k.raw::Handle, what::Cstring,
                                           index(i)::Int64, out::Ptr{Float64}, n::Int64,
                                           count::Ref{Int64})::Int32
    end

"How sharply the loss bends around a series: both ends of its Hessian's spectrum."
Spectrum(ctx::Ctx) =
    Spectrum(make(ctx) do c, out
        @ccall librobust.rob_spectrum_create(c::Handle, out::Ref{Handle})::Int32
    end)
set!(ctx::Ctx, s::Spectrum, name, value) =
    call(ctx, s) do c
        @ccall librobust.rob_spectrum_set(c::Handle, s.raw::Handle, name::Cstring,
                                          value::Float64)::Int32
    end

"(2, n): lowest and highest eigenvalue of every series."
function extremes!(ctx::Ctx, s::Spectrum, q::Query)
    out = fill_numbers(ctx, 2 * length(q), s, q) do c, to, n
        @ccall librobust.rob_spectrum_extremes(c::Handle, s.raw::Handle, q.raw::Handle,
                                               to::Ptr{Float64}, n::Int64)::Int32
    end
    reshape(out, 2, :)
end
answer(ctx::Ctx, s::Spectrum, what; i = nothing) =
    read_numbers(ctx, s) do c, out, n, count
        @ccall librobust.rob_spectrum_get(c::Handle, s.raw::Handle, what::Cstring,
                                          index(i)::Int64, out::Ptr{Float64}, n::Int64,
                                          count::Ref{Int64})::Int32
    end

# ---- diagnosis -----------------------------------------------------------------------
"Can attacks by gradients be trusted on this model?"
Diagnosis(ctx::Ctx) =
    Diagnosis(make(ctx) do c, out
        @ccall librobust.rob_diagnosis_create(c::Handle, out::Ref{Handle})::Int32
    end)
set!(ctx::Ctx, d::Diagnosis, name, value) =
    call(ctx, d) do c
        @ccall librobust.rob_diagnosis_set(c::Handle, d.raw::Handle, name::Cstring,
                                           value::Float64)::Int32
    end
set_text!(ctx::Ctx, d::Diagnosis, name, value) =
    call(ctx, d) do c
        @ccall librobust.rob_diagnosis_set_text(c::Handle, d.raw::Handle, name::Cstring,
                                                value::Cstring)::Int32
    end
run!(ctx::Ctx, d::Diagnosis, q::Query) =
    call(ctx, d, q) do c
        @ccall librobust.rob_diagnosis_run(c::Handle, d.raw::Handle, q.raw::Handle)::Int32
    end

"The signs that enough series show, as sentences."
warnings(d::Diagnosis) =
    GC.@preserve d names() do k
        @ccall librobust.rob_diagnosis_warning(d.raw::Handle, k::Int64)::Cstring
    end
answer(ctx::Ctx, d::Diagnosis, what; i = nothing) =
    read_numbers(ctx, d) do c, out, n, count
        @ccall librobust.rob_diagnosis_get(c::Handle, d.raw::Handle, what::Cstring,
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

"(3, n): the smoothed model's class, -1: abstained; its certified radius; the lower end of
its probability."
function smooth!(ctx::Ctx, s::Sampler, q::Query, sigma)
    out = fill_numbers(ctx, 3 * length(q), s, q) do c, to, n
        @ccall librobust.rob_sampler_smooth(c::Handle, s.raw::Handle, q.raw::Handle,
                                            sigma::Float64, to::Ptr{Float64},
                                            n::Int64)::Int32
    end
    reshape(out, 3, :)
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
columns(r::Report) =
    GC.@preserve r names() do k
        @ccall librobust.rob_report_column(r.raw::Handle, k::Int64)::Cstring
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
