//! `[tracing]`: where spans are shipped. Consumed by `telemetry` and by the actor that ships them.

use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::rule::{Raw, Refusal, Rule, optional_web_url, seconds, share};
use super::section::{Literal, section};

section! {
    /// Traces, shipped to an OpenTelemetry collector. Off unless `otlp_url` is set. The ids of traces are in the log either
    /// way.
    TracingSettings = "tracing" {
        /// Where spans are shipped by OTLP over HTTP, as Protobuf: the address of the collector, as
        /// "http://127.0.0.1:4318", to which `/v1/traces` is added where it is not there. "" ships nothing.
        "otlp_url" => otlp_url: Option<Url> = "", optional_web_url();

        /// Headers that the collector wants, as "name=value" with commas between; in values, what is not plain is written
        /// as in URLs (`%20`). A secret: better given by the environment than in a file.
        "otlp_headers" => otlp_headers: OtlpHeaders = "", otlp_headers();

        /// Which share of the traces that begin here is recorded. One that a caller began is recorded if the caller
        /// records it.
        "sample_ratio" => sample_ratio: f64 = 1.0, share();

        /// How long shipping a batch may take, in seconds.
        "timeout_s" => timeout: Duration = 10, seconds(0.1..=60.0);
    }
}

/// Headers by name and value. Neither `Debug` nor `config print` shows the values.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OtlpHeaders(Vec<(String, String)>);

impl OtlpHeaders {
    /// For whoever sends them. Never log a value.
    pub fn reveal(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for OtlpHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Headers, as `OTEL_EXPORTER_OTLP_HEADERS` writes them elsewhere.
fn otlp_headers() -> OtlpHeadersRule {
    OtlpHeadersRule
}

struct OtlpHeadersRule;

/// Set by whoever sends them.
const RESERVED: [&str; 6] =
    ["host", "content-length", "content-type", "connection", "transfer-encoding", "te"];

impl Rule for OtlpHeadersRule {
    type Out = OtlpHeaders;

    fn parse(&self, raw: &Raw) -> Result<OtlpHeaders, Refusal> {
        let mut headers = Vec::<(String, String)>::new();
        for pair in raw.text()?.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or("has a part without =")?;
            let name = name.trim().to_ascii_lowercase();
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if name.is_empty() || !name.bytes().all(token) {
                return Err("has a name that no header can have".to_owned());
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(format!("names {name}, which is set by the daemon itself"));
            }
            if headers.iter().any(|(known, _)| *known == name) {
                return Err(format!("names {name} twice"));
            }
            let value = percent_decode_str(value.trim()).decode_utf8();
            let value = value.map_err(|_| format!("has a value for {name} that is no text"))?;
            if !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
                return Err(format!("has a value for {name} with characters that no header can have"));
            }
            headers.push((name, value.into_owned()));
        }
        Ok(OtlpHeaders(headers))
    }

    fn allowed(&self) -> String {
        "\"name=value\" with commas between, or \"\"".to_owned()
    }

    fn show(&self, value: &OtlpHeaders) -> Literal {
        let names: Vec<String> = value.0.iter().map(|(name, _)| format!("{name}=***")).collect();
        Literal::Text(names.join(","))
    }

    fn is_secret(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_elsewhere_and_their_values_never_shown() {
        let read = |text: &str| OtlpHeadersRule.parse(&Raw::Text(text.to_owned()));
        let headers = read("Authorization=Bearer%20hush, x-team = a=b ,").unwrap();
        let revealed: Vec<_> = headers.reveal().collect();
        assert_eq!(revealed, [("authorization", "Bearer hush"), ("x-team", "a=b")]);
        assert_eq!(OtlpHeadersRule.show(&headers), Literal::Text("authorization=***,x-team=***".to_owned()));
        assert!(!format!("{headers:?}").contains("hush"));
        for (text, reason) in [
            ("hush", "without ="),
            ("a b=hush", "a name that no header can have"),
            ("=hush", "a name that no header can have"),
            ("host=hush", "names host, which is set"),
            ("a=hush,A=hush", "names a twice"),
            ("a=hush%0d%0ab:c", "characters that no header can have"),
            ("a=hush%ff", "is no text"),
        ] {
            let refusal = read(text).unwrap_err();
            assert!(refusal.contains(reason) && !refusal.contains("hush"), "{text}: {refusal}");
        }
    }
}
