#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What tracking remembers, in MLflow's terms. Times are milliseconds since 1970, as its clients
// send them.
namespace strata::platform::tracking {

struct KeyValue {
  std::string key;
  std::string value;
  bool operator==(const KeyValue&) const = default;
};

enum class View : std::uint8_t { kActive, kDeleted, kAll };

struct Experiment {
  std::string id;  // a decimal number; "0" is the default experiment of every project
  std::string name;
  std::string artifact_location;
  bool deleted = false;
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::vector<KeyValue> tags;
};

struct RunInfo {
  std::string id;  // 32 hexadecimal digits
  std::string name;
  std::string experiment_id;
  std::string user_id;  // as the client says
  std::string owner;    // the authenticated user
  std::string status;   // RUNNING, SCHEDULED, FINISHED, FAILED or KILLED
  std::int64_t start_ms = 0;
  std::optional<std::int64_t> end_ms;
  std::string artifact_uri;
  bool deleted = false;
};

// One measurement. Two points that agree in step, time and all bits of the value are one.
struct Metric {
  std::string key;
  double value = 0;
  std::int64_t timestamp_ms = 0;
  std::int64_t step = 0;
  std::string model_id;  // the logged model it was measured on, if any
  std::string dataset_name;
  std::string dataset_digest;
  std::string run_id;
};

struct Dataset {
  std::string name;
  std::string digest;  // the client's own short digest
  std::string source_type;
  std::string source;
  std::string schema;
  std::string profile;
};

struct DatasetInput {
  Dataset dataset;
  std::vector<KeyValue> tags;  // "mlflow.data.context" says what it served for
};

struct ModelOutput {
  std::string model_id;
  std::int64_t step = 0;
};

struct Run {
  RunInfo info;
  std::vector<Metric> metrics;  // the latest of each key: greatest step, then time, then value
  std::vector<KeyValue> params;
  std::vector<KeyValue> tags;
  std::vector<DatasetInput> dataset_inputs;
  std::vector<std::string> model_inputs;
  std::vector<ModelOutput> model_outputs;
};

struct DatasetSummary {
  std::string experiment_id;
  std::string name;
  std::string digest;
  std::string context;
};

struct LoggedModel {
  std::string id;  // "m-" and 32 hexadecimal digits
  std::string experiment_id;
  std::string name;
  std::string model_type;
  std::string status;  // PENDING, READY or FAILED
  std::string source_run_id;
  std::string artifact_uri;
  std::string owner;
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::vector<KeyValue> tags;
  std::vector<KeyValue> params;
  std::vector<Metric> metrics;  // the latest per key, run and dataset
};

template <class T>
struct Page {
  std::vector<T> items;
  std::string next_page_token;  // empty at the end
};

struct RunDraft {
  std::string experiment_id;
  std::string user_id;
  std::string name;
  std::optional<std::int64_t> start_ms;
  std::vector<KeyValue> tags;
};

struct RunUpdate {
  std::optional<std::string> status;
  std::optional<std::int64_t> end_ms;
  std::string name;
};

struct Batch {
  std::vector<Metric> metrics;
  std::vector<KeyValue> params;
  std::vector<KeyValue> tags;
};

struct SearchRequest {
  std::vector<std::string> experiment_ids;  // not for experiments
  std::string filter;
  std::vector<std::string> order_by;
  View view = View::kActive;
  std::int64_t max_results = 1000;
  std::string page_token;
};

struct LoggedModelDraft {
  std::string experiment_id;
  std::string name;
  std::string model_type;
  std::string source_run_id;
  std::vector<KeyValue> params;
  std::vector<KeyValue> tags;
};

// One dataset that metrics of a logged model were measured on; an empty digest fits every state of
// it.
struct DatasetScope {
  std::string name;
  std::string digest;
};

struct LoggedModelOrder {
  std::string field;
  bool ascending = true;
  DatasetScope dataset;
};

struct LoggedModelSearch {
  std::vector<std::string> experiment_ids;
  std::string filter;
  std::vector<DatasetScope> datasets;
  std::vector<LoggedModelOrder> order_by;
  std::int64_t max_results = 50;
  std::string page_token;
};

}  // namespace strata::platform::tracking
