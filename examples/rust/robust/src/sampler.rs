//! How probable is a failure under random perturbations of a given length?

use robust_sys::*;

use crate::error::{index, text, Result};
use crate::handle::handle;
use crate::{Ctx, Query};

handle!(
    /// A method, its options and its last answers.
    Sampler, rob_sampler, rob_sampler_free
);

/// A natural logarithm of a probability with the ends of its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogProbability {
    pub logp: f64,
    pub lower: f64,
    pub upper: f64,
}

/// What is certified of the model smoothed by Gaussian noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smoothed {
    /// None: abstained.
    pub class: Option<usize>,
    pub radius: f64,
    /// The lower end of the class's probability.
    pub probability: f64,
}

impl Sampler {
    /// A sampler by the name of its method: "mc", "split" or "auto".
    pub fn new(ctx: &mut Ctx, method: &str) -> Result<Sampler> {
        let method = text("method", method)?;
        ctx.make(
            |raw| Sampler { raw },
            |ctx, out| unsafe { rob_sampler_create(ctx, method.as_ptr(), out) },
        )
    }

    pub fn set(&mut self, ctx: &mut Ctx, name: &str, value: f64) -> Result<()> {
        let name = text("name", name)?;
        ctx.call(|ctx| unsafe {
            rob_sampler_set(ctx, self.ptr(), name.as_ptr(), value)
        })
    }

    /// log P of failing at each radius: series i at radius k is [i * radii + k].
    pub fn curve(
        &mut self,
        ctx: &mut Ctx,
        q: &mut Query,
        radius: &[f64],
    ) -> Result<Vec<LogProbability>> {
        let radii = radius.len() as i64;
        let flat =
            ctx.fill(3 * radius.len() * q.count(), |ctx, logp, capacity| unsafe {
                rob_sampler_curve(
                    ctx,
                    self.ptr(),
                    q.ptr(),
                    radius.as_ptr(),
                    radii,
                    logp,
                    capacity,
                )
            })?;
        let one = |v: &[f64]| LogProbability { logp: v[0], lower: v[1], upper: v[2] };
        Ok(flat.chunks_exact(3).map(one).collect())
    }

    /// Certify the model smoothed by noise of this standard deviation, for each series.
    pub fn smooth(
        &self,
        ctx: &mut Ctx,
        q: &mut Query,
        sigma: f64,
    ) -> Result<Vec<Smoothed>> {
        let flat = ctx.fill(3 * q.count(), |ctx, out, capacity| unsafe {
            rob_sampler_smooth(ctx, self.ptr(), q.ptr(), sigma, out, capacity)
        })?;
        let one = |v: &[f64]| Smoothed {
            class: (v[0] >= 0.0).then_some(v[0] as usize),
            radius: v[1],
            probability: v[2],
        };
        Ok(flat.chunks_exact(3).map(one).collect())
    }

    /// An answer by name, such as "hits": (radii) numbers; `i` None: (n, radii).
    pub fn get(&self, ctx: &mut Ctx, what: &str, i: Option<usize>) -> Result<Vec<f64>> {
        let what = text("what", what)?;
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_sampler_get(
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
