#include "runtime/dynamic_library.hpp"

#include <dlfcn.h>

namespace strata {

Result<DynamicLibrary> DynamicLibrary::open(const std::string& name) {
  void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return DynamicLibrary(handle);
  const char* reason = ::dlerror();
  return not_found("the library '" + name +
                   "' cannot be opened: " + (reason != nullptr ? reason : "unknown"));
}

void* DynamicLibrary::symbol(const char* name) const {
  return ::dlsym(handle_, name);
}

}  // namespace strata
