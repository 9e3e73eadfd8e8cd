#include "app/compose/compose_ui.hpp"

#include "doors/ui/ui.hpp"

namespace strata::app {

namespace {

class UiPart final : public Part {
 public:
  std::vector<std::pair<Port, http::Door*>> doors() override { return {{Port::kHttp, &door_}}; }

 private:
  doors::ui::UiDoor door_;
};

}  // namespace

std::unique_ptr<Part> make_ui_part() {
  return std::make_unique<UiPart>();
}

}  // namespace strata::app
