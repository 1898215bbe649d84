//! Condition numbers: how far a verdict moves when series, steps or weights do.

use robust_sys::*;

use crate::error::{index, text, Result};
use crate::handle::handle;
use crate::{Ctx, Query};

handle!(
    /// Options and last answers.
    Condition, rob_condition, rob_condition_free
);

impl Condition {
    pub fn new(ctx: &mut Ctx) -> Result<Condition> {
        ctx.make(
            |raw| Condition { raw },
            |ctx, out| unsafe { rob_condition_create(ctx, out) },
        )
    }

    pub fn set(&mut self, ctx: &mut Ctx, name: &str, value: f64) -> Result<()> {
        let name = text("name", name)?;
        ctx.call(|ctx| unsafe {
            rob_condition_set(ctx, self.ptr(), name.as_ptr(), value)
        })
    }

    /// Of every series; read them with `get`.
    pub fn compute(&mut self, ctx: &mut Ctx, q: &mut Query) -> Result<()> {
        ctx.call(|ctx| unsafe { rob_condition_compute(ctx, self.ptr(), q.ptr()) })
    }

    /// Of each step (T) of series i.
    pub fn steps(
        &mut self,
        ctx: &mut Ctx,
        q: &mut Query,
        i: usize,
    ) -> Result<Vec<f64>> {
        let i = index(Some(i));
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_condition_steps(ctx, self.ptr(), q.ptr(), i, out, capacity, count)
        })
    }

    /// An answer by name, such as "relative"; `i` None: every series.
    pub fn get(&self, ctx: &mut Ctx, what: &str, i: Option<usize>) -> Result<Vec<f64>> {
        let (what, i) = (text("what", what)?, index(i));
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_condition_get(ctx, self.ptr(), what.as_ptr(), i, out, capacity, count)
        })
    }
}
