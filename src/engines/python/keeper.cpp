#include "engines/python/keeper.hpp"

#include <algorithm>

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace strata::engines::python {

namespace {

constexpr std::chrono::seconds kPartingTime{3};

}  // namespace

Keeper::Bell::Bell() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Keeper::Bell::~Bell() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Keeper::Bell::ring() const {
  // It is full only when it rings already.
  [[maybe_unused]] const int rung = ::eventfd_write(descriptor_, 1);
}

void Keeper::Bell::silence() const {
  eventfd_t rung = 0;
  // Empty is as good.
  [[maybe_unused]] const int read = ::eventfd_read(descriptor_, &rung);
}

Keeper::Keeper(const Clock& clock) : clock_(clock) {
  thread_.submit([this] { work(); });
}

Keeper::~Keeper() {
  stopping_.store(true);
  bell_->ring();
  thread_.stop();
}

void Keeper::add(std::shared_ptr<Fleet> fleet) {
  {
    const std::lock_guard lock(mutex_);
    fleets_.push_back(std::move(fleet));
  }
  bell_->ring();
}

std::vector<std::shared_ptr<Fleet>> Keeper::fleets() {
  const std::lock_guard lock(mutex_);
  std::erase_if(fleets_, [](const auto& fleet) { return fleet->gone(); });
  return fleets_;
}

void Keeper::work() {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::optional<Staffing::Time> last;  // when it gives up waiting for processes to end
  std::vector<pollfd> watch;
  while (true) {
    bell_->silence();
    const auto kept = fleets();
    if (stopping_.load() && !last) {
      last = clock_.steady() + kPartingTime;
      for (const auto& fleet : kept)
        fleet->close();
    }
    if (last && (kept.empty() || clock_.steady() >= *last)) return;
    watch.assign(1, {bell_->descriptor(), POLLIN, 0});
    std::optional<Staffing::Time> next = last;
    for (const auto& fleet : kept) {
      const auto when = fleet->turn(watch);
      if (when) next = next ? std::min(*next, *when) : *when;
      if (fleet->gone()) next = clock_.steady();  // to let go of it
    }
    int limit = -1;
    if (next) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(*next - clock_.steady()).count();
      limit = static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
    }
    // Whatever wakes it, it looks at everything again.
    [[maybe_unused]] const int ready = ::poll(watch.data(), watch.size(), limit);
  }
}

}  // namespace strata::engines::python
