# The library as Julia sees it: numbers, errors, callbacks, cancel, finalizers.
# usage: julia calls.jl FOLDER   with model.safetensors, series.tsv, bits.txt and error.txt

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
a_small_report()
callbacks_stop()
finalizers_run()
println("$passed passed, $failed failed, 0 skipped")
exit(failed > 0)
