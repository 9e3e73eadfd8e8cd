#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "platform/external/external.hpp"
#include "platform/predictions/predictions.hpp"

namespace strata::app {

// Adds why and impact to `rest`; predictions are found in `log`, everything else in the lineage
// graph.
void add_lineage(Core& core, doors::rest::RestDoor& rest,
                 platform::predictions::PredictionLog& log);

class ExternalLineagePart final : public Part {
 public:
  explicit ExternalLineagePart(const Core& core)
      : external_({core.records, core.events, core.lineage, core.clock}) {}
  platform::external::ExternalLineage& external() { return external_; }

 private:
  platform::external::ExternalLineage external_;
};

// What runs elsewhere, with the routes by which it is told. Blocks on the records.
Result<std::unique_ptr<ExternalLineagePart>> make_external_lineage_part(
    Core& core, doors::rest::RestDoor& rest);

}  // namespace strata::app
