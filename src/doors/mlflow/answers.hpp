#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/json.hpp"
#include "base/result.hpp"
#include "doors/mlflow/encode.hpp"
#include "runtime/task.hpp"

namespace strata::doors::mlflow {

using Answer = Task<Result<Json>>;

// The answers that most calls have, from what one call of a service gave; its error is handed on.

// {}
inline Answer empty_answer(Task<Status> asked) {
  STRATA_CO_TRY(co_await std::move(asked));
  co_return Json::object();
}

// {KEY: one}.
template <class T, class F>
Answer one_answer(std::string_view key, F encode, Task<Result<T>> asked) {
  auto one = co_await std::move(asked);
  if (!one) co_return std::move(one).error();
  co_return Json::object({{std::string(key), encode(*one)}});
}

// {KEY: [...]}
template <class T, class F>
Answer list_answer(std::string_view key, F encode, Task<Result<T>> asked) {
  auto all = co_await std::move(asked);
  if (!all) co_return std::move(all).error();
  co_return Json::object({{std::string(key), list_json(*all, encode)}});
}

// {KEY: [...], "next_page_token": "..."}
template <class Page, class F>
Answer page_answer(std::string_view key, F encode, Task<Result<Page>> asked) {
  auto page = co_await std::move(asked);
  if (!page) co_return std::move(page).error();
  Json answer = Json::object({{std::string(key), list_json(page->items, encode)}});
  if (!page->next_page_token.empty()) answer.set("next_page_token", Json(page->next_page_token));
  co_return answer;
}

}  // namespace strata::doors::mlflow
