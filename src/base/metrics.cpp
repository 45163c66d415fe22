#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>

namespace strata {

struct Metrics::Impl {
  struct Entry {
    std::string name, help;
    MetricLabels labels;
    std::function<double()> read;
    bool counts_up;
  };

  void collect(std::vector<prometheus::MetricFamily>& families);

  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  std::mutex mutex;
  std::map<uint64_t, Entry> readers;  // guarded by mutex
  uint64_t next_id = 0;               // guarded by mutex
};

// Adds one family per name, with the series of all readers of that name.
void Metrics::Impl::collect(std::vector<prometheus::MetricFamily>& families) {
  std::map<std::string, prometheus::MetricFamily> by_name;
  const std::lock_guard lock(mutex);
  for (const auto& [id, entry] : readers) {
    prometheus::MetricFamily& family = by_name[entry.name];
    family.name = entry.name;
    family.help = entry.help;
    family.type = entry.counts_up ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    for (const auto& [label, value] : entry.labels) metric.label.push_back({label, value});
    (entry.counts_up ? metric.counter.value : metric.gauge.value) = entry.read();
  }
  for (auto& [name, family] : by_name) families.push_back(std::move(family));
}

void Counter::add(double amount) { counter_->Increment(amount); }
void Gauge::add(double amount) { gauge_->Increment(amount); }
void Gauge::set(double value) { gauge_->Set(value); }
void Histogram::observe(double value) { histogram_->Observe(value); }

Metrics::Metrics() : impl_(std::make_shared<Impl>()) {}
Metrics::~Metrics() = default;

Counter Metrics::counter(const std::string& name, const std::string& help, const MetricLabels& labels) {
  return Counter(prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(labels));
}

Gauge Metrics::gauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  return Gauge(prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(labels));
}

Histogram Metrics::histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                             const MetricLabels& labels) {
  return Histogram(prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry).Add(labels, bounds));
}

Metrics::Reading Metrics::read_gauge(const std::string& name, const std::string& help, const MetricLabels& labels,
                                     std::function<double()> read) {
  return add_reader(name, help, labels, std::move(read), false);
}

Metrics::Reading Metrics::read_counter(const std::string& name, const std::string& help, const MetricLabels& labels,
                                       std::function<double()> read) {
  return add_reader(name, help, labels, std::move(read), true);
}

Metrics::Reading Metrics::add_reader(const std::string& name, const std::string& help, const MetricLabels& labels,
                                     std::function<double()> read, bool counts_up) {
  const std::lock_guard lock(impl_->mutex);
  const uint64_t id = impl_->next_id++;
  impl_->readers.emplace(id, Impl::Entry{name, help, labels, std::move(read), counts_up});
  return std::make_unique<Reader>(impl_, id);
}

Metrics::Reader::~Reader() {
  const std::lock_guard lock(metrics_->mutex);
  metrics_->readers.erase(id_);
}

std::string Metrics::text() const {
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  impl_->collect(families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace strata
