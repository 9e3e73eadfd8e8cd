#pragma once

#include "engines/duckdb/library.hpp"

namespace strata::engines::duckdb {

// Makes every kernel of platform/expressions a scalar function of SQL, "strata_" and its name: the
// same code that evaluates single rows. To be called before the warehouse is attached, since views
// in it may use them. Errors: kInternal.
Status register_kernels(const Library& library, const Connection& connection);

}  // namespace strata::engines::duckdb
