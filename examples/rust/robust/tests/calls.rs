//! The library as Rust sees it: numbers, errors, callbacks, threads.
//! ROBUST_FFI names a folder with model.safetensors, series.tsv, bits.txt, error.txt,
//! written by the C library; tests/ffi/check.py makes it.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use robust::{
    code, Attack, Bound, Ctx, Data, Model, Norm, Query, Report, Sampler, Trainer, Units,
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
