#pragma once

#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "platform/models/models.hpp"
#include "platform/tracking/tracking.hpp"

namespace strata::doors::mlflow {

// Entities in MLflow's JSON. Infinities become the largest doubles there, as the protocol has it;
// our records keep them.
Json double_json(double value);
Json pairs_json(const std::vector<platform::tracking::KeyValue>& pairs);
Json experiment_json(const platform::tracking::Experiment& experiment);
Json run_info_json(const platform::tracking::RunInfo& info);
Json run_json(const platform::tracking::Run& run);
Json metric_json(const platform::tracking::Metric& metric, bool with_run);
Json logged_model_json(const platform::tracking::LoggedModel& model);
Json model_json(const platform::models::Model& model);
Json version_json(const platform::models::Version& version);
// Entries of a directory; `strip` bytes of each path are the part before what the client shall see.
Json files_json(const std::vector<platform::tracking::ArtifactInfo>& files, std::size_t strip);

template <class T, class F>
Json list_json(const std::vector<T>& all, F encode) {
  Json list = Json::array();
  for (const auto& one : all)
    list.push(encode(one));
  return list;
}

}  // namespace strata::doors::mlflow
