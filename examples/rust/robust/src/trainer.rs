//! Fits a model to labelled series.

use std::ptr::null_mut;

use robust_sys::*;

use crate::error::{text, Result};
use crate::handle::handle;
use crate::{Ctx, Data, Model};

handle!(
    /// Options, and the curves of the last run.
    Trainer, rob_trainer, rob_trainer_free
);

impl Trainer {
    pub fn new(ctx: &mut Ctx) -> Result<Trainer> {
        ctx.make(
            |raw| Trainer { raw },
            |ctx, out| unsafe { rob_trainer_create(ctx, out) },
        )
    }

    pub fn set(&mut self, ctx: &mut Ctx, name: &str, value: f64) -> Result<()> {
        let name = text("name", name)?;
        ctx.call(|ctx| unsafe {
            rob_trainer_set(ctx, self.ptr(), name.as_ptr(), value)
        })
    }

    /// A fitted model. Stopped, it is the best epoch so far.
    pub fn run(
        &mut self,
        ctx: &mut Ctx,
        model: &Model,
        train: &Data,
        valid: Option<&Data>,
    ) -> Result<Model> {
        let valid = valid.map_or(null_mut(), |d| d.raw.as_ptr());
        ctx.make(Model::own, |ctx, out| unsafe {
            rob_trainer_run(
                ctx,
                self.ptr(),
                model.raw.as_ptr(),
                train.raw.as_ptr(),
                valid,
                out,
            )
        })
    }

    /// A curve of the last run by name, such as "loss".
    pub fn get(&self, ctx: &mut Ctx, what: &str) -> Result<Vec<f64>> {
        let what = text("what", what)?;
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_trainer_get(ctx, self.ptr(), what.as_ptr(), out, capacity, count)
        })
    }
}
