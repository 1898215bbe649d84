//! Every method about one query: named columns, a JSON file, a page.

use std::ptr::NonNull;

use robust_sys::*;

use crate::error::{names, text, Result};
use crate::{Ctx, Query};

/// A report owns its query, to which the library's report refers.
#[derive(Debug)]
pub struct Report {
    raw: NonNull<rob_report>,
    query: Query,
}

unsafe impl Send for Report {}

impl Drop for Report {
    fn drop(&mut self) {
        unsafe { rob_report_free(self.raw.as_ptr()) }
    }
}

impl Report {
    /// A report about a query.
    pub fn new(ctx: &mut Ctx, query: Query) -> Result<Report> {
        let about = query.ptr();
        ctx.make(
            |raw| Report { raw, query },
            |ctx, out| unsafe { rob_report_create(ctx, about, out) },
        )
    }

    /// The query it is about.
    pub fn query(&mut self) -> &mut Query {
        &mut self.query
    }

    pub fn set(&mut self, ctx: &mut Ctx, name: &str, value: f64) -> Result<()> {
        let name = text("name", name)?;
        let raw = self.raw.as_ptr();
        ctx.call(|ctx| unsafe { rob_report_set(ctx, raw, name.as_ptr(), value) })
    }

    pub fn set_text(&mut self, ctx: &mut Ctx, name: &str, value: &str) -> Result<()> {
        let (name, value) = (text("name", name)?, text("value", value)?);
        let raw = self.raw.as_ptr();
        ctx.call(|ctx| unsafe {
            rob_report_set_text(ctx, raw, name.as_ptr(), value.as_ptr())
        })
    }

    /// Fill the columns; cut short, they hold what was done.
    pub fn run(&mut self, ctx: &mut Ctx) -> Result<()> {
        let raw = self.raw.as_ptr();
        ctx.call(|ctx| unsafe { rob_report_run(ctx, raw) })
    }

    /// One change for all series, searched on one query and judged on another.
    pub fn add_universal(
        &mut self,
        ctx: &mut Ctx,
        search: &mut Query,
        held: &mut Query,
    ) -> Result<()> {
        let raw = self.raw.as_ptr();
        ctx.call(|ctx| unsafe {
            rob_report_add_universal(ctx, raw, search.ptr(), held.ptr())
        })
    }

    /// The names of the columns there are.
    pub fn columns(&self) -> Vec<String> {
        names(|k| unsafe { rob_report_column(self.raw.as_ptr(), k) })
    }

    /// The numbers of a column; none where it was not computed.
    pub fn get(&self, ctx: &mut Ctx, column: &str) -> Result<Vec<f64>> {
        let column = text("column", column)?;
        let raw = self.raw.as_ptr();
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_report_get(ctx, raw, column.as_ptr(), out, capacity, count)
        })
    }

    /// Write ".json" or ".html", by the ending of the path.
    pub fn save(&self, ctx: &mut Ctx, path: &str) -> Result<()> {
        let path = text("path", path)?;
        let raw = self.raw.as_ptr();
        ctx.call(|ctx| unsafe { rob_report_save(ctx, raw, path.as_ptr()) })
    }
}
