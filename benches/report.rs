//! The table and the JSON file.

use serde_json::{Value, json};

#[derive(Default)]
pub struct Report {
    rows: Vec<(String, f64, &'static str)>,
    missing: Vec<(String, String)>,
}

impl Report {
    pub fn row(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        let what = what.into();
        println!("{what:<78} {:>12} {unit}", plain(value));
        self.rows.push((what, value, unit));
    }

    pub fn missing(&mut self, what: &str, why: &str) {
        println!("{what}: not measured; {why}");
        self.missing.push((what.to_owned(), why.to_owned()));
    }

    /// Writes the file beside the build, and says where.
    pub fn finish(self) {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(what, value, unit)| json!({ "what": what, "value": value, "unit": unit }))
            .collect();
        let missing: Vec<Value> =
            self.missing.iter().map(|(what, why)| json!({ "what": what, "why": why })).collect();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let report =
            json!({ "version": env!("CARGO_PKG_VERSION"), "cores": cores, "rows": rows, "missing": missing });
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench.json");
        std::fs::write(&path, serde_json::to_string_pretty(&report).unwrap()).unwrap();
        println!("written to {}", path.canonicalize().unwrap().display());
    }
}

/// Of several measurements of the same.
pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn plain(value: f64) -> String {
    if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
