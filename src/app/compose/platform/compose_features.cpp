#include "app/compose/platform/compose_features.hpp"

#include "doors/feast/feast.hpp"
#include "doors/features/feature_routes.hpp"
#include "engines/rocksdb/rocksdb_state_store.hpp"
#include "platform/features/features.hpp"

namespace strata::app {

namespace {

using platform::features::Features;
using platform::streams::Streams;

class FeaturesPart final : public Part {
 public:
  explicit FeaturesPart(Core& core)
      : streams_(Streams::Ports{core.files, core.clock, core.pool,
                                &engines::rocksdb::open_state_store,
                                core.paths.data + "/features"}),
        features_(Features::Ports{core.records, core.audit, core.events, core.lineage, core.clock,
                                  streams_, core.pool}),
        feast_(features_) {}
  Features& features() { return features_; }
  std::vector<std::pair<Port, http::Door*>> doors() override { return {{Port::kHttp, &feast_}}; }
  void stop() override { streams_.stop(); }

 private:
  Streams streams_;
  Features features_;
  doors::feast::FeastDoor feast_;
};

}  // namespace

Result<std::unique_ptr<Part>> make_features_part(Core& core, doors::rest::RestDoor& rest) {
  STRATA_TRY(core.records.migrate(Features::migrations()));
  auto part = std::make_unique<FeaturesPart>(core);
  STRATA_TRY(part->features().load());
  STRATA_TRY(part->features().start());
  rest.add(doors::features::definition_routes(part->features(), &doors::rest::error_response));
  rest.add(doors::features::online_routes(part->features(), &doors::rest::error_response));
  return std::unique_ptr<Part>(std::move(part));
}

}  // namespace strata::app
