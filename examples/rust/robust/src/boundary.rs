//! The decision boundary near a series: nearest point, normal, curvatures, estimates.

use robust_sys::*;

use crate::error::{index, text, Result};
use crate::handle::handle;
use crate::{Ctx, Query};

handle!(
    /// Options and the answers of the last search.
    Boundary, rob_boundary, rob_boundary_free
);

impl Boundary {
    pub fn new(ctx: &mut Ctx) -> Result<Boundary> {
        ctx.make(
            |raw| Boundary { raw },
            |ctx, out| unsafe { rob_boundary_create(ctx, out) },
        )
    }

    pub fn set(&mut self, ctx: &mut Ctx, name: &str, value: f64) -> Result<()> {
        let name = text("name", name)?;
        ctx.call(|ctx| unsafe {
            rob_boundary_set(ctx, self.ptr(), name.as_ptr(), value)
        })
    }

    /// Distances (n) of the nearest boundary points; infinite: none was found.
    pub fn find(&mut self, ctx: &mut Ctx, q: &mut Query) -> Result<Vec<f64>> {
        ctx.fill(q.count(), |ctx, distance, capacity| unsafe {
            rob_boundary_find(ctx, self.ptr(), q.ptr(), distance, capacity)
        })
    }

    /// An answer by name, such as "curvatures"; `i` None: every series.
    pub fn get(&self, ctx: &mut Ctx, what: &str, i: Option<usize>) -> Result<Vec<f64>> {
        let (what, i) = (text("what", what)?, index(i));
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_boundary_get(ctx, self.ptr(), what.as_ptr(), i, out, capacity, count)
        })
    }
}
