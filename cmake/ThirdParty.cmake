# Third-party libraries as targets. Debian's come from find_package; the rest lies in build/deps,
# where tools/setup puts what third_party/LOCK names.

set(STRATA_DEPS_DIR ${CMAKE_SOURCE_DIR}/build/deps CACHE PATH "Folder that tools/setup filled")
set(STRATA_ENGINE_LIBRARIES
  ${STRATA_DEPS_DIR}/duckdb/libduckdb.so
  ${STRATA_DEPS_DIR}/onnxruntime/libonnxruntime.so.1
  ${STRATA_DEPS_DIR}/lightgbm/lib_lightgbm.so
  ${STRATA_DEPS_DIR}/xgboost/libxgboost.so
  ${STRATA_DEPS_DIR}/xgboost/libgomp-e985bcbb.so.1.0.0)
foreach(needed ${STRATA_ENGINE_LIBRARIES} ${STRATA_DEPS_DIR}/duckdb/duckdb.h
    ${STRATA_DEPS_DIR}/nanoarrow/nanoarrow/nanoarrow.h)
  if(NOT EXISTS ${needed})
    message(FATAL_ERROR "${needed} is missing. Run: tools/setup deps")
  endif()
endforeach()

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED) # headers only
find_package(OpenSSL 3.0 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(simdjson REQUIRED)
find_package(GTest REQUIRED)
find_package(zstd REQUIRED)
find_package(yaml-cpp REQUIRED)
if(NOT TARGET yaml-cpp::yaml-cpp) # 0.7 gives the name without a namespace
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()
find_library(RE2_LIBRARY re2 REQUIRED) # Debian's has no CMake package
find_path(RE2_INCLUDE_DIR re2/re2.h REQUIRED)
add_library(re2::re2 UNKNOWN IMPORTED)
set_target_properties(re2::re2 PROPERTIES IMPORTED_LOCATION ${RE2_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${RE2_INCLUDE_DIR})
if(NOT TARGET zstd::zstd)
  add_library(zstd::zstd ALIAS zstd::libzstd_shared)
endif()

find_path(NGHTTP2_INCLUDE_DIR nghttp2/nghttp2.h REQUIRED)
find_library(NGHTTP2_LIBRARY nghttp2 REQUIRED)
add_library(nghttp2 SHARED IMPORTED)
set_target_properties(nghttp2 PROPERTIES IMPORTED_LOCATION ${NGHTTP2_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${NGHTTP2_INCLUDE_DIR})

# Its declarations only: the process that needs the library opens it when it does.
add_library(duckdb_headers INTERFACE)
target_include_directories(duckdb_headers SYSTEM INTERFACE ${STRATA_DEPS_DIR}/duckdb)
add_library(duckdb::duckdb ALIAS duckdb_headers)

# Arrow in memory and Arrow IPC, from source; its configuration header is made as its build does it.
set(nanoarrow_dir ${STRATA_DEPS_DIR}/nanoarrow)
set(nanoarrow_generated ${CMAKE_BINARY_DIR}/third_party/nanoarrow)
file(STRINGS ${CMAKE_SOURCE_DIR}/third_party/LOCK pin REGEX "^package = \"nanoarrow==")
string(REGEX MATCH "([0-9]+)\\.([0-9]+)\\.([0-9]+)" NANOARROW_VERSION "${pin}")
set(NANOARROW_VERSION_MAJOR ${CMAKE_MATCH_1})
set(NANOARROW_VERSION_MINOR ${CMAKE_MATCH_2})
set(NANOARROW_VERSION_PATCH ${CMAKE_MATCH_3})
set(NANOARROW_NAMESPACE_DEFINE "")
configure_file(${nanoarrow_dir}/nanoarrow/nanoarrow_config.h.in
  ${nanoarrow_generated}/nanoarrow/nanoarrow_config.h @ONLY)
file(GLOB nanoarrow_sources CONFIGURE_DEPENDS ${nanoarrow_dir}/nanoarrow/common/*.c
  ${nanoarrow_dir}/nanoarrow/ipc/*.c)
set(flatcc_sources ${nanoarrow_dir}/flatcc/src/runtime)
list(APPEND nanoarrow_sources ${flatcc_sources}/builder.c ${flatcc_sources}/emitter.c
  ${flatcc_sources}/refmap.c ${flatcc_sources}/verifier.c)
add_library(nanoarrow STATIC ${nanoarrow_sources})
target_include_directories(nanoarrow SYSTEM PUBLIC ${nanoarrow_dir} ${nanoarrow_generated}
  PRIVATE ${nanoarrow_dir}/flatcc/include)
target_compile_definitions(nanoarrow PRIVATE NANOARROW_IPC_WITH_ZSTD)
target_compile_options(nanoarrow PRIVATE -w)
target_link_libraries(nanoarrow PRIVATE zstd::zstd)
if(STRATA_SANITIZE MATCHES "undefined") # its hashing and flat buffers read unaligned on purpose
  target_compile_options(nanoarrow PRIVATE -fno-sanitize=undefined)
endif()

# The engines lie in lib/strata beside the binary, or in ../lib/strata once installed.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/lib/strata)
foreach(library ${STRATA_ENGINE_LIBRARIES})
  get_filename_component(name ${library} NAME)
  file(CREATE_LINK ${library} ${CMAKE_BINARY_DIR}/lib/strata/${name} SYMBOLIC)
endforeach()
install(FILES ${STRATA_ENGINE_LIBRARIES} DESTINATION lib/strata)
