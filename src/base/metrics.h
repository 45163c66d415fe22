// The process's metrics and their Prometheus text (https://prometheus.io/docs/instrumenting/exposition_formats/).
// Counters, gauges and histograms are made once and then updated from any thread without waiting; values that live
// elsewhere are read at scrape time by a function, which must not wait either. text() never takes a lock that an
// updating thread holds for longer than one addition.
//
// Names follow Prometheus' rules, with the unit in the name. Labels must come from a fixed set (model names, routes,
// status codes), never from a client, or memory would grow with what clients send.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace strata {

using MetricLabels = std::map<std::string, std::string>;

// Handles: copy freely; valid as long as the Metrics they came from.
class Counter {
 public:
  explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
  void add(double amount = 1);

 private:
  prometheus::Counter* counter_;
};

class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  void add(double amount);
  void set(double value);

 private:
  prometheus::Gauge* gauge_;
};

class Histogram {
 public:
  explicit Histogram(prometheus::Histogram& histogram) : histogram_(&histogram) {}
  void observe(double value);

 private:
  prometheus::Histogram* histogram_;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same name and labels give the same series again. Any thread.
  Counter counter(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  // `bounds`: upper bounds of the buckets, ascending.
  Histogram histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                      const MetricLabels& labels = {});

  // `read` is called from the thread that calls text(), until the returned object is destroyed.
  class Reader;
  using Reading = std::unique_ptr<Reader>;
  [[nodiscard]] Reading read_gauge(const std::string& name, const std::string& help, const MetricLabels& labels,
                                   std::function<double()> read);
  [[nodiscard]] Reading read_counter(const std::string& name, const std::string& help, const MetricLabels& labels,
                                     std::function<double()> read);

  std::string text() const;

 private:
  struct Impl;
  Reading add_reader(const std::string& name, const std::string& help, const MetricLabels& labels,
                     std::function<double()> read, bool counts_up);
  std::shared_ptr<Impl> impl_;  // shared: readers that outlive their Metrics may still be destroyed
};

// Ends the reading when destroyed; waits for a scrape that is under way.
class Metrics::Reader {
 public:
  Reader(std::shared_ptr<Impl> metrics, uint64_t id) : metrics_(std::move(metrics)), id_(id) {}
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

 private:
  std::shared_ptr<Impl> metrics_;
  const uint64_t id_;
};

}  // namespace strata
