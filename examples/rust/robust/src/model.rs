//! A sequence model: loaded or made, asked, shared.

use std::ptr::null;

use robust_sys::*;

use crate::error::{shape, steps, text, Result};
use crate::handle::handle;
use crate::Ctx;

handle!(
    /// A model. It never changes; a clone is one more reference.
    Model, rob_model, rob_model_free
);

// A model is immutable, plans live in contexts and queries, and its count is atomic.
unsafe impl Sync for Model {}

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
        Model { raw: self.raw }
    }
}

impl Model {
    /// Load a safetensors file; without a recipe, the one in the file.
    pub fn load(ctx: &mut Ctx, path: &str, recipe: Option<&str>) -> Result<Model> {
        let path = text("path", path)?;
        let recipe = recipe.map(|r| text("recipe", r)).transpose()?;
        let recipe = recipe.as_ref().map_or(null(), |r| r.as_ptr());
        ctx.make(
            |raw| Model { raw },
            |ctx, out| unsafe { rob_model_load(ctx, path.as_ptr(), recipe, out) },
        )
    }

    /// Load the bytes of a safetensors file.
    pub fn load_bytes(
        ctx: &mut Ctx,
        bytes: &[u8],
        recipe: Option<&str>,
    ) -> Result<Model> {
        let recipe = recipe.map(|r| text("recipe", r)).transpose()?;
        let recipe = recipe.as_ref().map_or(null(), |r| r.as_ptr());
        ctx.make(
            |raw| Model { raw },
            |ctx, out| unsafe {
                rob_model_load_bytes(
                    ctx,
                    bytes.as_ptr().cast(),
                    bytes.len() as i64,
                    recipe,
                    out,
                )
            },
        )
    }

    /// A model with random weights of the context's seed.
    pub fn create(ctx: &mut Ctx, recipe: &str) -> Result<Model> {
        let recipe = text("recipe", recipe)?;
        ctx.make(
            |raw| Model { raw },
            |ctx, out| unsafe { rob_model_create(ctx, recipe.as_ptr(), out) },
        )
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
        let mut count = 0;
        ctx.call(|ctx| unsafe {
            rob_model_describe(ctx, self.ptr(), std::ptr::null_mut(), 0, &mut count)
        })?;
        let mut out = vec![0_u8; count as usize];
        ctx.call(|ctx| unsafe {
            rob_model_describe(
                ctx,
                self.ptr(),
                out.as_mut_ptr().cast(),
                count,
                &mut count,
            )
        })?;
        out.truncate(out.iter().position(|&c| c == 0).unwrap_or(out.len()));
        String::from_utf8(out)
            .or_else(|_| shape("text: the description is not UTF-8".into()))
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
        ctx.make(
            |raw| Model { raw },
            |ctx, out| unsafe {
                rob_model_with(
                    ctx,
                    self.ptr(),
                    name.as_ptr(),
                    values.as_ptr(),
                    values.len() as i64,
                    out,
                )
            },
        )
    }
}
