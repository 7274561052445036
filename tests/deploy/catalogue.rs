//! Alerts and dashboard against the catalogue of metrics: what they ask for exists.

use std::collections::{BTreeMap, BTreeSet};

use gristmill::telemetry::metrics::{CATALOGUE, Metric, MetricType};
use serde_json::Value;

use crate::stand::{text, yaml};

/// What is measured by others: Prometheus itself, and node_exporter.
const FOREIGN: [&str; 4] =
    ["up", "node_filesystem_avail_bytes", "node_filesystem_size_bytes", "node_filesystem_readonly"];

/// What Prometheus adds to every series.
const ADDED: [&str; 2] = ["instance", "job"];

/// The words of PromQL that are used here and are no metrics.
const WORDS: [&str; 18] = [
    "time",
    "sum",
    "max",
    "by",
    "rate",
    "increase",
    "resets",
    "absent",
    "and",
    "or",
    "le",
    "topk",
    "count",
    "histogram_quantile",
    "max_over_time",
    "predict_linear",
    "on",
    "unless",
];

/// Every expression of the alerts, by the alert's name.
pub(crate) fn alerts() -> BTreeMap<String, String> {
    let rules = yaml("config/prometheus/alerts.yml");
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    rules.map(|rule| (word(&rule["alert"]), word(&rule["expr"]))).collect()
}

/// Every expression of the dashboard, by its panel; the dashboard's variables replaced as Grafana would for "all".
pub(crate) fn panels() -> BTreeMap<String, String> {
    let dashboard: Value = serde_json::from_str(&text("config/grafana/gristmill.json")).unwrap();
    let mut found = BTreeMap::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let name = format!("{} ({} {})", word(&panel["title"]), panel["id"], word(&target["refId"]));
            let expr = word(&target["expr"]);
            let expr =
                expr.replace("$instance", ".*").replace("$kind", ".*").replace("$__rate_interval", "1m");
            assert!(!expr.contains('$'), "{name} has a variable that is not known: {expr}");
            found.insert(name, expr);
        }
    }
    found
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A series as an expression asks for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Selector {
    pub(crate) name: String,
    /// Label, operator and value, as they stand.
    pub(crate) matchers: Vec<(String, String, String)>,
}

impl Selector {
    pub(crate) fn text(&self) -> String {
        let matchers = self.matchers.iter().map(|(label, how, value)| format!("{label}{how}\"{value}\""));
        format!("{}{{{}}}", self.name, matchers.collect::<Vec<_>>().join(","))
    }
}

/// The series that an expression asks for, and the labels that it groups by.
pub(crate) fn asked(expr: &str) -> (Vec<Selector>, BTreeSet<String>) {
    let (mut selectors, mut grouped) = (Vec::new(), BTreeSet::new());
    let mut rest = expr;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        // A unit of time, as `[10m]`, belongs to its number.
        let is_unit = rest[..start].ends_with(|c: char| c.is_ascii_digit());
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        if name == "by" || name == "on" {
            let (labels, after) = rest.trim_start().strip_prefix('(').unwrap().split_once(')').unwrap();
            grouped.extend(labels.split(',').map(|label| label.trim().to_owned()));
            rest = after;
        } else if !is_unit && !WORDS.contains(&name) {
            let mut matchers = Vec::new();
            if let Some(after) = rest.strip_prefix('{') {
                let (inside, after) = after.split_once('}').unwrap();
                matchers = inside.split("\",").filter(|one| !one.is_empty()).map(matcher).collect();
                rest = after;
            }
            selectors.push(Selector { name: name.to_owned(), matchers });
        }
    }
    (selectors, grouped)
}

fn matcher(text: &str) -> (String, String, String) {
    let how = ["=~", "!~", "!=", "="].into_iter().find(|how| text.contains(how)).unwrap();
    let (label, value) = text.split_once(how).unwrap();
    (label.trim().to_owned(), how.to_owned(), value.trim_matches('"').to_owned())
}

/// The metric of the catalogue that has this series.
fn metric(name: &str) -> Option<&'static Metric> {
    CATALOGUE.iter().find(|metric| match metric.metric_type {
        MetricType::Counter | MetricType::Gauge => metric.name == name,
        MetricType::Histogram(_) => {
            name.strip_prefix(metric.name).is_some_and(|end| ["_bucket", "_sum", "_count"].contains(&end))
        }
    })
}

#[test]
fn every_metric_and_label_of_the_alerts_and_the_dashboard_is_in_the_catalogue() {
    let (alerts, panels) = (alerts(), panels());
    assert!(alerts.len() > 15 && panels.len() > 30, "{} alerts, {} panels", alerts.len(), panels.len());
    for (place, expr) in alerts.into_iter().chain(panels) {
        let (selectors, grouped) = asked(&expr);
        assert!(!selectors.is_empty(), "{place}: {expr}");
        let mut labels: BTreeSet<&str> = ADDED.into();
        for selector in &selectors {
            if FOREIGN.contains(&selector.name.as_str()) {
                continue;
            }
            let metric = metric(&selector.name);
            let metric = metric.unwrap_or_else(|| panic!("{place}: no metric `{}`", selector.name));
            labels.extend(metric.labels);
            labels.extend(matches!(metric.metric_type, MetricType::Histogram(_)).then_some("le"));
            for (label, ..) in &selector.matchers {
                assert!(
                    labels.contains(label.as_str()),
                    "{place}: `{}` has no label `{label}`",
                    selector.name
                );
            }
        }
        for label in &grouped {
            assert!(labels.contains(label.as_str()), "{place}: nothing there has the label `{label}`");
        }
    }
}

#[test]
fn an_expression_is_taken_apart() {
    let expr = r#"sum by (kind, le) (rate(a_total{x="1",y=~"b|c"}[10m])) / max(d) > 900"#;
    let (selectors, grouped) = asked(expr);
    let texts: Vec<String> = selectors.iter().map(Selector::text).collect();
    assert_eq!(texts, [r#"a_total{x="1",y=~"b|c"}"#, "d{}"]);
    assert_eq!(grouped, ["kind", "le"].map(str::to_owned).into());
}

#[test]
fn every_alert_has_its_place_in_the_page_for_those_it_wakes() {
    let page = text("docs/operations.md");
    let (_, runbook) = page.split_once("## When something rings").unwrap();
    let told: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(told, alerts().keys().map(String::as_str).collect());
}
