//! Labelled series: read, simulated, added, split, saved.

use std::ptr::null_mut;

use robust_sys::*;

use crate::error::{index, steps, text, Result};
use crate::handle::handle;
use crate::Ctx;

handle!(
    /// A data set.
    Data, rob_data, rob_data_free
);

/// One series with its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// (steps, features) numbers, time-major.
    pub x: Vec<f64>,
    pub steps: usize,
    pub features: usize,
    pub label: Option<usize>,
}

impl Data {
    /// An empty data set.
    pub fn new(ctx: &mut Ctx) -> Result<Data> {
        ctx.make(|raw| Data { raw }, |ctx, out| unsafe { rob_data_create(ctx, out) })
    }

    pub fn set(&mut self, ctx: &mut Ctx, name: &str, value: f64) -> Result<()> {
        let name = text("name", name)?;
        ctx.call(|ctx| unsafe { rob_data_set(ctx, self.ptr(), name.as_ptr(), value) })
    }

    pub fn set_text(&mut self, ctx: &mut Ctx, name: &str, value: &str) -> Result<()> {
        let (name, value) = (text("name", name)?, text("value", value)?);
        ctx.call(|ctx| unsafe {
            rob_data_set_text(ctx, self.ptr(), name.as_ptr(), value.as_ptr())
        })
    }

    /// Append what a file holds.
    pub fn read(&mut self, ctx: &mut Ctx, path: &str) -> Result<()> {
        let path = text("path", path)?;
        ctx.call(|ctx| unsafe { rob_data_read(ctx, self.ptr(), path.as_ptr()) })
    }

    /// Append simulated series, such as "transits".
    pub fn simulate(&mut self, ctx: &mut Ctx, what: &str, count: usize) -> Result<()> {
        let (what, count) = (text("what", what)?, index(Some(count)));
        ctx.call(|ctx| unsafe {
            rob_data_simulate(ctx, self.ptr(), what.as_ptr(), count)
        })
    }

    /// Append one series x (steps, features), time-major.
    pub fn add(
        &mut self,
        ctx: &mut Ctx,
        x: &[f64],
        features: usize,
        label: Option<usize>,
    ) -> Result<()> {
        let steps = steps(x.len(), features)?;
        ctx.call(|ctx| unsafe {
            rob_data_add(
                ctx,
                self.ptr(),
                x.as_ptr(),
                steps,
                features as i64,
                index(label),
            )
        })
    }

    /// Move a share of every class into a new data set.
    pub fn split(&mut self, ctx: &mut Ctx, share: f64) -> Result<Data> {
        ctx.make(
            |raw| Data { raw },
            |ctx, out| unsafe { rob_data_split(ctx, self.ptr(), share, out) },
        )
    }

    /// Move the latest share of windows of prices into a new data set.
    pub fn split_time(&mut self, ctx: &mut Ctx, share: f64) -> Result<Data> {
        ctx.make(
            |raw| Data { raw },
            |ctx, out| unsafe { rob_data_split_time(ctx, self.ptr(), share, out) },
        )
    }

    /// Real-valued targets of series i, what a forecast is fitted to.
    pub fn set_target(
        &mut self,
        ctx: &mut Ctx,
        i: usize,
        target: &[f64],
    ) -> Result<()> {
        let (i, count) = (index(Some(i)), target.len() as i64);
        ctx.call(|ctx| unsafe {
            rob_data_set_target(ctx, self.ptr(), i, target.as_ptr(), count)
        })
    }

    /// Scale every feature as `like`, the training set, is; None: by the set itself.
    pub fn normalize(&mut self, ctx: &mut Ctx, like: Option<&Data>) -> Result<()> {
        let like = like.map_or(null_mut(), Data::ptr);
        ctx.call(|ctx| unsafe { rob_data_normalize(ctx, self.ptr(), like) })
    }

    /// What is known of series i beside its values, such as "scale"; None: of the set.
    pub fn about(
        &self,
        ctx: &mut Ctx,
        name: &str,
        i: Option<usize>,
    ) -> Result<Vec<f64>> {
        let (name, i) = (text("name", name)?, index(i));
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_data_about(ctx, self.ptr(), i, name.as_ptr(), out, capacity, count)
        })
    }

    /// The same in words, such as "units".
    pub fn about_text(
        &self,
        ctx: &mut Ctx,
        name: &str,
        i: Option<usize>,
    ) -> Result<String> {
        let (name, i) = (text("name", name)?, index(i));
        ctx.text(|ctx, out, capacity, count| unsafe {
            rob_data_about_text(ctx, self.ptr(), i, name.as_ptr(), out, capacity, count)
        })
    }

    pub fn save(&self, ctx: &mut Ctx, path: &str) -> Result<()> {
        let path = text("path", path)?;
        ctx.call(|ctx| unsafe { rob_data_save(ctx, self.ptr(), path.as_ptr()) })
    }

    /// Number of series.
    pub fn count(&self) -> usize {
        unsafe { rob_data_count(self.ptr()) as usize }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        unsafe { rob_data_classes(self.ptr()) as usize }
    }

    /// A copy of series i.
    pub fn get(&self, ctx: &mut Ctx, i: usize) -> Result<Series> {
        let (i, mut size) = (index(Some(i)), [0_i64; 3]);
        let [steps, features, label] = &mut size;
        ctx.call(|ctx| unsafe {
            rob_data_get(ctx, self.ptr(), i, null_mut(), 0, steps, features, label)
        })?;
        let x = ctx.fill((*steps * *features) as usize, |ctx, x, capacity| unsafe {
            rob_data_get(ctx, self.ptr(), i, x, capacity, steps, features, label)
        })?;
        let label = usize::try_from(*label).ok();
        Ok(Series { x, steps: *steps as usize, features: *features as usize, label })
    }
}
