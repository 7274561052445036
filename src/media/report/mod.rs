//! Reports: what is known of a user and their work, as pages to print.
//!
//! [`ReportData`] goes in, a PDF comes out. The kind that makes reports is the caller, from a compute thread; it gathers
//! the data, and nothing here asks for any.

mod data;

pub use data::{
    Counter, Day, Holding, KindTotal, Language, Outcomes, Point, RecentTask, ReportData, Subject,
};
