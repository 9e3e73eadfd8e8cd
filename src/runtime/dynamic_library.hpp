#pragma once

#include <string>

#include "base/result.hpp"

namespace strata {

// A shared library opened while the program runs, for what may or may not be installed. Stays open
// until the process ends, because threads and statics of such libraries rarely survive being
// unloaded.
class DynamicLibrary {
 public:
  // Blocks for reading it. Errors: kNotFound with the loader's reason.
  static Result<DynamicLibrary> open(const std::string& name);
  // The function `name` as a pointer of type F, or null.
  template <class F>
  F* function(const char* name) const {
    return reinterpret_cast<F*>(symbol(name));
  }

 private:
  explicit DynamicLibrary(void* handle) : handle_(handle) {}
  void* symbol(const char* name) const;
  void* handle_;
};

}  // namespace strata
