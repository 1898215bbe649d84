//! Can attacks by gradients be trusted on this model?

use robust_sys::*;

use crate::error::{index, names, text, Result};
use crate::handle::handle;
use crate::{Ctx, Query};

handle!(
    /// Options and the answers of the last run.
    Diagnosis, rob_diagnosis, rob_diagnosis_free
);

impl Diagnosis {
    pub fn new(ctx: &mut Ctx) -> Result<Diagnosis> {
        ctx.make(
            |raw| Diagnosis { raw },
            |ctx, out| unsafe { rob_diagnosis_create(ctx, out) },
        )
    }

    pub fn set(&mut self, ctx: &mut Ctx, name: &str, value: f64) -> Result<()> {
        let name = text("name", name)?;
        ctx.call(|ctx| unsafe {
            rob_diagnosis_set(ctx, self.ptr(), name.as_ptr(), value)
        })
    }

    /// Name the "white" or the "black" box.
    pub fn set_text(&mut self, ctx: &mut Ctx, name: &str, value: &str) -> Result<()> {
        let (name, value) = (text("name", name)?, text("value", value)?);
        ctx.call(|ctx| unsafe {
            rob_diagnosis_set_text(ctx, self.ptr(), name.as_ptr(), value.as_ptr())
        })
    }

    /// Look at a query's series.
    pub fn run(&mut self, ctx: &mut Ctx, q: &mut Query) -> Result<()> {
        ctx.call(|ctx| unsafe { rob_diagnosis_run(ctx, self.ptr(), q.ptr()) })
    }

    /// The signs that enough series show, as sentences.
    pub fn warnings(&self) -> Vec<String> {
        names(|k| unsafe { rob_diagnosis_warning(self.ptr(), k) })
    }

    /// An answer by name, such as "share_loss"; `i` None: every series.
    pub fn get(&self, ctx: &mut Ctx, what: &str, i: Option<usize>) -> Result<Vec<f64>> {
        let (what, i) = (text("what", what)?, index(i));
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_diagnosis_get(ctx, self.ptr(), what.as_ptr(), i, out, capacity, count)
        })
    }
}
