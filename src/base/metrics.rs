//! Numbers about the running program, in Prometheus' words. The one home of `prometheus_client`.
//!
//! Whoever counts owns its counters; the registry is shown them once and reads them when asked.
//! Labels come from fixed sets of words: never a raw path, an openid or an order number.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Metric, Registry as Inner};

/// What starts every name.
const PREFIX: &str = "zhanggui";

/// The content type of [`Registry::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What tells the members of a family apart.
pub type Labels = Vec<(&'static str, &'static str)>;

/// A number that only grows.
pub type Counter = prometheus_client::metrics::counter::Counter;

/// A number as it is now.
pub type Gauge = prometheus_client::metrics::gauge::Gauge;

/// Counters by label.
pub type Counters = Family<Labels, Counter>;

/// Gauges by label.
pub type Gauges = Family<Labels, Gauge>;

/// Timings by label.
pub type Timings = Family<Labels, Timing>;

/// How long things took, told in seconds.
#[derive(Clone, Debug)]
pub struct Timing(Histogram);

impl Default for Timing {
    fn default() -> Self {
        Self(Histogram::new([
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            25.0,
        ]))
    }
}

impl Timing {
    /// Counts one thing that took `span`.
    pub fn took(&self, span: Duration) {
        self.0.observe(span.as_secs_f64());
    }
}

impl EncodeMetric for Timing {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Timing {
    const TYPE: MetricType = MetricType::Histogram;
}

/// How many there were at a time: 1 to 64.
#[derive(Clone, Debug)]
pub struct Sizes(Histogram);

impl Default for Sizes {
    fn default() -> Self {
        Self(Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]))
    }
}

impl Sizes {
    /// Counts one group of `count`.
    pub fn held(&self, count: usize) {
        self.0
            .observe(u32::try_from(count).unwrap_or(u32::MAX).into());
    }
}

impl EncodeMetric for Sizes {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Counts one more, or one fewer once it is dropped.
#[derive(Debug)]
pub struct Present(Gauge);

impl Present {
    /// One more in `gauge`, for as long as this lives.
    pub fn among(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// All that is told.
#[derive(Debug)]
pub struct Registry(Inner);

impl Default for Registry {
    fn default() -> Self {
        Self(Inner::with_prefix(PREFIX))
    }
}

impl Registry {
    /// Tells of `metric` as `zhanggui_<name>`; a counter's name gets `_total` at its end, and
    /// `help` a full stop.
    pub fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: &M) {
        self.0.register(name, help, metric.clone());
    }

    /// Tells words that never change, as `zhanggui_<name>_info`.
    pub fn add_words(&mut self, name: &str, help: &str, words: Labels) {
        self.0.register(name, help, Info::new(words));
    }

    /// Everything, one line a number.
    pub fn text(&self) -> String {
        let mut told = String::with_capacity(64 * 1024);
        text::encode(&mut told, &self.0).expect("writing into a String does not fail");
        told
    }
}

/// The member of `family` under these labels.
pub fn member<M>(family: &Family<Labels, M>, labels: &[(&'static str, &'static str)]) -> M
where
    M: Clone + Default,
{
    family.get_or_create_owned(&labels.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_under_its_name_with_its_help_and_labels() {
        let (mut registry, calls, open) =
            (Registry::default(), Counters::default(), Gauge::default());
        registry.add("calls", "Calls", &calls);
        registry.add("open", "Open now", &open);
        registry.add_words("build", "Build", vec![("version", "1")]);
        member(&calls, &[("result", "ok")]).inc_by(3);
        let one = Present::among(&open);
        let told = registry.text();
        for line in [
            "# HELP zhanggui_calls Calls.",
            "# TYPE zhanggui_calls counter",
            "zhanggui_calls_total{result=\"ok\"} 3",
            "zhanggui_open 1",
            "zhanggui_build_info{version=\"1\"} 1",
        ] {
            assert!(
                told.lines().any(|told| told == line),
                "{line} is not in\n{told}"
            );
        }
        drop(one);
        assert!(registry.text().contains("zhanggui_open 0\n"));
    }

    #[test]
    fn a_span_falls_into_every_bucket_that_is_not_shorter() {
        let (mut registry, timing, sizes) =
            (Registry::default(), Timing::default(), Sizes::default());
        registry.add("wait_seconds", "Wait", &timing);
        registry.add("group", "Group", &sizes);
        timing.took(Duration::from_millis(30));
        sizes.held(5);
        let told = registry.text();
        for line in [
            "zhanggui_wait_seconds_bucket{le=\"0.025\"} 0",
            "zhanggui_wait_seconds_bucket{le=\"0.05\"} 1",
            "zhanggui_wait_seconds_count 1",
            "zhanggui_wait_seconds_sum 0.03",
            "zhanggui_group_bucket{le=\"4.0\"} 0",
            "zhanggui_group_bucket{le=\"8.0\"} 1",
        ] {
            assert!(
                told.lines().any(|told| told == line),
                "{line} is not in\n{told}"
            );
        }
    }
}
