//! The library as Rust sees it: numbers, errors, callbacks, threads.
//! ROBUST_FFI names a folder with model.safetensors, series.tsv, prices.csv, bits.txt,
//! error.txt, written by the C library; tests/ffi/check.py makes it.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use robust::{
    code, Attack, Bound, Boundary, Certificate, Condition, Ctx, Data, Diagnosis,
    Direction, Model, Norm, Precision, Query, Report, Sampler, Spectrum, Tape, Trainer,
    Units,
};

#[path = "../examples/quickstart.rs"]
mod quickstart;

const RECIPE: &str = "lstm features=1 hidden=4 outputs=2 readout=last";

fn fixture(name: &str) -> String {
    format!("{}/{name}", std::env::var("ROBUST_FFI").expect("ROBUST_FFI is set"))
}

/// A model of random weights and a query of three series of 12 steps in a small ball.
fn small(ctx: &mut Ctx) -> (Model, Query) {
    let model = Model::create(ctx, RECIPE).unwrap();
    let mut query = Query::new(ctx, &model).unwrap();
    for i in 0..3 {
        let x: Vec<f64> = (0..12).map(|t| f64::from(t + i).sin()).collect();
        query.add(ctx, &x, None).unwrap();
    }
    query.set_ball(ctx, Norm::L2, 0.5).unwrap();
    (model, query)
}

#[test]
#[ignore = "needs ROBUST_FFI"]
fn the_quickstart_has_the_bits_of_c() {
    let numbers =
        quickstart::sandwich(&fixture("model.safetensors"), &fixture("series.tsv"));
    let line =
        |(l, u): (f64, f64)| format!("{:016x} {:016x}", l.to_bits(), u.to_bits());
    let mine: Vec<String> = numbers.unwrap().into_iter().map(line).collect();
    let expected = std::fs::read_to_string(fixture("bits.txt")).unwrap();
    assert!(!mine.is_empty());
    assert_eq!(mine, expected.lines().collect::<Vec<_>>());
}

#[test]
#[ignore = "needs ROBUST_FFI"]
fn a_wrong_option_gives_the_line_of_the_library() {
    let ctx = &mut Ctx::new().unwrap();
    let error = Attack::new(ctx, "auto").unwrap().set(ctx, "stpes", 1.0).unwrap_err();
    assert_eq!(error.code, code::ARGUMENT);
    assert_eq!(error.text, std::fs::read_to_string(fixture("error.txt")).unwrap());
}

#[test]
#[ignore = "needs ROBUST_FFI"]
fn a_small_report_of_a_file() {
    let ctx = &mut Ctx::new().unwrap();
    let model = Model::load(ctx, &fixture("model.safetensors"), None).unwrap();
    let mut data = Data::new(ctx).unwrap();
    data.read(ctx, &fixture("series.tsv")).unwrap();
    let first = data.get(ctx, 0).unwrap();
    let logits = model.predict(ctx, &first.x).unwrap();
    let mut query = Query::new(ctx, &model).unwrap();
    query.add_data(ctx, &data, 0..data.count()).unwrap();
    let class = query.get(ctx, "prediction", Some(0)).unwrap()[0];
    assert_eq!(class, f64::from(u8::from(logits[1] > logits[0])));
    assert_eq!(query.get(ctx, "x", Some(0)).unwrap(), first.x);
    assert_eq!(query.get(ctx, "label", None).unwrap().len(), data.count());
}

fn norm(d: &[f64]) -> f64 {
    d.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[test]
fn regions_are_obeyed() {
    let ctx = &mut Ctx::new().unwrap();
    let (_model, mut query) = small(ctx);
    let mut attack = Attack::new(ctx, "pgd").unwrap();
    let mut moved = |ctx: &mut Ctx, query: &mut Query| {
        attack.margin(ctx, query).unwrap();
        let d = attack.get(ctx, "perturbation", Some(0)).unwrap();
        assert!(norm(&d) > 0.0);
        d
    };
    let x = query.get(ctx, "x", Some(0)).unwrap();
    let mut scale = [1.0; 12];
    scale[4] = 0.0;
    query.set_scale(ctx, None, Some(&scale)).unwrap();
    assert_eq!(moved(ctx, &mut query)[4], 0.0);
    query.set_scale(ctx, None, None).unwrap();
    query.set_relative(ctx, true).unwrap();
    assert_eq!(moved(ctx, &mut query)[0], 0.0, "sin 0 stays");
    query.set_relative(ctx, false).unwrap();
    query.set_box(ctx, Some(0), Some(&x), None).unwrap();
    assert!(moved(ctx, &mut query).iter().all(|d| *d >= 0.0));
    let walls = query.set_box(ctx, Some(0), Some(&x), Some(&[1.0]));
    assert_eq!(walls.unwrap_err().code, code::SHAPE);
    query.set_box(ctx, Some(0), None, None).unwrap();
    let mut budget = [0.0; 12];
    budget[3] = 0.2;
    query.set_budget(ctx, Some(0), Some(&budget)).unwrap();
    let d = moved(ctx, &mut query);
    assert!(d[3] != 0.0 && norm(&d) <= 0.2);
    query.set_budget(ctx, Some(0), None).unwrap();
    query.set_subspace(ctx, None, Some(&[1.0; 12]), 1).unwrap();
    let d = moved(ctx, &mut query);
    assert_eq!(d[0], d[11]);
    query.set_subspace(ctx, None, None, 1).unwrap();
    query.set_band_limit(ctx, 1).unwrap();
    let d = moved(ctx, &mut query);
    assert!((d[0] - d[11]).abs() < 1e-6);
    query.set_band_limit(ctx, 0).unwrap();
    query.set_smoothness(ctx, f64::INFINITY, 0.01).unwrap();
    let d = moved(ctx, &mut query);
    assert!((d[0] - d[1]).abs() <= 0.0101);
    query.set_smoothness(ctx, f64::INFINITY, f64::INFINITY).unwrap();
    query.set_steps(ctx, 2).unwrap();
    assert_eq!(moved(ctx, &mut query).iter().filter(|d| **d != 0.0).count(), 2);
}

#[test]
fn forecasts_are_pushed() {
    let ctx = &mut Ctx::new().unwrap();
    let model = Model::create(ctx, &format!("{RECIPE} task=forecast")).unwrap();
    let mut query = Query::new(ctx, &model).unwrap();
    let x = [0.3, -0.2, 0.9];
    query.add(ctx, &x, None).unwrap();
    query.set_ball(ctx, Norm::L2, 0.5).unwrap();
    query.set_deviation(ctx, Some(&[1]), Direction::Up, 0.0).unwrap();
    let mut attack = Attack::new(ctx, "pgd").unwrap();
    let mut bound = Bound::new(ctx, "crown").unwrap();
    attack.margin(ctx, &mut query).unwrap();
    bound.margin(ctx, &mut query).unwrap();
    let found = attack.get(ctx, "deviation", Some(0)).unwrap()[0];
    let most = bound.get(ctx, "deviation", Some(0)).unwrap()[0];
    assert!(0.0 < found && found <= most, "{found} {most}");
    let twin = attack.get(ctx, "point", Some(0)).unwrap();
    let [there, here] = [&twin[..], &x[..]].map(|x| model.predict(ctx, x).unwrap()[1]);
    assert!(there > here, "upwards");
    let (none, all) = (f64::NEG_INFINITY, f64::INFINITY);
    query.set_band(ctx, Some(0), none, 0.01).unwrap();
    assert!((query.get(ctx, "margin", None).unwrap()[0] - 0.01).abs() < 1e-9);
    query.set_band(ctx, None, none, all).unwrap();
    query.set_band(ctx, Some(0), -0.02, all).unwrap();
    assert!((query.get(ctx, "margin", None).unwrap()[0] - 0.02).abs() < 1e-9);
}

#[test]
fn one_change_for_all() {
    let ctx = &mut Ctx::new().unwrap();
    let (_model, mut query) = small(ctx);
    query.set_ball(ctx, Norm::L2, 3.0).unwrap();
    let mut attack = Attack::new(ctx, "universal").unwrap();
    let delta = attack.universal(ctx, &mut query).unwrap();
    assert!(delta.len() == 12 && norm(&delta) <= 3.0001);
    let fooled = attack.transfer(ctx, &mut query, &delta).unwrap();
    assert!(fooled.len() == 5 && fooled[0] <= fooled[1] && fooled[1] == 3.0);
    let mut bound = Bound::new(ctx, "crown").unwrap();
    let most = bound.universal(ctx, &mut query).unwrap();
    assert!(fooled[0] <= most as f64 && most <= 3, "{fooled:?} {most}");
    query.set_ball(ctx, Norm::L2, 1e-6).unwrap();
    assert_eq!(bound.universal(ctx, &mut query).unwrap(), 0);
    assert_eq!(bound.get(ctx, "universal", None).unwrap()[1], 3.0);
}

#[test]
fn geometry_agrees() {
    let ctx = &mut Ctx::new().unwrap();
    let (_model, mut query) = small(ctx);
    query.set_ball(ctx, Norm::L2, f64::INFINITY).unwrap();
    let mut boundary = Boundary::new(ctx).unwrap();
    boundary.set(ctx, "order", 2.0).unwrap();
    let distance = boundary.find(ctx, &mut query).unwrap();
    let lower = Bound::new(ctx, "crown").unwrap().radius(ctx, &mut query).unwrap();
    assert!(lower.iter().zip(&distance).all(|(l, d)| 0.0 <= *l && l <= d));
    assert_eq!(boundary.get(ctx, "distance", None).unwrap(), distance);
    let mut condition = Condition::new(ctx).unwrap();
    condition.set(ctx, "weights", 0.0).unwrap();
    condition.compute(ctx, &mut query).unwrap();
    assert!(condition.get(ctx, "relative", None).unwrap().iter().all(|c| *c > 0.0));
    let steps = condition.steps(ctx, &mut query, 1).unwrap();
    assert_eq!(steps.len(), 12);
    assert_eq!(condition.get(ctx, "steps", Some(1)).unwrap(), steps);
    let mut spectrum = Spectrum::new(ctx).unwrap();
    spectrum.set(ctx, "margin", 1.0).unwrap();
    let ends = spectrum.extremes(ctx, &mut query).unwrap();
    assert!(ends.len() == 3 && ends.iter().all(|(low, high)| low <= high));
    assert_eq!(spectrum.get(ctx, "highest", Some(2)).unwrap(), [ends[2].1]);
}

#[test]
#[ignore = "needs ROBUST_FFI"]
fn certificates_are_checked() {
    let ctx = &mut Ctx::new().unwrap();
    let model = Model::load(ctx, &fixture("model.safetensors"), None).unwrap();
    let mut data = Data::new(ctx).unwrap();
    data.read(ctx, &fixture("series.tsv")).unwrap();
    let mut query = Query::new(ctx, &model).unwrap();
    query.add_data(ctx, &data, 0..1).unwrap();
    let mut bound = Bound::new(ctx, "crown").unwrap();
    let radius = bound.radius(ctx, &mut query).unwrap()[0] / 2.0;
    let path = fixture("rust.certificate");
    let made = Certificate::prove(ctx, &bound, &mut query, 0, radius).unwrap();
    made.save(ctx, &path).unwrap();
    let mut again = Certificate::load(ctx, &path).unwrap();
    assert!(again.get(ctx, "proved").unwrap().is_empty());
    assert!(again.check(ctx, &model).unwrap() > 0.0);
    let mut bias = model.get(ctx, "fc.bias").unwrap();
    bias[0] += 1.0;
    let other = model.with(ctx, "fc.bias", &bias).unwrap();
    assert_eq!(again.check(ctx, &other).unwrap_err().code, code::DOMAIN);
    ctx.canceller().cancel();
    assert_eq!(again.check(ctx, &model).unwrap_err().code, code::STOPPED);
    ctx.canceller().cancel();
    let half = Certificate::prove(ctx, &bound, &mut query, 0, radius);
    assert_eq!(half.unwrap_err().code, code::STOPPED);
}

#[test]
fn masked_gradients_are_told() {
    let ctx = &mut Ctx::new().unwrap();
    let (model, mut query) = small(ctx);
    let mut diagnosis = Diagnosis::new(ctx).unwrap();
    diagnosis.set(ctx, "calls", 30.0).unwrap();
    diagnosis.set(ctx, "steps", 4.0).unwrap();
    diagnosis.set_text(ctx, "black", "none").unwrap();
    diagnosis.run(ctx, &mut query).unwrap();
    assert_eq!(diagnosis.get(ctx, "share_loss", None).unwrap(), [0.0]);
    assert_eq!(diagnosis.get(ctx, "saturated", Some(2)).unwrap().len(), 1);
    let sound = diagnosis.warnings().len();
    let far = model.with(ctx, "fc.bias", &[1e4, 0.0]).unwrap();
    let mut query = Query::new(ctx, &far).unwrap();
    query.add(ctx, &[1.0; 12], None).unwrap();
    diagnosis.run(ctx, &mut query).unwrap();
    assert_eq!(diagnosis.get(ctx, "share_loss", None).unwrap(), [1.0]);
    assert_eq!(diagnosis.warnings().len(), sound + 1);
}

#[test]
fn smoothing_certifies_the_prediction() {
    let ctx = &mut Ctx::new().unwrap();
    let (_model, mut query) = small(ctx);
    let mut sampler = Sampler::new(ctx, "mc").unwrap();
    sampler.set(ctx, "samples", 200.0).unwrap();
    let smooth = sampler.smooth(ctx, &mut query, 1e-3).unwrap();
    let class = query.get(ctx, "prediction", Some(0)).unwrap()[0];
    assert_eq!(smooth[0].class, Some(class as usize));
    assert!(smooth.iter().all(|s| s.radius > 0.0 && s.probability > 0.9));
    assert_eq!(smooth.len(), 3);
}

#[test]
#[ignore = "needs ROBUST_FFI"]
fn prices_are_split_by_time() {
    let ctx = &mut Ctx::new().unwrap();
    let mut data = Data::new(ctx).unwrap();
    data.set_text(ctx, "role", "prices").unwrap();
    data.set(ctx, "window", 8.0).unwrap();
    data.set(ctx, "history", 20.0).unwrap();
    data.read(ctx, &fixture("prices.csv")).unwrap();
    assert_eq!(data.about_text(ctx, "units", Some(0)).unwrap(), "log return");
    let total = data.count();
    let late = data.split_time(ctx, 0.25).unwrap();
    assert_eq!(late.count(), (total + 2) / 4);
    let end = data.about(ctx, "until", Some(data.count() - 1)).unwrap();
    assert!(end <= late.about(ctx, "when", Some(0)).unwrap());
    assert_eq!(data.about(ctx, "purged", None).unwrap().len(), 1);
}

#[test]
fn series_are_scaled_and_have_targets() {
    let ctx = &mut Ctx::new().unwrap();
    let (mut like, mut data) = (Data::new(ctx).unwrap(), Data::new(ctx).unwrap());
    like.add(ctx, &[0.0, 2.0], 1, None).unwrap();
    data.add(ctx, &[10.0, 20.0], 1, None).unwrap();
    data.set_target(ctx, 0, &[0.5]).unwrap();
    assert_eq!(data.about(ctx, "target", Some(0)).unwrap(), [0.5]);
    data.normalize(ctx, Some(&like)).unwrap();
    assert_eq!(data.get(ctx, 0).unwrap().x, [9.0, 19.0]);
    like.normalize(ctx, None).unwrap();
    assert_eq!(like.get(ctx, 0).unwrap().x, [-1.0, 1.0]);
}

#[test]
fn programs_are_models() {
    let ctx = &mut Ctx::new().unwrap();
    let mut tape = Tape::new(ctx, Precision::F64).unwrap();
    let x = tape.input(ctx, &[3, 1]).unwrap();
    let w = tape.constant(ctx, &[1.0, 2.0, 3.0], &[3, 1]).unwrap();
    let short = tape.constant(ctx, &[1.0, 2.0], &[3, 1]);
    assert_eq!(short.unwrap_err().code, code::SHAPE);
    let product = tape.apply(ctx, "mul", &[w, x]).unwrap();
    let y = tape.apply(ctx, "sum", &[product]).unwrap();
    let z = tape.apply_with(ctx, "reshape", &[y], &[1.0]).unwrap();
    let minus = tape.apply_with(ctx, "affine", &[z], &[-1.0, 0.0]).unwrap();
    let both = tape.apply_with(ctx, "concat", &[z, minus], &[0.0]).unwrap();
    let square = tape.apply(ctx, "square", &[x]).unwrap();
    let sum = tape.apply(ctx, "sum", &[square]).unwrap();
    let g = tape.gradient(ctx, sum, x).unwrap();
    let forward = tape.jvp(ctx, g, x, w).unwrap();
    let backward = tape.vjp(ctx, g, x, w).unwrap();
    tape.set(ctx, x, &[1.0, 0.0, -1.0]).unwrap();
    tape.run(ctx, &[y, g, forward, backward]).unwrap();
    assert_eq!(tape.get(ctx, y).unwrap(), [-2.0]);
    assert_eq!(tape.get(ctx, g).unwrap(), [2.0, 0.0, -2.0]);
    assert_eq!(tape.get(ctx, forward).unwrap(), [2.0, 4.0, 6.0]);
    assert_eq!(tape.get(ctx, backward).unwrap(), [2.0, 4.0, 6.0]);
    let model = Model::from_tape(ctx, &tape, x, both).unwrap();
    drop(tape);
    assert_eq!(model.predict(ctx, &[1.0; 3]).unwrap(), [6.0, -6.0]);
}

/// x . (1, 2, 3) and its negative.
fn engine(x: &[f64], rows: usize, out: &mut [f64]) -> Result<(), String> {
    for (x, out) in x.chunks_exact(x.len() / rows).zip(out.chunks_exact_mut(2)) {
        out[0] = x.iter().zip(1..).map(|(x, w)| x * f64::from(w)).sum();
        out[1] = -out[0];
    }
    Ok(())
}

fn engine_query(ctx: &mut Ctx, model: &Model) -> Query {
    let mut query = Query::new(ctx, model).unwrap();
    query.add(ctx, &[1.0; 3], None).unwrap();
    query
}

#[test]
fn engines_are_models() {
    let ctx = &mut Ctx::new().unwrap();
    let back = |_: &[f64], seed: &[f64], grad: &mut [f64]| {
        for (seed, grad) in seed.chunks_exact(2).zip(grad.chunks_exact_mut(3)) {
            for (t, g) in grad.iter_mut().enumerate() {
                *g = (t + 1) as f64 * (seed[0] - seed[1]);
            }
        }
        Ok(())
    };
    let model = Model::from_callback(ctx, 1, 2, engine, Some(Box::new(back))).unwrap();
    let mut query = engine_query(ctx, &model);
    drop(model); // the query keeps the engine
    let mut attack = Attack::new(ctx, "deepfool").unwrap();
    let distance = attack.distance(ctx, &mut query).unwrap()[0];
    assert!((distance - 6.0 / 14_f64.sqrt()).abs() < 1e-2, "{distance}");

    let kept = Arc::new(());
    let alive = Arc::downgrade(&kept);
    let holds = move |x: &[f64], rows: usize, out: &mut [f64]| {
        let _ = &kept;
        engine(x, rows, out)
    };
    let model = Model::from_callback(ctx, 1, 2, holds, None).unwrap();
    let query = engine_query(ctx, &model);
    drop(model);
    assert!(alive.upgrade().is_some(), "a query keeps the functions of its model");
    drop(query);
    assert!(alive.upgrade().is_none(), "as long as it lives");

    let refuses = |_: &[f64], _: usize, _: &mut [f64]| Err("the engine is off".into());
    let model = Model::from_callback(ctx, 1, 2, refuses, None).unwrap();
    let error = engine_query(ctx, &model).get(ctx, "margin", None).unwrap_err();
    assert_eq!((error.code, &*error.text), (code::CALLBACK, "the engine is off"));

    let breaks = |_: &[f64], _: usize, _: &mut [f64]| panic!("from the engine");
    let model = Model::from_callback(ctx, 1, 2, breaks, None).unwrap();
    let mut query = engine_query(ctx, &model);
    let caught = catch_unwind(AssertUnwindSafe(|| query.get(ctx, "margin", None)));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"from the engine"));
}

#[test]
#[ignore = "needs ROBUST_FFI"]
fn files_in_memory() {
    let ctx = &mut Ctx::new().unwrap();
    let path = fixture("model.safetensors");
    let named = Model::load(ctx, &path, None).unwrap();
    let model = Model::load_bytes(ctx, &std::fs::read(path).unwrap(), None).unwrap();
    assert_eq!(model.get(ctx, "fc.bias").unwrap(), named.get(ctx, "fc.bias").unwrap());
}

#[test]
fn prices_in_front_of_a_model() {
    let ctx = &mut Ctx::new().unwrap();
    let (model, _query) = small(ctx);
    let front = model.with_front(ctx, "returns", 0.5).unwrap();
    let prices = front.predict(ctx, &[1.0, 1_f64.exp(), 1.0]).unwrap();
    let returns = model.predict(ctx, &[2.0, -2.0]).unwrap();
    assert!((prices[0] - returns[0]).abs() < 1e-6);
}

#[test]
fn remarks_are_told() {
    let ctx = &mut Ctx::new().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let lines = told.clone();
    ctx.set_log(move |level, line| {
        lines.lock().unwrap().push((level, line.to_string()))
    })
    .unwrap();
    ctx.set_text("isa", "generic").unwrap();
    assert_eq!(told.lock().unwrap()[..], [(1, "isa: generic is used".to_string())]);
    ctx.set_log(|_, _| panic!("from the log")).unwrap();
    assert_eq!(Arc::strong_count(&told), 1, "the callback was dropped");
    let caught = catch_unwind(AssertUnwindSafe(|| ctx.set_text("isa", "auto")));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"from the log"));
    ctx.clear_log().unwrap();
    ctx.set_text("isa", "auto").unwrap();
}

#[test]
fn errors_name_the_value() {
    let ctx = &mut Ctx::new().unwrap();
    let error = ctx.set_threads(-3).unwrap_err();
    assert_eq!(error.code, code::ARGUMENT);
    assert!(error.text.contains("-3"), "{error}");
    assert_eq!(Model::load(ctx, "/no/such/file", None).unwrap_err().code, code::IO);
    let error = Attack::new(ctx, "auto\0").unwrap_err();
    assert_eq!((error.code, error.to_string().lines().count()), (code::ARGUMENT, 1));
    ctx.set_threads(1).unwrap();
}

#[test]
fn sizes_are_checked_before_c_reads() {
    let ctx = &mut Ctx::new().unwrap();
    let model =
        Model::create(ctx, "lstm features=3 hidden=2 outputs=2 readout=last").unwrap();
    let mut query = Query::new(ctx, &model).unwrap();
    assert_eq!(query.add(ctx, &[0.0; 4], None).unwrap_err().code, code::SHAPE);
    assert_eq!(model.predict(ctx, &[0.0; 5]).unwrap_err().code, code::SHAPE);
    assert_eq!(model.predict(ctx, &[]).unwrap_err().code, code::SHAPE);
    assert_eq!(
        query.set_rows(ctx, &[1.0; 3], None, None).unwrap_err().code,
        code::SHAPE
    );
    let short = query.set_rows(ctx, &[1.0; 4], Some(&[0.0]), None);
    assert_eq!(short.unwrap_err().code, code::SHAPE);
    query.add(ctx, &[0.0; 6], None).unwrap();
    assert_eq!(query.count(), 1);
}

#[test]
fn both_sides_of_the_distance() {
    let ctx = &mut Ctx::new().unwrap();
    let (_model, mut query) = small(ctx);
    query.set_ball(ctx, Norm::L2, f64::INFINITY).unwrap();
    let mut attack = Attack::new(ctx, "auto").unwrap();
    let upper = attack.distance(ctx, &mut query).unwrap();
    let mut bound = Bound::new(ctx, "crown").unwrap();
    let lower = bound.radius(ctx, &mut query).unwrap();
    assert!(
        lower.iter().zip(&upper).all(|(l, u)| 0.0 <= *l && l <= u),
        "{lower:?} {upper:?}"
    );
    assert_eq!(bound.get(ctx, "radius", None).unwrap(), lower);
    assert_eq!(attack.get(ctx, "point", Some(1)).unwrap().len(), 12);
    query.set_units(ctx, Units::Data).unwrap();
    query.set_ball(ctx, Norm::L2, 0.1).unwrap();
    let proved = bound.margin(ctx, &mut query).unwrap();
    let seen = attack.margin(ctx, &mut query).unwrap();
    assert!(proved.iter().zip(&seen).all(|(p, s)| p <= s), "{proved:?} {seen:?}");
    let here = query.get(ctx, "margin", None).unwrap();
    let steep = bound.lipschitz(ctx, &mut query).unwrap();
    for (i, k) in steep.iter().enumerate() {
        assert!(k.is_finite() && here[i] - seen[i] <= 0.1 * k, "{here:?} {seen:?}");
    }
}

#[test]
fn probabilities_have_intervals() {
    let ctx = &mut Ctx::new().unwrap();
    let (_model, mut query) = small(ctx);
    let mut sampler = Sampler::new(ctx, "mc").unwrap();
    sampler.set(ctx, "samples", 200.0).unwrap();
    let curve = sampler.curve(ctx, &mut query, &[0.1, 3.0]).unwrap();
    assert_eq!(curve.len(), 6);
    assert!(curve
        .iter()
        .all(|p| p.lower <= p.logp && p.logp <= p.upper && p.upper <= 0.0));
    assert_eq!(sampler.get(ctx, "samples", Some(2)).unwrap(), [200.0, 200.0]);
}

#[test]
fn training_lowers_the_loss() {
    let ctx = &mut Ctx::new().unwrap();
    let mut data = Data::new(ctx).unwrap();
    for i in 0..20_usize {
        let level = if i % 2 == 0 { -1.0 } else { 1.0 };
        data.add(ctx, &[level; 4], 1, Some(i % 2)).unwrap();
    }
    let start = Model::create(ctx, RECIPE).unwrap();
    let mut trainer = Trainer::new(ctx).unwrap();
    trainer.set(ctx, "epochs", 8.0).unwrap();
    let fitted = trainer.run(ctx, &start, &data, None).unwrap();
    let loss = trainer.get(ctx, "loss").unwrap();
    assert!(loss[loss.len() - 1] < loss[0]);
    assert!(fitted.describe(ctx).unwrap().starts_with("lstm"));
    assert_ne!(fitted.get(ctx, "fc.bias").unwrap(), start.get(ctx, "fc.bias").unwrap());
    let set = fitted.with(ctx, "fc.bias", &[0.5, -2.0]).unwrap();
    assert_eq!(set.get(ctx, "fc.bias").unwrap(), [0.5, -2.0]);
    let error = fitted.with(ctx, "fc.bias", &[0.5]).unwrap_err();
    assert_eq!(error.code, code::SHAPE);
}

#[test]
fn progress_stops_a_call() {
    let ctx = &mut Ctx::new().unwrap();
    let (_model, mut query) = small(ctx);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    ctx.set_progress(move |stage, _, total| {
        told.lock().unwrap().push((stage.to_string(), total));
        true
    })
    .unwrap();
    let mut bound = Bound::new(ctx, "interval").unwrap();
    let lower = bound.radius(ctx, &mut query).unwrap();
    assert!(ctx.stopped());
    assert_eq!(seen.lock().unwrap()[0], ("bound".to_string(), 3));
    assert!(lower.iter().all(|l| *l >= 0.0));
    ctx.clear_progress().unwrap();
    bound.radius(ctx, &mut query).unwrap();
    assert!(!ctx.stopped());
    assert_eq!(Arc::strong_count(&seen), 1, "the callback was dropped");
}

#[test]
fn a_panic_passes_around_c() {
    let ctx = &mut Ctx::new().unwrap();
    let (_model, mut query) = small(ctx);
    ctx.set_progress(|_, _, _| panic!("from the callback")).unwrap();
    let mut bound = Bound::new(ctx, "interval").unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| bound.radius(ctx, &mut query)));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"from the callback"));
    ctx.clear_progress().unwrap();
    bound.radius(ctx, &mut query).unwrap();
}

#[test]
fn a_small_report() {
    let ctx = &mut Ctx::new().unwrap();
    let (_model, mut query) = small(ctx);
    let (_second, mut search) = small(ctx);
    let (_third, mut held) = small(ctx);
    query.set_ball(ctx, Norm::L2, f64::INFINITY).unwrap();
    let mut report = Report::new(ctx, query).unwrap();
    report.set(ctx, "samples", 50.0).unwrap();
    report.set(ctx, "calls", 60.0).unwrap();
    report.set(ctx, "slices", 0.0).unwrap();
    report.set_text(ctx, "title", "From Rust").unwrap();
    report.run(ctx).unwrap();
    let lower = report.get(ctx, "lower").unwrap();
    let upper = report.get(ctx, "upper").unwrap();
    assert_eq!(lower.len(), report.query().count());
    assert!(lower.iter().zip(&upper).all(|(l, u)| 0.0 < *l && l <= u));
    assert!(report.columns().iter().any(|name| name == "curvature"));
    report.add_universal(ctx, &mut search, &mut held).unwrap();
    assert_eq!(report.get(ctx, "universal_fooled").unwrap().len(), 5);
    assert_eq!(report.get(ctx, "lwoer").unwrap_err().code, code::ARGUMENT);
}

#[test]
fn another_thread_cancels() {
    let ctx = &mut Ctx::new().unwrap();
    let (_model, mut query) = small(ctx);
    let canceller = ctx.canceller();
    let (started, wait_for_start) = channel();
    let (cancelled, wait_for_cancel) = channel();
    let helper = thread::spawn(move || {
        wait_for_start.recv().unwrap();
        canceller.cancel();
        cancelled.send(()).unwrap();
        canceller
    });
    let mut once = Some((started, wait_for_cancel));
    ctx.set_progress(move |_, _, _| {
        if let Some((started, cancelled)) = once.take() {
            started.send(()).unwrap();
            cancelled.recv().unwrap();
        }
        false
    })
    .unwrap();
    Bound::new(ctx, "interval").unwrap().radius(ctx, &mut query).unwrap();
    assert!(ctx.stopped());
    drop(std::mem::replace(ctx, Ctx::new().unwrap()));
    helper.join().unwrap().cancel(); // its context is gone: nothing happens
}

#[test]
fn a_model_is_shared_and_handles_move() {
    let ctx = &mut Ctx::new().unwrap();
    let model = Model::create(ctx, RECIPE).unwrap();
    let x = [0.3, -0.2, 0.9];
    let here = model.predict(ctx, &x).unwrap();
    let shared = &model;
    thread::scope(|scope| {
        let ask = || shared.predict(&mut Ctx::new().unwrap(), &x).unwrap();
        let both = [scope.spawn(ask), scope.spawn(ask)];
        for there in both {
            assert_eq!(there.join().unwrap(), here);
        }
    });
    let mut query = Query::new(ctx, &model.clone()).unwrap();
    drop(model);
    let moved = thread::spawn(move || {
        let mut own = Ctx::new().unwrap();
        query.add(&mut own, &x, None).unwrap();
        query.get(&mut own, "prediction", None).unwrap()
    });
    assert_eq!(moved.join().unwrap().len(), 1);
}
