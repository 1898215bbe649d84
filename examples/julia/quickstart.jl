# How robust is this model on these series?  usage: julia quickstart.jl MODEL DATA

include("Robust.jl")
using .Robust
using Printf

"(lower, upper) of the first series: nothing fails within lower, something at upper."
function sandwich(model_path, data_path)
    ctx = Ctx()
    model = load(ctx, model_path)
    data = Data(ctx)
    read!(ctx, data, data_path)

    query = Query(ctx, model)
    add_data!(ctx, query, data, 0, min(length(data), 16))
    set_ball!(ctx, query, L2, Inf)                        # search without a cap

    attack = Attack(ctx, "auto")
    set!(ctx, attack, "calls", 300)
    upper = distance!(ctx, attack, query)                 # a failing point so near
    lower = radius!(ctx, Bound(ctx, "auto"), query)       # none is nearer: proved
    lower, upper
end

if abspath(PROGRAM_FILE) == @__FILE__
    length(ARGS) == 2 || (println(stderr, "usage: quickstart.jl MODEL DATA"); exit(2))
    lower, upper = sandwich(ARGS...)
    for i in eachindex(lower)
        @printf("series %2d: safe within %.4f, broken at %.4f\n", i - 1, lower[i], upper[i])
    end
end
