#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "engines/python/fleet.hpp"
#include "runtime/clock.hpp"
#include "runtime/pool.hpp"

namespace strata::engines::python {

// The thread that looks after the processes of all models. They are its children and end with it,
// also when the server is killed. Threads: all methods from any.
class Keeper {
 public:
  explicit Keeper(const Clock& clock);
  // Ends all processes and waits for that, for a bounded time.
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // It is kept until it is closed and its processes are gone.
  void add(std::shared_ptr<Fleet> fleet);
  void wake() { bell_->ring(); }
  // Outlives the keeper in the hands of those who ring it.
  class Bell {
   public:
    Bell();
    ~Bell();
    Bell(const Bell&) = delete;
    void ring() const;
    void silence() const;
    int descriptor() const { return descriptor_; }

   private:
    int descriptor_;
  };
  std::shared_ptr<const Bell> bell() const { return bell_; }

 private:
  void work();
  std::vector<std::shared_ptr<Fleet>> fleets();

  const Clock& clock_;
  const std::shared_ptr<const Bell> bell_ = std::make_shared<const Bell>();
  std::mutex mutex_;
  std::vector<std::shared_ptr<Fleet>> fleets_;
  std::atomic<bool> stopping_{false};
  BlockingPool thread_{1};
};

}  // namespace strata::engines::python
