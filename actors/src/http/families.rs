//! The text of a scrape, family by family: a name, its help, and a value for each set of labels.

use std::borrow::Cow;
use std::fmt::Result;

use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// The labels of one value.
pub(super) type Labels<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// Writes families.
pub(super) struct Families<'e>(pub(super) DescriptorEncoder<'e>);

impl Families<'_> {
    /// Values that go up and down.
    pub(super) fn gauges<'a, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a>, V)>,
    ) -> Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            match labels.is_empty() {
                true => family.encode_gauge(&value)?,
                false => family.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    /// Values that only grow; `_total` is put behind the name.
    pub(super) fn counters<'a, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a>, V)>,
    ) -> Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            match labels.is_empty() {
                true => family.encode_counter::<NoLabelSet, _, f64>(&value, None)?,
                false => {
                    let mut labelled = family.encode_family(&labels)?;
                    labelled.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
                }
            }
        }
        Ok(())
    }

    /// A distribution: its sum, and how many there are in each class up to an end; the last one has none.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        labels: &Labels<'_>,
        sum: f64,
        classes: impl IntoIterator<Item = (f64, u64)>,
    ) -> Result {
        let classes: Vec<_> = classes.into_iter().collect();
        let count = classes.iter().map(|(_, number)| number).sum();
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        if labels.is_empty() {
            return family.encode_histogram::<NoLabelSet>(sum, count, &classes, None);
        }
        let mut labelled = family.encode_family(labels)?;
        labelled.encode_histogram::<NoLabelSet>(sum, count, &classes, None)
    }
}

impl Families<'_> {
    /// Several distributions of one name, each with its labels, its sum and its classes.
    pub(super) fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a>, f64, Vec<(f64, u64)>)>,
    ) -> Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, sum, classes) in values {
            let count = classes.iter().map(|(_, number)| number).sum();
            let mut labelled = family.encode_family(&labels)?;
            labelled.encode_histogram::<NoLabelSet>(sum, count, &classes, None)?;
        }
        Ok(())
    }
}

/// The ends of classes in another unit, with an infinite one behind them, each with its number.
pub(super) fn classes<'a>(
    ends: &'a [u64],
    scale: f64,
    numbers: &'a [u64],
) -> impl Iterator<Item = (f64, u64)> + use<'a> {
    let ends = ends.iter().map(move |end| *end as f64 * scale);
    ends.chain([f64::INFINITY]).zip(numbers.iter().copied())
}
