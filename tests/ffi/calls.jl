# The library as Julia sees it: numbers, errors, callbacks, cancel, finalizers.
# usage: julia calls.jl FOLDER
# with model.safetensors, series.tsv, prices.csv, bits.txt and error.txt

include(joinpath(@__DIR__, "../../examples/julia/quickstart.jl"))

const folder = ARGS[1]
const recipe = "lstm features=1 hidden=4 outputs=2 readout=last"
passed, failed = 0, 0

function expect(truth, what)
    truth ? (global passed += 1) : (global failed += 1)
    truth || println("failed: ", what)
end

function thrown(f)
    try
        f()
    catch e
        return e
    end
    nothing
end

"A model of random weights and a query of three series of 12 steps."
function small(ctx)
    model = create(ctx, recipe)
    query = Query(ctx, model)
    foreach(i -> add!(ctx, query, [sin(t + i) for t in 0:11]), 0:2)
    set_ball!(ctx, query, L2, 0.5)
    model, query
end

function bits_are_those_of_c()
    lower, upper = sandwich(joinpath(folder, "model.safetensors"),
                            joinpath(folder, "series.tsv"))
    hex(x) = string(reinterpret(UInt64, x); base = 16, pad = 16)
    lines = [hex(l) * " " * hex(u) for (l, u) in zip(lower, upper)]
    expect(!isempty(lines) && lines == readlines(joinpath(folder, "bits.txt")), "bits")
end

function errors_carry_status_and_line()
    ctx = Ctx()
    attack = Attack(ctx, "auto")
    e = thrown(() -> set!(ctx, attack, "stpes", 1))
    expect(e isa RobustError && e.status == -20 &&
           e.text == read(joinpath(folder, "error.txt"), String), "a wrong option")
    e = thrown(() -> load(ctx, "/no/such/file"))
    expect(e isa RobustError && e.status == -50, "no such file")
    wide = create(ctx, "lstm features=3 hidden=2 outputs=2 readout=last")
    query = Query(ctx, wide)
    e = thrown(() -> add!(ctx, query, zeros(4)))
    expect(e isa RobustError && e.status == -30, "four numbers of three")
    add!(ctx, query, reshape(0.0:5.0, 3, 2))
    expect(answer(ctx, query, "x"; i = 0) == 0.0:5.0, "a column a step")
end

function answers_agree()
    ctx = Ctx()
    model, query = small(ctx)
    bound, attack = Bound(ctx, "crown"), Attack(ctx, "pgd")
    proved = margin!(ctx, bound, query)
    expect(all(proved .<= margin!(ctx, attack, query)), "proved <= seen")
    expect(answer(ctx, bound, "margin") == proved, "answer by name")
    fell = answer(ctx, query, "margin") - answer(ctx, attack, "margin")
    steep = lipschitz!(ctx, bound, query)
    expect(all(isfinite, steep) && all(fell .<= 0.5 * steep), "slope")
    sampler = Sampler(ctx, "mc")
    set!(ctx, sampler, "samples", 100)
    p = curve!(ctx, sampler, query, [0.1, 3.0])
    expect(size(p) == (3, 2, 3) && all(p[2, :, :] .<= p[1, :, :] .<= p[3, :, :]), "curve")
    y = predict(ctx, model, answer(ctx, query, "x"; i = 0))
    expect(argmax(y) - 1 == answer(ctx, query, "prediction")[1], "prediction")
    other = with_tensor(ctx, model, "fc.bias", [0.5, -2.0])
    expect(answer(ctx, other, "fc.bias") == [0.5, -2.0], "with_tensor")
    expect(startswith(describe(ctx, model), "lstm"), "describe")
    data = Data(ctx)
    add!(ctx, data, [1.0, 2.0]; label = 1)
    expect(answer(ctx, data, 0) == ([1.0 2.0], 1), "a series comes back")
    set_mask!(ctx, query, (0:11) .< 6)
    margin!(ctx, attack, query)
    expect(all(iszero, answer(ctx, attack, "perturbation"; i = 0)[7:12]), "mask")
end

function regions_are_obeyed()
    ctx = Ctx()
    query = small(ctx)[2]
    attack = Attack(ctx, "pgd")
    moved() = (margin!(ctx, attack, query); answer(ctx, attack, "perturbation"; i = 0))
    x = answer(ctx, query, "x"; i = 0)
    set_scale!(ctx, query, (0:11) .!= 4)
    expect(moved()[5] == 0 && any(moved() .!= 0), "a scale of 0 holds")
    set_scale!(ctx, query, nothing)
    set_relative!(ctx, query)
    expect(moved()[1] == 0 && any(moved() .!= 0), "relative: sin 0 stays")
    set_relative!(ctx, query, false)
    set_box!(ctx, query, x, nothing; i = 0)
    expect(all(moved() .>= 0) && any(moved() .!= 0), "a floor")
    e = thrown(() -> set_box!(ctx, query, x, [1.0, 2.0]))
    expect(e isa RobustError && e.status == -30, "walls of two sizes")
    set_box!(ctx, query, nothing, nothing; i = 0)
    set_budget!(ctx, query, 0.2 * ((0:11) .== 3); i = 0)
    expect(0 < abs(moved()[4]) <= 0.2 && all(iszero, moved()[5:12]), "a budget")
    set_budget!(ctx, query, nothing; i = 0)
    set_subspace!(ctx, query, ones(12, 2))
    expect(moved()[1] == moved()[12] != 0, "a subspace")
    set_subspace!(ctx, query, nothing)
    set_band_limit!(ctx, query, 1)
    expect(abs(moved()[1] - moved()[12]) < 1e-6 && moved()[1] != 0, "a band limit")
    set_band_limit!(ctx, query, 0)
    set_smoothness!(ctx, query; difference = 0.01)
    expect(abs(moved()[1] - moved()[2]) <= 0.0101 && any(moved() .!= 0), "smooth")
    set_smoothness!(ctx, query)
    set_steps!(ctx, query, 2)
    expect(count(!iszero, moved()) == 2, "two steps")
end

function forecasts_are_pushed()
    ctx = Ctx()
    model, x = create(ctx, recipe * " task=forecast"), [0.3, -0.2, 0.9]
    query = Query(ctx, model)
    add!(ctx, query, x)
    set_ball!(ctx, query, L2, 0.5)
    set_deviation!(ctx, query; outputs = 1, direction = UP)
    attack, bound = Attack(ctx, "pgd"), Bound(ctx, "crown")
    margin!(ctx, attack, query)
    margin!(ctx, bound, query)
    expect(0 < answer(ctx, attack, "deviation")[1] <= answer(ctx, bound, "deviation")[1],
           "a deviation")
    twin = answer(ctx, attack, "point"; i = 0)
    expect(predict(ctx, model, twin)[2] > predict(ctx, model, x)[2], "upwards")
    set_deviation!(ctx, query; tolerance = 0.25)
    expect(abs(answer(ctx, query, "margin")[1] - 0.25) < 1e-9, "of all outputs")
    set_band!(ctx, query, 0; above = 0.01)
    expect(abs(answer(ctx, query, "margin")[1] - 0.01) < 1e-9, "a band around itself")
    set_band!(ctx, query, nothing)
    set_band!(ctx, query, 0; below = -0.02)
    expect(abs(answer(ctx, query, "margin")[1] - 0.02) < 1e-9, "its other side")
end

function one_change_for_all()
    ctx = Ctx()
    query = small(ctx)[2]
    set_ball!(ctx, query, L2, 3)
    attack = Attack(ctx, "universal")
    delta = universal!(ctx, attack, query)
    expect(length(delta) == 12 && sqrt(sum(abs2, delta)) <= 3.0001, "universal")
    fooled = transfer!(ctx, attack, query, delta)
    expect(length(fooled) == 5 && fooled[1] <= fooled[2] == 3, "transfer")
    bound = Bound(ctx, "crown")
    expect(fooled[1] <= universal!(ctx, bound, query) <= 3, "found <= proved")
    set_ball!(ctx, query, L2, 1e-6)
    expect(universal!(ctx, bound, query) == 0 &&
           answer(ctx, bound, "universal")[2] == 3, "none")
end

function geometry_and_proofs()
    ctx = Ctx()
    model = load(ctx, joinpath(folder, "model.safetensors"))
    data = Data(ctx)
    read!(ctx, data, joinpath(folder, "series.tsv"))
    query = Query(ctx, model)
    add_data!(ctx, query, data, 0, 2)
    set_ball!(ctx, query, L2, Inf)
    bound, boundary = Bound(ctx, "crown"), Boundary(ctx)
    set!(ctx, boundary, "order", 2)
    lower, away = radius!(ctx, bound, query), find!(ctx, boundary, query)
    expect(all(0 .< lower .<= away), "proved <= the boundary")
    expect(answer(ctx, boundary, "distance") == away, "boundary by name")
    condition = ConditionNumbers(ctx)
    set!(ctx, condition, "weights", 0)
    compute!(ctx, condition, query)
    expect(all(answer(ctx, condition, "relative") .> 0), "condition")
    steps = steps!(ctx, condition, query, 1)
    expect(length(steps) == 24 && steps == answer(ctx, condition, "steps"; i = 1), "by step")
    spectrum = Spectrum(ctx)
    set!(ctx, spectrum, "margin", 1)
    ends = extremes!(ctx, spectrum, query)
    expect(size(ends) == (2, 2) && all(ends[1, :] .<= ends[2, :]) &&
           answer(ctx, spectrum, "highest") == ends[2, :], "both ends")

    path = joinpath(folder, "julia.certificate")
    save(ctx, prove(ctx, bound, query, 0, lower[1] / 2), path)
    again = load_certificate(ctx, path)
    expect(isempty(answer(ctx, again, "proved")), "nothing is believed yet")
    expect(check(ctx, again, model) > 0, "a certificate proves again")
    other = with_tensor(ctx, model, "fc.bias", answer(ctx, model, "fc.bias") + [1, 0])
    e = thrown(() -> check(ctx, again, other))
    expect(e isa RobustError && e.status == -40, "refused for another model")
    for half in (() -> check(ctx, again, model), () -> prove(ctx, bound, query, 0, 0.1))
        cancel(ctx)
        e = thrown(half)
        expect(e isa RobustError && e.status == 1, "stopped, nothing is proved")
    end
end

function masked_gradients_are_told()
    ctx = Ctx()
    model, query = small(ctx)
    diagnosis = Diagnosis(ctx)
    set!(ctx, diagnosis, "calls", 30)
    set!(ctx, diagnosis, "steps", 4)
    set_text!(ctx, diagnosis, "black", "none")
    run!(ctx, diagnosis, query)
    expect(answer(ctx, diagnosis, "share_loss") == [0], "moderate log-odds")
    expect(length(answer(ctx, diagnosis, "saturated"; i = 2)) == 1, "one of a column")
    sound = length(warnings(diagnosis))
    far = Query(ctx, with_tensor(ctx, model, "fc.bias", [1e4, 0]))
    add!(ctx, far, ones(12))
    run!(ctx, diagnosis, far)
    expect(answer(ctx, diagnosis, "share_loss") == [1] &&
           length(warnings(diagnosis)) == sound + 1, "log-odds of ten thousand")
end

function smoothing_and_data()
    ctx = Ctx()
    query = small(ctx)[2]
    sampler = Sampler(ctx, "mc")
    set!(ctx, sampler, "samples", 200)
    smooth = smooth!(ctx, sampler, query, 1e-3)
    expect(smooth[1, :] == answer(ctx, query, "prediction") && all(smooth[2, :] .> 0) &&
           all(smooth[3, :] .> 0.9), "smoothed")
    data = Data(ctx)
    set_text!(ctx, data, "role", "prices")
    set!(ctx, data, "window", 8)
    set!(ctx, data, "history", 20)
    read!(ctx, data, joinpath(folder, "prices.csv"))
    expect(about_text(ctx, data, "units"; i = 0) == "log return", "about in words")
    total = length(data)
    late = split_time!(ctx, data, 0.25)
    last = about(ctx, data, "until"; i = length(data) - 1)
    expect(length(late) == (total + 2) ÷ 4 && last <= about(ctx, late, "when"; i = 0),
           "by time")
    expect(length(about(ctx, data, "purged")) == 1, "about the set")
    like, test = Data(ctx), Data(ctx)
    add!(ctx, like, [0, 2])
    add!(ctx, test, [10, 20])
    set_target!(ctx, test, 0, 0.5)
    expect(about(ctx, test, "target"; i = 0) == [0.5], "a target")
    normalize!(ctx, test; like = like)
    expect(answer(ctx, test, 0)[1] == [9 19], "normalize")
    normalize!(ctx, like)
    expect(answer(ctx, like, 0)[1] == [-1 1], "by itself")
end

function programs_are_models()
    ctx = Ctx()
    tape = Tape(ctx)
    x, w = input!(ctx, tape, (3, 1)), constant!(ctx, tape, [1 2 3])
    y = apply!(ctx, tape, "sum", apply!(ctx, tape, "mul", w, x))
    z = apply!(ctx, tape, "reshape", y; numbers = 1)
    minus = apply!(ctx, tape, "affine", z; numbers = (-1, 0))
    both = apply!(ctx, tape, "concat", z, minus; numbers = 0)
    square = apply!(ctx, tape, "sum", apply!(ctx, tape, "square", x))
    g = gradient!(ctx, tape, square, x)
    forward, backward = jvp!(ctx, tape, g, x, w), vjp!(ctx, tape, g, x, w)
    set!(ctx, tape, x, [1, 0, -1])
    run!(ctx, tape, y, g, forward, backward)
    expect([answer(ctx, tape, v) for v in (y, g, forward, backward)] ==
           [[-2], [2, 0, -2], [2, 4, 6], [2, 4, 6]], "a program and its derivatives")
    model = from_tape(ctx, tape, x, both)
    expect(predict(ctx, model, ones(3)) == [6, -6], "from a tape")
end

function engines_are_models()
    ctx = Ctx()
    weights = [1.0, 2.0, 3.0]
    logits(x) = [1, -1] * (weights' * x[1, :, :])
    pullback(x, seed) = reshape(weights * ([1, -1]' * seed), 1, 3, :)
    function query_of(functions...)
        query = Query(ctx, from_callback(ctx, 1, 2, functions...))
        add!(ctx, query, ones(3))
        query
    end
    query = query_of(logits, pullback)
    GC.gc(true)                         # the query keeps model and functions
    away = distance!(ctx, Attack(ctx, "deepfool"), query)[1]
    expect(abs(away - 6 / sqrt(14)) < 1e-2, "an engine is attacked")
    expect(answer(ctx, query_of(logits), "margin") == [12], "without gradients")
    e = thrown(() -> answer(ctx, query_of(x -> zeros(5)), "margin"))
    expect(e isa RobustError && e.status == -30, "a wrong size")
    e = thrown(() -> answer(ctx, query_of(x -> error("off")), "margin"))
    expect(e isa ErrorException && e.msg == "off", "what an engine throws")
end

function files_in_memory_and_fronts()
    ctx = Ctx()
    path = joinpath(folder, "model.safetensors")
    model, named = load_bytes(ctx, read(path)), load(ctx, path)
    expect(answer(ctx, model, "fc.bias") == answer(ctx, named, "fc.bias"), "bytes")
    model = small(ctx)[1]
    prices = predict(ctx, with_front(ctx, model, "returns", 0.5), [1, exp(1), 1])
    expect(isapprox(prices, predict(ctx, model, [2, -2]); atol = 1e-6), "prices in front")
end

function remarks_are_told()
    ctx, told = Ctx(), []
    set_log!((level, text) -> push!(told, (level, text)), ctx)
    set_text!(ctx, "isa", "generic")
    expect(told == [(1, "isa: generic is used")], "a remark")
    set_log!((_...) -> error("from the log"), ctx)
    e = thrown(() -> set_text!(ctx, "isa", "auto"))
    expect(e isa ErrorException && e.msg == "from the log", "what a log throws")
    set_log!(nothing, ctx)
    set_text!(ctx, "isa", "auto")
    expect(kind(RobustError(-30, "")) != kind(RobustError(-10, "")), "in words")
end

function a_small_report()
    ctx = Ctx()
    query = small(ctx)[2]
    set_ball!(ctx, query, L2, Inf)
    report = Report(ctx, query)
    foreach(p -> set!(ctx, report, p...), ("samples" => 50, "calls" => 60, "slices" => 0))
    set_text!(ctx, report, "title", "From Julia")
    run!(ctx, report)
    lower, upper = answer(ctx, report, "lower"), answer(ctx, report, "upper")
    expect(length(lower) == 3 && all(0 .< lower .<= upper), "the report's sandwich")
    expect("curvature" in columns(report), "columns")
    add_universal!(ctx, report, small(ctx)[2], small(ctx)[2])
    expect(length(answer(ctx, report, "universal_fooled")) == 5, "one change for all")
    save(ctx, report, joinpath(folder, "julia.html"))
    expect(occursin("From Julia", read(joinpath(folder, "julia.html"), String)), "page")
end

function callbacks_stop()
    ctx = Ctx()
    _, query = small(ctx)
    bound, stages = Bound(ctx, "interval"), String[]
    set_progress!((stage, done, total) -> (push!(stages, stage); true), ctx)
    radius!(ctx, bound, query)
    expect(ctx.stopped && stages[1] == "bound", "progress stops a call")
    set_progress!((_...) -> error("from the callback"), ctx)
    e = thrown(() -> radius!(ctx, bound, query))
    expect(e isa ErrorException && e.msg == "from the callback", "an exception passes C")
    set_progress!((_...) -> (cancel(ctx); false), ctx)
    radius!(ctx, bound, query)
    expect(ctx.stopped, "cancel")
    set_progress!(nothing, ctx)
    radius!(ctx, bound, query)
    expect(!ctx.stopped, "afterwards the context is as before")
end

"Handles die in any order, long after their context."
function finalizers_run()
    query = small(Ctx())[2]
    GC.gc(true)
    expect(length(answer(Ctx(), query, "margin")) == 3, "a query after its context")
    foreach(_ -> small(Ctx()), 1:50)
    GC.gc(true)
    expect(true, "finalizers")
end

bits_are_those_of_c()
errors_carry_status_and_line()
answers_agree()
regions_are_obeyed()
forecasts_are_pushed()
one_change_for_all()
geometry_and_proofs()
masked_gradients_are_told()
smoothing_and_data()
programs_are_models()
engines_are_models()
files_in_memory_and_fronts()
remarks_are_told()
a_small_report()
callbacks_stop()
finalizers_run()
println("$passed passed, $failed failed, 0 skipped")
exit(failed > 0)
