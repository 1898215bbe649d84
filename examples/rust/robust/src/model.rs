//! A sequence model: loaded or made, asked, shared.

use std::ffi::c_void;
use std::ptr::{null, NonNull};
use std::slice::{from_raw_parts, from_raw_parts_mut};
use std::sync::Arc;

use robust_sys::*;

use crate::ctx::{guard, leave, Left};
use crate::error::{code, steps, text, Error, Result};
use crate::{Ctx, Tape, Var};

/// A model. It never changes; a clone is one more reference.
pub struct Model {
    pub(crate) raw: NonNull<rob_model>,
    engine: Option<Arc<Engine>>,
}

// A model is immutable, plans live in contexts and queries, its count is atomic, and what
// an engine calls is Send and Sync itself.
unsafe impl Send for Model {}
unsafe impl Sync for Model {}

impl Drop for Model {
    fn drop(&mut self) {
        unsafe { rob_model_free(self.raw.as_ptr()) }
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("raw", &self.raw).finish_non_exhaustive()
    }
}

/// What an engine of one's own answers: the line of its error goes to the caller.
type Answer = std::result::Result<(), String>;

/// Gradients of an engine: x (rows, steps, D) and seed (rows, L) to grad (rows, steps, D).
pub type Pullback = Box<dyn Fn(&[f64], &[f64], &mut [f64]) -> Answer + Send + Sync>;

type Logits = Box<dyn Fn(&[f64], usize, &mut [f64]) -> Answer + Send + Sync>;

struct Engine {
    features: usize,
    outputs: usize,
    logits: Logits,
    pullback: Option<Pullback>,
}

/// Run an engine for C: an error and a panic are kept until the call has returned.
fn answer(run: impl FnOnce() -> Answer) -> i32 {
    guard(1, || match run() {
        Ok(()) => 0,
        Err(text) => {
            leave(Left::Error(Error { code: code::CALLBACK, text }));
            1
        }
    })
}

unsafe extern "C" fn logits(
    user: *mut c_void,
    x: *const f64,
    rows: i64,
    steps: i64,
    out: *mut f64,
) -> i32 {
    let engine = &*user.cast::<Engine>();
    let (rows, steps) = (rows as usize, steps as usize);
    let x = from_raw_parts(x, rows * steps * engine.features);
    let out = from_raw_parts_mut(out, rows * engine.outputs);
    answer(|| (engine.logits)(x, rows, out))
}

unsafe extern "C" fn pullback(
    user: *mut c_void,
    x: *const f64,
    seed: *const f64,
    rows: i64,
    steps: i64,
    out: *mut f64,
) -> i32 {
    let engine = &*user.cast::<Engine>();
    let (rows, steps) = (rows as usize, steps as usize);
    let x = from_raw_parts(x, rows * steps * engine.features);
    let seed = from_raw_parts(seed, rows * engine.outputs);
    let out = from_raw_parts_mut(out, x.len());
    answer(|| engine.pullback.as_ref().map_or(Ok(()), |f| f(x, seed, out)))
}

/// What goes in and what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Steps it needs; 0: any.
    pub steps: usize,
    /// Numbers a step, D.
    pub features: usize,
    /// Logits, L.
    pub outputs: usize,
}

impl Clone for Model {
    fn clone(&self) -> Model {
        unsafe { rob_model_ref(self.ptr()) };
        Model { raw: self.raw, engine: self.engine.clone() }
    }
}

impl Model {
    pub(crate) fn own(raw: NonNull<rob_model>) -> Model {
        Model { raw, engine: None }
    }

    fn ptr(&self) -> *mut rob_model {
        self.raw.as_ptr()
    }

    /// Load a safetensors file; without a recipe, the one in the file.
    pub fn load(ctx: &mut Ctx, path: &str, recipe: Option<&str>) -> Result<Model> {
        let path = text("path", path)?;
        let recipe = recipe.map(|r| text("recipe", r)).transpose()?;
        let recipe = recipe.as_ref().map_or(null(), |r| r.as_ptr());
        ctx.make(Model::own, |ctx, out| unsafe {
            rob_model_load(ctx, path.as_ptr(), recipe, out)
        })
    }

    /// Load the bytes of a safetensors file.
    pub fn load_bytes(
        ctx: &mut Ctx,
        bytes: &[u8],
        recipe: Option<&str>,
    ) -> Result<Model> {
        let recipe = recipe.map(|r| text("recipe", r)).transpose()?;
        let recipe = recipe.as_ref().map_or(null(), |r| r.as_ptr());
        ctx.make(Model::own, |ctx, out| unsafe {
            rob_model_load_bytes(
                ctx,
                bytes.as_ptr().cast(),
                bytes.len() as i64,
                recipe,
                out,
            )
        })
    }

    /// A model with random weights of the context's seed.
    pub fn create(ctx: &mut Ctx, recipe: &str) -> Result<Model> {
        let recipe = text("recipe", recipe)?;
        ctx.make(Model::own, |ctx, out| unsafe {
            rob_model_create(ctx, recipe.as_ptr(), out)
        })
    }

    /// A recorded program y = F(x).
    pub fn from_tape(ctx: &mut Ctx, tape: &Tape, x: Var, y: Var) -> Result<Model> {
        ctx.make(Model::own, |ctx, out| unsafe {
            rob_model_from_tape(ctx, tape.raw.as_ptr(), x.0, y.0, out)
        })
    }

    /// Any engine: `logits(x, rows, out)` fills out (rows, L) from x (rows, steps, D);
    /// `pullback`, for attacks that use gradients, see [`Pullback`]. Its error is the
    /// call's; a panic goes on. A shared model is called by several threads at once.
    pub fn from_callback<F>(
        ctx: &mut Ctx,
        features: usize,
        outputs: usize,
        logits: F,
        pullback: Option<Pullback>,
    ) -> Result<Model>
    where
        F: Fn(&[f64], usize, &mut [f64]) -> Answer + Send + Sync + 'static,
    {
        let logits = Box::new(logits);
        let engine = Arc::new(Engine { features, outputs, logits, pullback });
        let user = Arc::as_ptr(&engine).cast_mut().cast::<c_void>();
        let back = engine.pullback.as_ref().map(|_| self::pullback as _);
        let mut model = ctx.make(Model::own, |ctx, out| unsafe {
            rob_model_from_callback(
                ctx,
                features as i64,
                outputs as i64,
                Some(self::logits),
                back,
                user,
                out,
            )
        })?;
        model.engine = Some(engine);
        Ok(model)
    }

    /// Prices, "returns" or "candles", in front of a model of returns.
    pub fn with_front(&self, ctx: &mut Ctx, front: &str, scale: f64) -> Result<Model> {
        let front = text("front", front)?;
        ctx.make(Model::own, |ctx, out| unsafe {
            rob_model_with_front(ctx, self.ptr(), front.as_ptr(), scale, out)
        })
    }

    pub fn save(&self, ctx: &mut Ctx, path: &str) -> Result<()> {
        let path = text("path", path)?;
        ctx.call(|ctx| unsafe { rob_model_save(ctx, self.ptr(), path.as_ptr()) })
    }

    pub fn shape(&self, ctx: &mut Ctx) -> Result<Shape> {
        let (mut steps, mut features, mut outputs) = (0, 0, 0);
        ctx.call(|ctx| unsafe {
            rob_model_shape(ctx, self.ptr(), &mut steps, &mut features, &mut outputs)
        })?;
        let [steps, features, outputs] = [steps, features, outputs].map(|n| n as usize);
        Ok(Shape { steps, features, outputs })
    }

    /// Logits of one series x (steps, D), time-major.
    pub fn predict(&self, ctx: &mut Ctx, x: &[f64]) -> Result<Vec<f64>> {
        let Shape { features, outputs, .. } = self.shape(ctx)?;
        let steps = steps(x.len(), features)?;
        ctx.fill(outputs, |ctx, y, capacity| unsafe {
            rob_model_predict(ctx, self.ptr(), x.as_ptr(), steps, y, capacity)
        })
    }

    /// Recipe, tensors and number of parameters in words.
    pub fn describe(&self, ctx: &mut Ctx) -> Result<String> {
        ctx.text(|ctx, out, capacity, count| unsafe {
            rob_model_describe(ctx, self.ptr(), out, capacity, count)
        })
    }

    /// The numbers of a tensor such as "lstm.weight_ih_l0", row-major.
    pub fn get(&self, ctx: &mut Ctx, name: &str) -> Result<Vec<f64>> {
        let name = text("name", name)?;
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_model_get(ctx, self.ptr(), name.as_ptr(), out, capacity, count)
        })
    }

    /// A model in which one tensor is another; the rest is shared.
    pub fn with(&self, ctx: &mut Ctx, name: &str, values: &[f64]) -> Result<Model> {
        let name = text("name", name)?;
        ctx.make(Model::own, |ctx, out| unsafe {
            rob_model_with(
                ctx,
                self.ptr(),
                name.as_ptr(),
                values.as_ptr(),
                values.len() as i64,
                out,
            )
        })
    }
}
