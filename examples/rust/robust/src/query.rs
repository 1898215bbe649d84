//! The question: a model, series, what may change, what failing means.

use std::ops::Range;
use std::ptr::{null, NonNull};

use robust_sys::*;

use crate::error::{array, index, shape, steps, text, Result};
use crate::{Ctx, Data, Model, Shape};

/// Norms of a perturbation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Norm {
    /// How many numbers move, for attacks that say so.
    L0 = ROB_NORM_L0,
    L1 = ROB_NORM_L1,
    L2 = ROB_NORM_L2,
    Linf = ROB_NORM_LINF,
}

/// Units of radii and distances: behind the model's input map, or those of the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Units {
    Model = ROB_UNITS_MODEL,
    Data = ROB_UNITS_DATA,
}

/// What distances are measured from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Reference {
    Prediction = ROB_REFERENCE_PREDICTION,
    Label = ROB_REFERENCE_LABEL,
}

/// Which way a forecast is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Direction {
    Down = ROB_DOWN,
    Either = ROB_EITHER,
    Up = ROB_UP,
}

/// A question about a model. It caches what it evaluates, so even reading takes `&mut`.
#[derive(Debug)]
pub struct Query {
    raw: NonNull<rob_query>,
    shape: Shape,
    _model: Model, // the engine of a callback lives in it
}

// As every handle: it keeps no context and has no state of its thread.
unsafe impl Send for Query {}

impl Drop for Query {
    fn drop(&mut self) {
        unsafe { rob_query_free(self.raw.as_ptr()) }
    }
}

impl Query {
    /// An empty query; it takes its own reference to the model.
    pub fn new(ctx: &mut Ctx, model: &Model) -> Result<Query> {
        let shape = model.shape(ctx)?;
        ctx.make(
            |raw| Query { raw, shape, _model: model.clone() },
            |ctx, out| unsafe { rob_query_create(ctx, model.raw.as_ptr(), out) },
        )
    }

    pub(crate) fn ptr(&self) -> *mut rob_query {
        self.raw.as_ptr()
    }

    /// Add one series x (steps, D), time-major.
    pub fn add(
        &mut self,
        ctx: &mut Ctx,
        x: &[f64],
        label: Option<usize>,
    ) -> Result<()> {
        let steps = steps(x.len(), self.shape.features)?;
        ctx.call(|ctx| unsafe {
            rob_query_add(ctx, self.ptr(), x.as_ptr(), steps, index(label))
        })
    }

    /// Add series of a data set, with their labels.
    pub fn add_data(
        &mut self,
        ctx: &mut Ctx,
        data: &Data,
        which: Range<usize>,
    ) -> Result<()> {
        let count = index(Some(which.len()));
        let first = index(Some(which.start));
        ctx.call(|ctx| unsafe {
            rob_query_add_data(ctx, self.ptr(), data.raw.as_ptr(), first, count)
        })
    }

    /// Put another series in the place of series i.
    pub fn replace(
        &mut self,
        ctx: &mut Ctx,
        i: usize,
        x: &[f64],
        label: Option<usize>,
    ) -> Result<()> {
        let steps = steps(x.len(), self.shape.features)?;
        let i = index(Some(i));
        ctx.call(|ctx| unsafe {
            rob_query_replace(ctx, self.ptr(), i, x.as_ptr(), steps, index(label))
        })
    }

    /// Number of series.
    pub fn count(&self) -> usize {
        unsafe { rob_query_count(self.ptr()) as usize }
    }

    pub fn set_ball(&mut self, ctx: &mut Ctx, norm: Norm, radius: f64) -> Result<()> {
        ctx.call(|ctx| unsafe {
            rob_query_set_ball(ctx, self.ptr(), norm as i32, radius)
        })
    }

    pub fn set_units(&mut self, ctx: &mut Ctx, units: Units) -> Result<()> {
        ctx.call(|ctx| unsafe { rob_query_set_units(ctx, self.ptr(), units as i32) })
    }

    /// Which numbers may move: nonzero may. `i` None: the default of all; `mask` None:
    /// take the mask away.
    pub fn set_mask(
        &mut self,
        ctx: &mut Ctx,
        i: Option<usize>,
        mask: Option<&[u8]>,
    ) -> Result<()> {
        let (mask, count) = array(mask);
        ctx.call(|ctx| unsafe {
            rob_query_set_mask(ctx, self.ptr(), index(i), mask, count)
        })
    }

    /// Weigh the norm: one number, one a feature, or (T, D). `i` None: the default of
    /// all; `scale` None: take it away.
    pub fn set_scale(
        &mut self,
        ctx: &mut Ctx,
        i: Option<usize>,
        scale: Option<&[f64]>,
    ) -> Result<()> {
        let (scale, count) = array(scale);
        ctx.call(|ctx| unsafe {
            rob_query_set_scale(ctx, self.ptr(), index(i), scale, count)
        })
    }

    /// Measure relative to the series.
    pub fn set_relative(&mut self, ctx: &mut Ctx, on: bool) -> Result<()> {
        ctx.call(|ctx| unsafe {
            rob_query_set_relative(ctx, self.ptr(), i32::from(on))
        })
    }

    /// Keep x + d between walls of one size: 1, D or (T, D) numbers.
    pub fn set_box(
        &mut self,
        ctx: &mut Ctx,
        i: Option<usize>,
        low: Option<&[f64]>,
        high: Option<&[f64]>,
    ) -> Result<()> {
        let ((low, floor), (high, ceiling)) = (array(low), array(high));
        if floor != ceiling && !low.is_null() && !high.is_null() {
            return shape(format!("low, high: {floor} and {ceiling} numbers"));
        }
        let count = floor.max(ceiling);
        ctx.call(|ctx| unsafe {
            rob_query_set_box(ctx, self.ptr(), index(i), low, high, count)
        })
    }

    /// A radius a step, or one for all; None: take them away.
    pub fn set_budget(
        &mut self,
        ctx: &mut Ctx,
        i: Option<usize>,
        budget: Option<&[f64]>,
    ) -> Result<()> {
        let (budget, count) = array(budget);
        ctx.call(|ctx| unsafe {
            rob_query_set_budget(ctx, self.ptr(), index(i), budget, count)
        })
    }

    /// Move along the columns of e (T D, columns) only, row-major; None: take it away.
    pub fn set_subspace(
        &mut self,
        ctx: &mut Ctx,
        i: Option<usize>,
        e: Option<&[f64]>,
        columns: usize,
    ) -> Result<()> {
        let rows = e.map_or(Ok(0), |e| steps(e.len(), columns))?;
        let (e, _) = array(e);
        ctx.call(|ctx| unsafe {
            rob_query_set_subspace(ctx, self.ptr(), index(i), e, rows, columns as i64)
        })
    }

    /// The lowest cosines of every feature; 0: all.
    pub fn set_band_limit(&mut self, ctx: &mut Ctx, modes: usize) -> Result<()> {
        ctx.call(|ctx| unsafe {
            rob_query_set_band_limit(ctx, self.ptr(), index(Some(modes)))
        })
    }

    /// Bound how rough a perturbation may be; infinite: any.
    pub fn set_smoothness(
        &mut self,
        ctx: &mut Ctx,
        variation: f64,
        difference: f64,
    ) -> Result<()> {
        ctx.call(|ctx| unsafe {
            rob_query_set_smoothness(ctx, self.ptr(), variation, difference)
        })
    }

    /// Let at most so many steps move; 0: any number.
    pub fn set_steps(&mut self, ctx: &mut Ctx, steps: usize) -> Result<()> {
        ctx.call(|ctx| unsafe {
            rob_query_set_steps(ctx, self.ptr(), index(Some(steps)))
        })
    }

    pub fn set_reference(&mut self, ctx: &mut Ctx, reference: Reference) -> Result<()> {
        ctx.call(|ctx| unsafe {
            rob_query_set_reference(ctx, self.ptr(), reference as i32)
        })
    }

    /// Ask for one class instead of any. `i` None: every series; `target` None: any.
    pub fn set_target(
        &mut self,
        ctx: &mut Ctx,
        i: Option<usize>,
        target: Option<usize>,
    ) -> Result<()> {
        ctx.call(|ctx| unsafe {
            rob_query_set_target(ctx, self.ptr(), index(i), index(target))
        })
    }

    /// A specification of one's own: fails where in some group every row has
    /// c f + b <= 0. `c` (rows, L); `b` None: zeros; `group` None: one group.
    pub fn set_rows(
        &mut self,
        ctx: &mut Ctx,
        c: &[f64],
        b: Option<&[f64]>,
        group: Option<&[i32]>,
    ) -> Result<()> {
        let rows = c.len() / self.shape.outputs.max(1);
        let fits = rows * self.shape.outputs == c.len()
            && b.map_or(true, |b| b.len() == rows)
            && group.map_or(true, |g| g.len() == rows);
        if !fits {
            return shape(format!(
                "c, b, group: {}, {:?} and {:?} numbers are no rows of {} outputs",
                c.len(),
                b.map(<[f64]>::len),
                group.map(<[i32]>::len),
                self.shape.outputs
            ));
        }
        let (b, group) =
            (b.map_or(null(), <[f64]>::as_ptr), group.map_or(null(), <[i32]>::as_ptr));
        ctx.call(|ctx| unsafe {
            rob_query_set_rows(ctx, self.ptr(), c.as_ptr(), b, group, rows as i64)
        })
    }

    /// Fails where a forecast leaves (below, above) around itself; `output` None: back to
    /// classes.
    pub fn set_band(
        &mut self,
        ctx: &mut Ctx,
        output: Option<usize>,
        below: f64,
        above: f64,
    ) -> Result<()> {
        ctx.call(|ctx| unsafe {
            rob_query_set_band(ctx, self.ptr(), index(output), below, above)
        })
    }

    /// How far can these outputs be pushed, and how near is a push by `tolerance`? None:
    /// all outputs.
    pub fn set_deviation(
        &mut self,
        ctx: &mut Ctx,
        outputs: Option<&[i64]>,
        direction: Direction,
        tolerance: f64,
    ) -> Result<()> {
        let (outputs, count) = array(outputs);
        ctx.call(|ctx| unsafe {
            let way = direction as i32;
            rob_query_set_deviation(ctx, self.ptr(), outputs, count, way, tolerance)
        })
    }

    /// A result by name, such as "margin"; `i` None: one number for every series.
    pub fn get(
        &mut self,
        ctx: &mut Ctx,
        what: &str,
        i: Option<usize>,
    ) -> Result<Vec<f64>> {
        let what = text("what", what)?;
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_query_get(
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
