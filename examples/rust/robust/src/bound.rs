//! Certified lower bounds: nothing in the ball does worse, proved.

use robust_sys::*;

use crate::error::{index, text, Result};
use crate::handle::handle;
use crate::{Ctx, Query};

handle!(
    /// A method, its options and its last answers.
    Bound, rob_bound, rob_bound_free
);

impl Bound {
    /// A bound by the name of its method, such as "crown" or "auto".
    pub fn new(ctx: &mut Ctx, method: &str) -> Result<Bound> {
        let method = text("method", method)?;
        ctx.make(
            |raw| Bound { raw },
            |ctx, out| unsafe { rob_bound_create(ctx, method.as_ptr(), out) },
        )
    }

    pub fn set(&mut self, ctx: &mut Ctx, name: &str, value: f64) -> Result<()> {
        let name = text("name", name)?;
        ctx.call(|ctx| unsafe { rob_bound_set(ctx, self.ptr(), name.as_ptr(), value) })
    }

    /// L (n): within it nothing fails.
    pub fn radius(&mut self, ctx: &mut Ctx, q: &mut Query) -> Result<Vec<f64>> {
        ctx.fill(q.count(), |ctx, lower, capacity| unsafe {
            rob_bound_radius(ctx, self.ptr(), q.ptr(), lower, capacity)
        })
    }

    /// M (n): no margin in the query's ball is lower.
    pub fn margin(&mut self, ctx: &mut Ctx, q: &mut Query) -> Result<Vec<f64>> {
        ctx.fill(q.count(), |ctx, lower, capacity| unsafe {
            rob_bound_margin(ctx, self.ptr(), q.ptr(), lower, capacity)
        })
    }

    /// K (n): on the ball no margin changes faster than K ||x - y||, proved.
    pub fn lipschitz(&mut self, ctx: &mut Ctx, q: &mut Query) -> Result<Vec<f64>> {
        ctx.fill(q.count(), |ctx, upper, capacity| unsafe {
            rob_bound_lipschitz(ctx, self.ptr(), q.ptr(), upper, capacity)
        })
    }

    /// At most so many series fail under any one perturbation for all, proved.
    pub fn universal(&mut self, ctx: &mut Ctx, q: &mut Query) -> Result<usize> {
        let mut most = 0;
        ctx.call(|ctx| unsafe {
            rob_bound_universal(ctx, self.ptr(), q.ptr(), &mut most)
        })?;
        Ok(most as usize)
    }

    /// An answer by name, such as "depth"; `i` None: every series.
    pub fn get(&self, ctx: &mut Ctx, what: &str, i: Option<usize>) -> Result<Vec<f64>> {
        let what = text("what", what)?;
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_bound_get(
                ctx,
                self.ptr(),
                what.as_ptr(),
                index(i),
                out,
                capacity,
                count,
            )
        })
    }
}
