//! Declarations of librobust, one for each public function. The headers are the manual;
//! tests/ffi/declarations.py compares every line here with them.
#![no_std]
#![allow(non_camel_case_types)]

use core::ffi::{c_char, c_void};

pub type rob_status = i32;
pub type rob_var = i32;

macro_rules! constants {
    ($($name:ident = $value:expr;)*) => { $(pub const $name: i32 = $value;)* };
}

constants! {
    ROB_OK = 0;
    ROB_STOPPED = 1;
    ROB_EMEMORY = -10;
    ROB_EARGUMENT = -20;
    ROB_ESHAPE = -30;
    ROB_EDOMAIN = -40;
    ROB_EIO = -50;
    ROB_EFORMAT = -60;
    ROB_ECALLBACK = -70;
    ROB_ENUMERIC = -80;
    ROB_EUNSUPPORTED = -90;
    ROB_EINTERNAL = -100;
    ROB_NORM_L0 = 0;
    ROB_NORM_L1 = 1;
    ROB_NORM_L2 = 2;
    ROB_NORM_LINF = 100;
    ROB_F32 = 32;
    ROB_F64 = 64;
    ROB_UNITS_MODEL = 0;
    ROB_UNITS_DATA = 1;
    ROB_REFERENCE_PREDICTION = 0;
    ROB_REFERENCE_LABEL = 1;
    ROB_DOWN = -1;
    ROB_EITHER = 0;
    ROB_UP = 1;
}

/// Types of which only the library knows the inside.
macro_rules! opaque {
    ($($name:ident)*) => { $(#[repr(C)] pub struct $name { _inside: [u8; 0] })* };
}

opaque! { rob_ctx rob_tape rob_model rob_data rob_trainer rob_query rob_attack rob_bound
rob_certificate rob_boundary rob_condition rob_spectrum rob_diagnosis rob_sampler rob_report }

pub type rob_model_logits =
    Option<unsafe extern "C" fn(*mut c_void, *const f64, i64, i64, *mut f64) -> i32>;
pub type rob_model_pullback = Option<
    unsafe extern "C" fn(
        *mut c_void,
        *const f64,
        *const f64,
        i64,
        i64,
        *mut f64,
    ) -> i32,
>;

#[rustfmt::skip]
extern "C" {
    // status.h
    pub fn rob_status_string(status: rob_status) -> *const c_char;

    // ctx.h
    pub fn rob_ctx_create(out: *mut *mut rob_ctx) -> rob_status;
    pub fn rob_ctx_create_with(
        allocate: Option<unsafe extern "C" fn(*mut c_void, i64) -> *mut c_void>,
        release: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
        user: *mut c_void, out: *mut *mut rob_ctx
    ) -> rob_status;
    pub fn rob_ctx_free(ctx: *mut rob_ctx);
    pub fn rob_ctx_error(ctx: *const rob_ctx) -> *const c_char;
    pub fn rob_ctx_set_seed(ctx: *mut rob_ctx, seed: u64) -> rob_status;
    pub fn rob_ctx_set_threads(ctx: *mut rob_ctx, workers: i32) -> rob_status;
    pub fn rob_ctx_set_memory(ctx: *mut rob_ctx, bytes: i64) -> rob_status;
    pub fn rob_ctx_set_deadline(ctx: *mut rob_ctx, seconds: f64) -> rob_status;
    pub fn rob_ctx_set_text(
        ctx: *mut rob_ctx, name: *const c_char, value: *const c_char
    ) -> rob_status;
    pub fn rob_ctx_set_progress(
        ctx: *mut rob_ctx,
        step: Option<unsafe extern "C" fn(*mut c_void, *const c_char, i64, i64) -> i32>,
        user: *mut c_void
    ) -> rob_status;
    pub fn rob_ctx_set_log(
        ctx: *mut rob_ctx,
        line: Option<unsafe extern "C" fn(*mut c_void, i32, *const c_char)>,
        user: *mut c_void
    ) -> rob_status;
    pub fn rob_ctx_cancel(ctx: *mut rob_ctx);
    pub fn rob_version() -> *const c_char;
    pub fn rob_build_info() -> *const c_char;

    // tape.h
    pub fn rob_tape_create(
        ctx: *mut rob_ctx, dtype: i32, out: *mut *mut rob_tape
    ) -> rob_status;
    pub fn rob_tape_input(
        ctx: *mut rob_ctx, t: *mut rob_tape, shape: *const i64, rank: i32,
        out: *mut rob_var
    ) -> rob_status;
    pub fn rob_tape_constant(
        ctx: *mut rob_ctx, t: *mut rob_tape, values: *const f64, shape: *const i64,
        rank: i32, out: *mut rob_var
    ) -> rob_status;
    pub fn rob_tape_apply(
        ctx: *mut rob_ctx, t: *mut rob_tape, op: *const c_char, input: *const rob_var,
        count: i32, out: *mut rob_var
    ) -> rob_status;
    pub fn rob_tape_apply_with(
        ctx: *mut rob_ctx, t: *mut rob_tape, op: *const c_char, input: *const rob_var,
        count: i32, number: *const f64, numbers: i32, out: *mut rob_var
    ) -> rob_status;
    pub fn rob_tape_gradient(
        ctx: *mut rob_ctx, t: *mut rob_tape, y: rob_var, x: rob_var, out: *mut rob_var
    ) -> rob_status;
    pub fn rob_tape_vjp(
        ctx: *mut rob_ctx, t: *mut rob_tape, y: rob_var, x: rob_var, w: rob_var,
        out: *mut rob_var
    ) -> rob_status;
    pub fn rob_tape_jvp(
        ctx: *mut rob_ctx, t: *mut rob_tape, y: rob_var, x: rob_var, v: rob_var,
        out: *mut rob_var
    ) -> rob_status;
    pub fn rob_tape_set(
        ctx: *mut rob_ctx, t: *mut rob_tape, x: rob_var, values: *const f64, count: i64
    ) -> rob_status;
    pub fn rob_tape_run(
        ctx: *mut rob_ctx, t: *mut rob_tape, want: *const rob_var, count: i32
    ) -> rob_status;
    pub fn rob_tape_get(
        ctx: *mut rob_ctx, t: *const rob_tape, y: rob_var, out: *mut f64, capacity: i64,
        count: *mut i64
    ) -> rob_status;
    pub fn rob_tape_free(t: *mut rob_tape);

    // model.h
    pub fn rob_model_load(
        ctx: *mut rob_ctx, path: *const c_char, recipe: *const c_char,
        out: *mut *mut rob_model
    ) -> rob_status;
    pub fn rob_model_load_bytes(
        ctx: *mut rob_ctx, bytes: *const c_void, count: i64, recipe: *const c_char,
        out: *mut *mut rob_model
    ) -> rob_status;
    pub fn rob_model_create(
        ctx: *mut rob_ctx, recipe: *const c_char, out: *mut *mut rob_model
    ) -> rob_status;
    pub fn rob_model_from_tape(
        ctx: *mut rob_ctx, t: *const rob_tape, x: rob_var, y: rob_var,
        out: *mut *mut rob_model
    ) -> rob_status;
    pub fn rob_model_from_callback(
        ctx: *mut rob_ctx, features: i64, outputs: i64, logits: rob_model_logits,
        pullback: rob_model_pullback, user: *mut c_void, out: *mut *mut rob_model
    ) -> rob_status;
    pub fn rob_model_with_front(
        ctx: *mut rob_ctx, model: *const rob_model, front: *const c_char, scale: f64,
        out: *mut *mut rob_model
    ) -> rob_status;
    pub fn rob_model_save(
        ctx: *mut rob_ctx, model: *const rob_model, path: *const c_char
    ) -> rob_status;
    pub fn rob_model_shape(
        ctx: *mut rob_ctx, model: *const rob_model, steps: *mut i64, features: *mut i64,
        outputs: *mut i64
    ) -> rob_status;
    pub fn rob_model_predict(
        ctx: *mut rob_ctx, model: *const rob_model, x: *const f64, steps: i64,
        y: *mut f64, capacity: i64
    ) -> rob_status;
    pub fn rob_model_describe(
        ctx: *mut rob_ctx, model: *const rob_model, text: *mut c_char, capacity: i64,
        count: *mut i64
    ) -> rob_status;
    pub fn rob_model_get(
        ctx: *mut rob_ctx, model: *const rob_model, name: *const c_char, out: *mut f64,
        capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_model_with(
        ctx: *mut rob_ctx, model: *const rob_model, name: *const c_char,
        values: *const f64, count: i64, out: *mut *mut rob_model
    ) -> rob_status;
    pub fn rob_model_ref(model: *mut rob_model) -> *mut rob_model;
    pub fn rob_model_free(model: *mut rob_model);

    // data.h
    pub fn rob_data_create(ctx: *mut rob_ctx, out: *mut *mut rob_data) -> rob_status;
    pub fn rob_data_set(
        ctx: *mut rob_ctx, data: *mut rob_data, name: *const c_char, value: f64
    ) -> rob_status;
    pub fn rob_data_set_text(
        ctx: *mut rob_ctx, data: *mut rob_data, name: *const c_char,
        value: *const c_char
    ) -> rob_status;
    pub fn rob_data_read(
        ctx: *mut rob_ctx, data: *mut rob_data, path: *const c_char
    ) -> rob_status;
    pub fn rob_data_simulate(
        ctx: *mut rob_ctx, data: *mut rob_data, what: *const c_char, count: i64
    ) -> rob_status;
    pub fn rob_data_add(
        ctx: *mut rob_ctx, data: *mut rob_data, x: *const f64, steps: i64,
        features: i64, label: i64
    ) -> rob_status;
    pub fn rob_data_set_target(
        ctx: *mut rob_ctx, data: *mut rob_data, i: i64, target: *const f64, count: i64
    ) -> rob_status;
    pub fn rob_data_split(
        ctx: *mut rob_ctx, data: *mut rob_data, share: f64, out: *mut *mut rob_data
    ) -> rob_status;
    pub fn rob_data_split_time(
        ctx: *mut rob_ctx, data: *mut rob_data, share: f64, out: *mut *mut rob_data
    ) -> rob_status;
    pub fn rob_data_normalize(
        ctx: *mut rob_ctx, data: *mut rob_data, like: *const rob_data
    ) -> rob_status;
    pub fn rob_data_save(
        ctx: *mut rob_ctx, data: *const rob_data, path: *const c_char
    ) -> rob_status;
    pub fn rob_data_count(data: *const rob_data) -> i64;
    pub fn rob_data_classes(data: *const rob_data) -> i64;
    pub fn rob_data_get(
        ctx: *mut rob_ctx, data: *const rob_data, i: i64, x: *mut f64, capacity: i64,
        steps: *mut i64, features: *mut i64, label: *mut i64
    ) -> rob_status;
    pub fn rob_data_about(
        ctx: *mut rob_ctx, data: *const rob_data, i: i64, name: *const c_char,
        out: *mut f64, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_data_about_text(
        ctx: *mut rob_ctx, data: *const rob_data, i: i64, name: *const c_char,
        text: *mut c_char, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_data_free(data: *mut rob_data);

    // trainer.h
    pub fn rob_trainer_create(
        ctx: *mut rob_ctx, out: *mut *mut rob_trainer
    ) -> rob_status;
    pub fn rob_trainer_set(
        ctx: *mut rob_ctx, t: *mut rob_trainer, name: *const c_char, value: f64
    ) -> rob_status;
    pub fn rob_trainer_run(
        ctx: *mut rob_ctx, t: *mut rob_trainer, model: *const rob_model,
        train: *const rob_data, valid: *const rob_data, out: *mut *mut rob_model
    ) -> rob_status;
    pub fn rob_trainer_get(
        ctx: *mut rob_ctx, t: *const rob_trainer, what: *const c_char, out: *mut f64,
        capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_trainer_free(t: *mut rob_trainer);

    // query.h
    pub fn rob_query_create(
        ctx: *mut rob_ctx, model: *const rob_model, out: *mut *mut rob_query
    ) -> rob_status;
    pub fn rob_query_add(
        ctx: *mut rob_ctx, q: *mut rob_query, x: *const f64, steps: i64, label: i64
    ) -> rob_status;
    pub fn rob_query_add_data(
        ctx: *mut rob_ctx, q: *mut rob_query, data: *const rob_data, first: i64,
        count: i64
    ) -> rob_status;
    pub fn rob_query_replace(
        ctx: *mut rob_ctx, q: *mut rob_query, i: i64, x: *const f64, steps: i64,
        label: i64
    ) -> rob_status;
    pub fn rob_query_count(q: *const rob_query) -> i64;
    pub fn rob_query_set_ball(
        ctx: *mut rob_ctx, q: *mut rob_query, norm: i32, radius: f64
    ) -> rob_status;
    pub fn rob_query_set_units(
        ctx: *mut rob_ctx, q: *mut rob_query, units: i32
    ) -> rob_status;
    pub fn rob_query_set_mask(
        ctx: *mut rob_ctx, q: *mut rob_query, i: i64, mask: *const u8, count: i64
    ) -> rob_status;
    pub fn rob_query_set_scale(
        ctx: *mut rob_ctx, q: *mut rob_query, i: i64, scale: *const f64, count: i64
    ) -> rob_status;
    pub fn rob_query_set_relative(
        ctx: *mut rob_ctx, q: *mut rob_query, on: i32
    ) -> rob_status;
    pub fn rob_query_set_box(
        ctx: *mut rob_ctx, q: *mut rob_query, i: i64, low: *const f64, high: *const f64,
        count: i64
    ) -> rob_status;
    pub fn rob_query_set_budget(
        ctx: *mut rob_ctx, q: *mut rob_query, i: i64, budget: *const f64, count: i64
    ) -> rob_status;
    pub fn rob_query_set_subspace(
        ctx: *mut rob_ctx, q: *mut rob_query, i: i64, e: *const f64, rows: i64,
        columns: i64
    ) -> rob_status;
    pub fn rob_query_set_band_limit(
        ctx: *mut rob_ctx, q: *mut rob_query, modes: i64
    ) -> rob_status;
    pub fn rob_query_set_smoothness(
        ctx: *mut rob_ctx, q: *mut rob_query, variation: f64, difference: f64
    ) -> rob_status;
    pub fn rob_query_set_steps(
        ctx: *mut rob_ctx, q: *mut rob_query, steps: i64
    ) -> rob_status;
    pub fn rob_query_set_reference(
        ctx: *mut rob_ctx, q: *mut rob_query, reference: i32
    ) -> rob_status;
    pub fn rob_query_set_target(
        ctx: *mut rob_ctx, q: *mut rob_query, i: i64, target: i64
    ) -> rob_status;
    pub fn rob_query_set_rows(
        ctx: *mut rob_ctx, q: *mut rob_query, c: *const f64, b: *const f64,
        group: *const i32, rows: i64
    ) -> rob_status;
    pub fn rob_query_set_band(
        ctx: *mut rob_ctx, q: *mut rob_query, output: i64, below: f64, above: f64
    ) -> rob_status;
    pub fn rob_query_set_deviation(
        ctx: *mut rob_ctx, q: *mut rob_query, outputs: *const i64, count: i64,
        direction: i32, tolerance: f64
    ) -> rob_status;
    pub fn rob_query_get(
        ctx: *mut rob_ctx, q: *const rob_query, what: *const c_char, i: i64,
        out: *mut f64, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_query_free(q: *mut rob_query);

    // attack.h
    pub fn rob_attack_create(
        ctx: *mut rob_ctx, method: *const c_char, out: *mut *mut rob_attack
    ) -> rob_status;
    pub fn rob_attack_set(
        ctx: *mut rob_ctx, a: *mut rob_attack, name: *const c_char, value: f64
    ) -> rob_status;
    pub fn rob_attack_set_text(
        ctx: *mut rob_ctx, a: *mut rob_attack, name: *const c_char, value: *const c_char
    ) -> rob_status;
    pub fn rob_attack_distance(
        ctx: *mut rob_ctx, a: *mut rob_attack, q: *mut rob_query, upper: *mut f64,
        capacity: i64
    ) -> rob_status;
    pub fn rob_attack_margin(
        ctx: *mut rob_ctx, a: *mut rob_attack, q: *mut rob_query, margin: *mut f64,
        capacity: i64
    ) -> rob_status;
    pub fn rob_attack_universal(
        ctx: *mut rob_ctx, a: *mut rob_attack, q: *mut rob_query, delta: *mut f64,
        capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_attack_transfer(
        ctx: *mut rob_ctx, a: *mut rob_attack, q: *mut rob_query, delta: *const f64,
        count: i64
    ) -> rob_status;
    pub fn rob_attack_get(
        ctx: *mut rob_ctx, a: *const rob_attack, what: *const c_char, i: i64,
        out: *mut f64, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_attack_free(a: *mut rob_attack);

    // bound.h
    pub fn rob_bound_create(
        ctx: *mut rob_ctx, method: *const c_char, out: *mut *mut rob_bound
    ) -> rob_status;
    pub fn rob_bound_set(
        ctx: *mut rob_ctx, b: *mut rob_bound, name: *const c_char, value: f64
    ) -> rob_status;
    pub fn rob_bound_radius(
        ctx: *mut rob_ctx, b: *mut rob_bound, q: *mut rob_query, lower: *mut f64,
        capacity: i64
    ) -> rob_status;
    pub fn rob_bound_margin(
        ctx: *mut rob_ctx, b: *mut rob_bound, q: *mut rob_query, lower: *mut f64,
        capacity: i64
    ) -> rob_status;
    pub fn rob_bound_lipschitz(
        ctx: *mut rob_ctx, b: *mut rob_bound, q: *mut rob_query, upper: *mut f64,
        capacity: i64
    ) -> rob_status;
    pub fn rob_bound_universal(
        ctx: *mut rob_ctx, b: *mut rob_bound, q: *mut rob_query, most: *mut i64
    ) -> rob_status;
    pub fn rob_bound_get(
        ctx: *mut rob_ctx, b: *const rob_bound, what: *const c_char, i: i64,
        out: *mut f64, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_bound_free(b: *mut rob_bound);

    // certificate.h
    pub fn rob_certificate_create(
        ctx: *mut rob_ctx, b: *const rob_bound, q: *mut rob_query, i: i64, radius: f64,
        out: *mut *mut rob_certificate
    ) -> rob_status;
    pub fn rob_certificate_load(
        ctx: *mut rob_ctx, path: *const c_char, out: *mut *mut rob_certificate
    ) -> rob_status;
    pub fn rob_certificate_save(
        ctx: *mut rob_ctx, c: *const rob_certificate, path: *const c_char
    ) -> rob_status;
    pub fn rob_certificate_check(
        ctx: *mut rob_ctx, c: *mut rob_certificate, model: *const rob_model
    ) -> rob_status;
    pub fn rob_certificate_get(
        ctx: *mut rob_ctx, c: *const rob_certificate, what: *const c_char,
        out: *mut f64, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_certificate_free(c: *mut rob_certificate);

    // boundary.h
    pub fn rob_boundary_create(
        ctx: *mut rob_ctx, out: *mut *mut rob_boundary
    ) -> rob_status;
    pub fn rob_boundary_set(
        ctx: *mut rob_ctx, b: *mut rob_boundary, name: *const c_char, value: f64
    ) -> rob_status;
    pub fn rob_boundary_find(
        ctx: *mut rob_ctx, b: *mut rob_boundary, q: *mut rob_query, distance: *mut f64,
        capacity: i64
    ) -> rob_status;
    pub fn rob_boundary_get(
        ctx: *mut rob_ctx, b: *const rob_boundary, what: *const c_char, i: i64,
        out: *mut f64, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_boundary_free(b: *mut rob_boundary);

    // condition.h
    pub fn rob_condition_create(
        ctx: *mut rob_ctx, out: *mut *mut rob_condition
    ) -> rob_status;
    pub fn rob_condition_set(
        ctx: *mut rob_ctx, c: *mut rob_condition, name: *const c_char, value: f64
    ) -> rob_status;
    pub fn rob_condition_compute(
        ctx: *mut rob_ctx, c: *mut rob_condition, q: *mut rob_query
    ) -> rob_status;
    pub fn rob_condition_steps(
        ctx: *mut rob_ctx, c: *mut rob_condition, q: *mut rob_query, i: i64,
        cond: *mut f64, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_condition_get(
        ctx: *mut rob_ctx, c: *const rob_condition, what: *const c_char, i: i64,
        out: *mut f64, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_condition_free(c: *mut rob_condition);

    // spectrum.h
    pub fn rob_spectrum_create(
        ctx: *mut rob_ctx, out: *mut *mut rob_spectrum
    ) -> rob_status;
    pub fn rob_spectrum_set(
        ctx: *mut rob_ctx, s: *mut rob_spectrum, name: *const c_char, value: f64
    ) -> rob_status;
    pub fn rob_spectrum_extremes(
        ctx: *mut rob_ctx, s: *mut rob_spectrum, q: *mut rob_query, out: *mut f64,
        capacity: i64
    ) -> rob_status;
    pub fn rob_spectrum_get(
        ctx: *mut rob_ctx, s: *const rob_spectrum, what: *const c_char, i: i64,
        out: *mut f64, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_spectrum_free(s: *mut rob_spectrum);

    // diagnosis.h
    pub fn rob_diagnosis_create(
        ctx: *mut rob_ctx, out: *mut *mut rob_diagnosis
    ) -> rob_status;
    pub fn rob_diagnosis_set(
        ctx: *mut rob_ctx, d: *mut rob_diagnosis, name: *const c_char, value: f64
    ) -> rob_status;
    pub fn rob_diagnosis_set_text(
        ctx: *mut rob_ctx, d: *mut rob_diagnosis, name: *const c_char,
        value: *const c_char
    ) -> rob_status;
    pub fn rob_diagnosis_run(
        ctx: *mut rob_ctx, d: *mut rob_diagnosis, q: *mut rob_query
    ) -> rob_status;
    pub fn rob_diagnosis_get(
        ctx: *mut rob_ctx, d: *const rob_diagnosis, what: *const c_char, i: i64,
        out: *mut f64, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_diagnosis_warning(d: *const rob_diagnosis, k: i64) -> *const c_char;
    pub fn rob_diagnosis_free(d: *mut rob_diagnosis);

    // sampler.h
    pub fn rob_sampler_create(
        ctx: *mut rob_ctx, method: *const c_char, out: *mut *mut rob_sampler
    ) -> rob_status;
    pub fn rob_sampler_set(
        ctx: *mut rob_ctx, s: *mut rob_sampler, name: *const c_char, value: f64
    ) -> rob_status;
    pub fn rob_sampler_curve(
        ctx: *mut rob_ctx, s: *mut rob_sampler, q: *mut rob_query, radius: *const f64,
        radii: i64, logp: *mut f64, capacity: i64
    ) -> rob_status;
    pub fn rob_sampler_smooth(
        ctx: *mut rob_ctx, s: *const rob_sampler, q: *mut rob_query, sigma: f64,
        out: *mut f64, capacity: i64
    ) -> rob_status;
    pub fn rob_sampler_get(
        ctx: *mut rob_ctx, s: *const rob_sampler, what: *const c_char, i: i64,
        out: *mut f64, capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_sampler_free(s: *mut rob_sampler);

    // report.h
    pub fn rob_report_create(
        ctx: *mut rob_ctx, q: *mut rob_query, out: *mut *mut rob_report
    ) -> rob_status;
    pub fn rob_report_set(
        ctx: *mut rob_ctx, r: *mut rob_report, name: *const c_char, value: f64
    ) -> rob_status;
    pub fn rob_report_set_text(
        ctx: *mut rob_ctx, r: *mut rob_report, name: *const c_char,
        value: *const c_char
    ) -> rob_status;
    pub fn rob_report_run(ctx: *mut rob_ctx, r: *mut rob_report) -> rob_status;
    pub fn rob_report_add_universal(
        ctx: *mut rob_ctx, r: *mut rob_report, search: *mut rob_query,
        held: *mut rob_query
    ) -> rob_status;
    pub fn rob_report_column(r: *const rob_report, k: i64) -> *const c_char;
    pub fn rob_report_get(
        ctx: *mut rob_ctx, r: *const rob_report, column: *const c_char, out: *mut f64,
        capacity: i64, count: *mut i64
    ) -> rob_status;
    pub fn rob_report_save(
        ctx: *mut rob_ctx, r: *const rob_report, path: *const c_char
    ) -> rob_status;
    pub fn rob_report_free(r: *mut rob_report);
}
