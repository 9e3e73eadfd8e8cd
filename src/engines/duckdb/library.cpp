#include "engines/duckdb/library.hpp"

#include <dlfcn.h>

namespace strata::engines::duckdb {

Result<std::unique_ptr<const Library>> Library::load(const std::string& path) {
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = ::dlerror();
    return not_found("the SQL engine cannot be loaded from '" + path +
                     "': " + (reason != nullptr ? reason : "unknown"));
  }
  auto library = std::make_unique<Library>();
  std::string missing;
#define X(name)                                                                                \
  library->name = reinterpret_cast<decltype(library->name)>(::dlsym(handle, "duckdb_" #name)); \
  if (library->name == nullptr) missing = "duckdb_" #name;
  STRATA_DUCKDB_CALLS(X)
#undef X
  if (!missing.empty()) {
    return Error(Code::kUnsupported,
                 "the SQL engine at '" + path + "' has no " + missing + "; DuckDB 1.5 is needed");
  }
  return std::unique_ptr<const Library>(std::move(library));
}

}  // namespace strata::engines::duckdb
