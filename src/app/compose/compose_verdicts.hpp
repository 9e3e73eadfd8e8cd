#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "platform/comparison/comparison.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/external/external.hpp"
#include "platform/models/models.hpp"
#include "platform/signing/signing.hpp"
#include "platform/tracking/tracking.hpp"
#include "platform/verdicts/verdicts.hpp"
#include "resources/workflow/workflow.hpp"
#include "storage/lake/lake.hpp"

namespace strata::app {

class VerdictsPart final : public Part {
 public:
  VerdictsPart(Core& core, platform::verdicts::Verdicts::Ports ports,
               std::unique_ptr<platform::signing::Signatures> signatures)
      : core_(core),
        signatures_(std::move(signatures)),
        verdicts_(ports),
        comparison_({ports.models, ports.tracking, ports.lineage, verdicts_}) {}
  platform::comparison::Comparison& comparison() { return comparison_; }
  platform::verdicts::Verdicts& verdicts() { return verdicts_; }
  Status start() override { return verdicts_.start(); }
  void stop() override {
    core_.scope.request_stop();
    core_.events.changed().notify_all();  // wakes the watch, which then sees that it shall end
  }

 private:
  Core& core_;
  std::unique_ptr<platform::signing::Signatures> signatures_;
  platform::verdicts::Verdicts verdicts_;
  platform::comparison::Comparison comparison_;
};

// The five questions about models, with their route. Blocks on the records.
Result<std::unique_ptr<VerdictsPart>> make_verdicts_part(
    Core& core, doors::rest::RestDoor& rest, storage::lake::Lake& lake,
    resources::workflow::Workflows& flows, platform::tracking::Tracking& tracking,
    platform::models::Models& models, std::unique_ptr<platform::signing::Signatures> signatures,
    platform::deployment::Endpoints& endpoints, platform::external::ExternalLineage& external);

}  // namespace strata::app
