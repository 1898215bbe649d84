//! How sharply the loss bends around a series: both ends of its Hessian's spectrum.

use robust_sys::*;

use crate::error::{index, text, Result};
use crate::handle::handle;
use crate::{Ctx, Query};

handle!(
    /// Options and last answers.
    Spectrum, rob_spectrum, rob_spectrum_free
);

impl Spectrum {
    pub fn new(ctx: &mut Ctx) -> Result<Spectrum> {
        ctx.make(
            |raw| Spectrum { raw },
            |ctx, out| unsafe { rob_spectrum_create(ctx, out) },
        )
    }

    pub fn set(&mut self, ctx: &mut Ctx, name: &str, value: f64) -> Result<()> {
        let name = text("name", name)?;
        ctx.call(|ctx| unsafe {
            rob_spectrum_set(ctx, self.ptr(), name.as_ptr(), value)
        })
    }

    /// (lowest, highest) eigenvalue of every series.
    pub fn extremes(
        &mut self,
        ctx: &mut Ctx,
        q: &mut Query,
    ) -> Result<Vec<(f64, f64)>> {
        let flat = ctx.fill(2 * q.count(), |ctx, out, capacity| unsafe {
            rob_spectrum_extremes(ctx, self.ptr(), q.ptr(), out, capacity)
        })?;
        Ok(flat.chunks_exact(2).map(|v| (v[0], v[1])).collect())
    }

    /// An answer by name, such as "highest"; `i` None: every series.
    pub fn get(&self, ctx: &mut Ctx, what: &str, i: Option<usize>) -> Result<Vec<f64>> {
        let (what, i) = (text("what", what)?, index(i));
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_spectrum_get(ctx, self.ptr(), what.as_ptr(), i, out, capacity, count)
        })
    }
}
