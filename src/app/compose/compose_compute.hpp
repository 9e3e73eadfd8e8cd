#pragma once

#include <memory>

#include "app/core.hpp"
#include "doors/rest/rest.hpp"
#include "storage/compute/compute.hpp"

namespace strata::app {

// The node's inventory, speed and price.
class ComputePart final : public Part {
 public:
  explicit ComputePart(Core& core);

  storage::compute::Compute& compute() { return compute_; }
  Status start() override;

 private:
  Core& core_;
  storage::compute::Compute compute_;
};

// Builds the part and adds its routes to `rest`. Blocks.
Result<std::unique_ptr<ComputePart>> make_compute_part(Core& core, doors::rest::RestDoor& rest);

}  // namespace strata::app
