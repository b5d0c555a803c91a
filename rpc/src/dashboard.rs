//! Dashboards and the metrics that they ask for: services' tests hold them together.

use prometheus_client::registry::Registry;
use std::collections::BTreeSet;

/// What a sample's name may have behind the metric's name (OpenMetrics §5).
const SUFFIXES: [&str; 4] = ["_total", "_bucket", "_sum", "_count"];

/// The names beginning with `prefix` that a dashboard's queries ask for and that `exposition` (what `/metrics` answers) has no metric of. `Err`:
/// no JSON, or no query has such a name.
pub fn missing(dashboard: &str, prefix: &str, exposition: &str) -> Result<BTreeSet<String>, String> {
    let document: serde_json::Value = serde_json::from_str(dashboard).map_err(|error| error.to_string())?;
    let mut asked = BTreeSet::new();
    queries(&document, &mut |query| {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        asked.extend(words.filter(|word| word.starts_with(prefix)).map(str::to_owned));
    });
    if asked.is_empty() {
        return Err(format!("no query asks for {prefix}…"));
    }
    let metrics: BTreeSet<(&str, &str)> =
        exposition.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    asked.retain(|name| !metrics.iter().any(|(metric, kind)| names(metric, kind.trim(), name)));
    Ok(asked)
}

/// Whether a metric has samples of this name.
fn names(metric: &str, kind: &str, sample: &str) -> bool {
    let Some(suffix) = sample.strip_prefix(metric) else { return false };
    match kind {
        // Prometheus' own text format has the suffix in the metric's name.
        "counter" => suffix == "_total" || (suffix.is_empty() && metric.ends_with("_total")),
        "histogram" => SUFFIXES.iter().skip(1).any(|known| *known == suffix),
        _ => suffix.is_empty(),
    }
}

fn queries(value: &serde_json::Value, found: &mut impl FnMut(&str)) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    serde_json::Value::String(query) if name == "expr" => found(query),
                    value => queries(value, found),
                }
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

/// What `/metrics` answers.
pub fn exposition(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_exports_is_named() {
        let dashboard = r#"{ "panels": [
            { "targets": [{ "expr": "rate(a_sent_total[5m]) / a_cpu + sum by (le) (a_score_bucket)" }] },
            { "panels": [{ "targets": [{ "expr": "a_gone_total + b_other + a_sent" }] }] }
        ] }"#;
        let exposition = "# HELP a_sent x\n# TYPE a_sent counter\n# TYPE a_cpu gauge\n# TYPE a_score histogram\n";
        let missing = missing(dashboard, "a_", exposition).unwrap();
        assert_eq!(missing.into_iter().collect::<Vec<_>>(), ["a_gone_total", "a_sent"]);
        assert!(super::missing(dashboard, "c_", exposition).is_err());
        assert!(super::missing("{", "a_", exposition).is_err());
    }
}
