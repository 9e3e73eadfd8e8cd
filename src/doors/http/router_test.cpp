#include "doors/http/router.hpp"

#include <gtest/gtest.h>

namespace strata::http {
namespace {

struct Row {
  Method method;
  std::string pattern;
  std::string when_query = {};
  std::string when_header = {};
};

// A door of rows without handlers; a route is told from others by its place in the table.
class TableDoor final : public Door {
 public:
  explicit TableDoor(std::vector<Row> rows, bool for_browsers = false)
      : rows_(std::move(rows)),
        for_browsers_(for_browsers) {}
  bool for_browsers() const override { return for_browsers_; }
  std::string_view protocol() const override { return "a table"; }
  Response error(const Error& error, const Request&) const override {
    return Response::text(status_of(error.code), error.message);
  }
  std::vector<Route> routes() override {
    std::vector<Route> out;
    for (const auto& row : rows_) {
      Route route(row.method, row.pattern, kernel::Permission::kPublic, {}, nullptr);
      route.when_query = row.when_query;
      route.when_header = row.when_header;
      out.push_back(std::move(route));
    }
    return out;
  }

 private:
  std::vector<Row> rows_;
  bool for_browsers_;
};

Request request_for(std::string path, const std::string& accept = "") {
  Request request;
  request.method = Method::kGet;
  request.path = std::move(path);
  if (!accept.empty()) request.headers.set("Accept", accept);
  return request;
}

struct Table {
  explicit Table(std::vector<Row> rows) : door(std::move(rows)) { added = router.add(door); }

  Result<Match> match(const Request& request) const { return router.match(request); }
  Result<Match> match(Method method, std::string path, Pairs query = {}) const {
    Request request;
    request.method = method;
    request.path = std::move(path);
    request.query = std::move(query);
    return router.match(request);
  }
  // The pattern that a GET of `path` finds, or "" when none.
  std::string pattern_of(std::string path) const {
    const auto found = match(Method::kGet, std::move(path));
    return found ? found->bound->route.pattern : "";
  }
  std::string allowed(Method method, std::string path) const {
    const auto found = match(method, std::move(path));
    return !found && found.error().code == Code::kMethodNotAllowed ? found.error().field : "";
  }

  TableDoor door;
  Router router;
  Status added;
};

TEST(Router, Finds_literal_paths_exactly) {
  const Table table({{Method::kGet, "/"}, {Method::kGet, "/a"}, {Method::kGet, "/a/b"}});
  EXPECT_EQ(table.pattern_of("/"), "/");
  EXPECT_EQ(table.pattern_of("/a"), "/a");
  EXPECT_EQ(table.pattern_of("/a/b"), "/a/b");
  for (const char* other : {"/A", "/a/", "/a/b/", "//a", "/a//b", "/ab", "/a/b/c", "/%61"})
    EXPECT_EQ(table.match(Method::kGet, other).error().code, Code::kNotFound) << other;
}

TEST(Router, A_slash_at_the_end_is_another_path) {
  const Table table({{Method::kGet, "/{bucket}"}, {Method::kPut, "/{bucket}/"}});
  EXPECT_EQ(table.pattern_of("/b"), "/{bucket}");
  EXPECT_EQ(table.allowed(Method::kGet, "/b/"), "PUT");
  EXPECT_EQ(table.match(Method::kPut, "/b/")->params, (Pairs{{"bucket", "b"}}));
}

TEST(Router, Gives_parameters_by_name_and_decodes_them_once) {
  const Table table({{Method::kGet, "/m/{name}/v/{version}"}});
  const auto found = table.match(Method::kGet, "/m/a%20b%252Fc+d/v/%C3%A4");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->params, (Pairs{{"name", "a b%2Fc+d"}, {"version", "\xC3\xA4"}}));
}

TEST(Router, A_parameter_is_one_segment_and_never_empty) {
  const Table table({{Method::kGet, "/m/{name}"}});
  EXPECT_EQ(table.pattern_of("/m/"), "");
  EXPECT_EQ(table.pattern_of("/m"), "");
  EXPECT_EQ(table.pattern_of("/m/a/b"), "");
  // An encoded slash is part of the segment.
  EXPECT_EQ(table.match(Method::kGet, "/m/a%2Fb")->params, (Pairs{{"name", "a/b"}}));
}

TEST(Router, The_rest_holds_slashes_and_is_never_empty) {
  const Table table({{Method::kGet, "/{bucket}/{key+}"}});
  const auto key_of = [&](const char* path) {
    const auto found = table.match(Method::kGet, path);
    return found ? found->params.back().second : "(none)";
  };
  EXPECT_EQ(key_of("/b/k"), "k");
  EXPECT_EQ(key_of("/b/a/b%2Fc/"), "a/b/c/");
  EXPECT_EQ(key_of("/b//a"), "/a");
  EXPECT_EQ(key_of("/b//"), "/");
  EXPECT_EQ(key_of("/b/../x"), "../x");
  EXPECT_EQ(key_of("/b/"), "(none)");
  EXPECT_EQ(key_of("/b"), "(none)");
  EXPECT_EQ(key_of("//k"), "(none)");
}

TEST(Router, Refuses_broken_escapes_and_NUL_bytes) {
  const Table table({{Method::kGet, "/m/{name}"}, {Method::kGet, "/f/{path+}"}});
  for (const char* bad : {"/m/%", "/m/%4", "/m/%zz", "/m/a%00b", "/f/a/%00", "/f/a/%2"})
    EXPECT_EQ(table.match(Method::kGet, bad).error().code, Code::kMalformed) << bad;
}

TEST(Router, A_literal_goes_before_a_parameter_and_that_before_the_rest) {
  // Registered from wide to narrow: the order of the table does not matter.
  const Table table({{Method::kGet, "/{path+}"},
                     {Method::kGet, "/m/{name}"},
                     {Method::kGet, "/m/{name}/files"},
                     {Method::kGet, "/m/search"}});
  EXPECT_EQ(table.pattern_of("/m/search"), "/m/search");
  EXPECT_EQ(table.pattern_of("/m/other"), "/m/{name}");
  EXPECT_EQ(table.pattern_of("/m/search/files"), "/m/{name}/files");
  EXPECT_EQ(table.pattern_of("/m/search/more"), "/{path+}");
  EXPECT_EQ(table.match(Method::kGet, "/m/search/more")->params,
            (Pairs{{"path", "m/search/more"}}));
}

TEST(Router, A_wider_pattern_answers_methods_that_a_narrower_one_lacks) {
  const Table table({{Method::kPost, "/m/search"}, {Method::kGet, "/m/{name}"}});
  EXPECT_EQ(table.pattern_of("/m/search"), "/m/{name}");
  EXPECT_EQ(table.match(Method::kPost, "/m/search")->bound->route.pattern, "/m/search");
  EXPECT_EQ(table.allowed(Method::kPost, "/m/other"), "GET");
  EXPECT_EQ(table.allowed(Method::kDelete, "/m/search"), "GET, POST");
}

TEST(Router, HEAD_takes_its_own_route_or_that_of_GET) {
  const Table table(
      {{Method::kGet, "/a"}, {Method::kGet, "/b"}, {Method::kHead, "/b"}, {Method::kPut, "/c"}});
  EXPECT_EQ(table.match(Method::kHead, "/a")->bound->route.method, Method::kGet);
  EXPECT_EQ(table.match(Method::kHead, "/b")->bound->route.method, Method::kHead);
  EXPECT_EQ(table.allowed(Method::kHead, "/c"), "PUT");
}

TEST(Router, A_wrong_method_names_all_that_the_path_has) {
  const Table table({{Method::kPut, "/{b}/{k+}"},
                     {Method::kGet, "/{b}/{k+}"},
                     {Method::kDelete, "/x/y"},
                     {Method::kPost, "/{b}/{k+}", "uploads"}});
  EXPECT_EQ(table.allowed(Method::kPatch, "/x/y"), "DELETE, GET, POST, PUT");
  EXPECT_EQ(table.allowed(Method::kPatch, "/x/z"), "GET, POST, PUT");
}

TEST(Router, Routes_with_conditions_go_before_the_one_that_takes_the_rest) {
  const Table table({{Method::kPut, "/{b}/{k+}"},
                     {Method::kPut, "/{b}/{k+}", "", "x-copy"},
                     {Method::kPut, "/{b}/{k+}", "uploadId"},
                     {Method::kPut, "/{b}/{k+}", "uploadId", "x-copy"}});
  Request request;
  request.method = Method::kPut;
  request.path = "/b/k";
  EXPECT_EQ(table.match(request)->bound->index, 0U);
  request.headers.set("X-Copy", "src");
  EXPECT_EQ(table.match(request)->bound->index, 1U);
  request.query = {{"partNumber", "1"}, {"uploadId", ""}};
  EXPECT_EQ(table.match(request)->bound->index, 3U);
  request.headers = {};
  EXPECT_EQ(table.match(request)->bound->index, 2U);
}

TEST(Router, Without_its_condition_a_route_does_not_exist) {
  const Table table({{Method::kPost, "/{b}", "delete"}, {Method::kGet, "/{b}"}});
  EXPECT_EQ(table.allowed(Method::kPost, "/b"), "GET");
  EXPECT_TRUE(table.match(Method::kPost, "/b", {{"delete", ""}}).ok());
  const Table alone({{Method::kPost, "/{b}", "delete"}});
  EXPECT_EQ(alone.match(Method::kPost, "/b").error().code, Code::kNotFound);
}

TEST(Router, Patterns_may_name_the_same_place_differently) {
  const Table table({{Method::kGet, "/m/{name}"}, {Method::kGet, "/m/{model}/tags/{key}"}});
  EXPECT_EQ(table.match(Method::kGet, "/m/a")->params, (Pairs{{"name", "a"}}));
  EXPECT_EQ(table.match(Method::kGet, "/m/a/tags/b")->params,
            (Pairs{{"model", "a"}, {"key", "b"}}));
}

TEST(Router, Refuses_tables_that_are_wrong) {
  EXPECT_FALSE(Table({{Method::kGet, "a"}}).added.ok());
  EXPECT_FALSE(Table({{Method::kGet, "/{rest+}/more"}}).added.ok());
  EXPECT_FALSE(Table({{Method::kGet, "/a/{x}"}, {Method::kGet, "/a/{y}"}}).added.ok());
  EXPECT_FALSE(Table({{Method::kGet, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}"}}).added.ok());
  EXPECT_TRUE(Table({{Method::kGet, "/a", "x"}, {Method::kGet, "/a", "y"}}).added.ok());
}

TEST(Router, A_long_path_of_many_segments_costs_no_more_than_the_table) {
  const Table table({{Method::kGet, "/{a}/{b}/{c}"}, {Method::kGet, "/x/{key+}"}});
  std::string path = "/x";
  for (int i = 0; i < 10'000; ++i)
    path += "/y";
  EXPECT_EQ(table.pattern_of(path), "/x/{key+}");
  EXPECT_EQ(table.pattern_of("/z" + path), "");
}

TEST(Router, An_unknown_path_is_answered_by_the_door_that_it_resembles_most) {
  TableDoor first({{Method::kGet, "/api/v1/things"}});
  TableDoor second({{Method::kGet, "/v2/models/{name}"}});
  Router router;
  ASSERT_TRUE(router.add(first).ok());
  ASSERT_TRUE(router.add(second).ok());
  EXPECT_EQ(&router.door_for(request_for("/v2/models/a/b")), &second);
  EXPECT_EQ(&router.door_for(request_for("/api/v1/nothing")), &first);
}

TEST(Router, A_browser_is_answered_by_the_door_with_pages_but_where_only_others_have_routes) {
  TableDoor api({{Method::kGet, "/api/v1/things"}, {Method::kPost, "/things/{name}/ask"}});
  TableDoor pages({{Method::kGet, "/"}, {Method::kGet, "/things/{name}"}}, true);
  Router router;
  ASSERT_TRUE(router.add(api).ok());
  ASSERT_TRUE(router.add(pages).ok());
  const std::string browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
  for (const std::string path : {"/nothing", "/apis", "/nothing/api", "/things/a/b"})
    EXPECT_EQ(&router.door_for(request_for(path, browser)), &pages) << path;
  for (const std::string path : {"/api", "/api/v1/nothing"})
    EXPECT_EQ(&router.door_for(request_for(path, browser)), &api) << path;
  for (const std::string accept : {"", "*/*", "application/json", "application/json, text/html"})
    EXPECT_EQ(&router.door_for(request_for("/nothing", accept)), &api) << accept;
  Request change = request_for("/nothing", browser);
  change.method = Method::kPost;
  EXPECT_EQ(&router.door_for(change), &api);
}

}  // namespace
}  // namespace strata::http
