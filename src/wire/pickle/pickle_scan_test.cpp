#include "wire/pickle/pickle_scan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::wire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::string_literals;

// pickle.dumps() of an object whose __reduce__ gives (os.system, ("true",)), in protocols 0 and 4.
const std::string kOld = "cposix\nsystem\np0\n(Vtrue\np1\ntp2\nRp3\n.";
const std::string kNew =
    "\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c"
    "\x04"
    "true\x94\x85\x94R\x94."s;

TEST(PickleScan, What_a_pickle_would_call_is_named_in_every_protocol) {
  for (const auto& bytes : {kOld, kNew}) {
    const auto scan = scan_pickle(bytes);
    ASSERT_TRUE(scan) << scan.error().message;
    EXPECT_THAT(scan->globals, ElementsAre(PickleGlobal{"posix", "system"}));
    EXPECT_EQ(scan->bytes, bytes.size());
    EXPECT_EQ(danger_of(scan->globals[0]), PickleDanger::kCode);
  }
  EXPECT_TRUE(looks_like_pickle(kNew));
  EXPECT_FALSE(looks_like_pickle("tree\nversion=v4\n"));
}

TEST(PickleScan, A_second_pickle_behind_the_first_is_read_as_well) {
  const auto scan = scan_pickle("\x80\x02N."s + kNew + "and more");
  ASSERT_TRUE(scan);
  EXPECT_EQ(scan->globals.size(), 1U);
  EXPECT_EQ(scan->bytes, kNew.size() + 4);
}

TEST(PickleScan, A_name_that_is_hidden_counts_as_code) {
  // The name comes out of the memo, and then from a call.
  const auto remembered = scan_pickle(
      "\x80\x04\x8c\x02os\x94\x8c\x06system\x94"
      "00h\0h\1\x93."s);
  ASSERT_TRUE(remembered) << remembered.error().message;
  EXPECT_THAT(remembered->globals, ElementsAre(PickleGlobal{"os", "system"}));
  const auto computed = scan_pickle("\x80\x04\x8c\x02os(K\1l\x93."s);
  ASSERT_TRUE(computed) << computed.error().message;
  EXPECT_THAT(computed->globals, ElementsAre(PickleGlobal{"os", "?"}));
  EXPECT_EQ(danger_of(computed->globals[0]), PickleDanger::kCode);
  const auto extension = scan_pickle("\x80\x02\x82\x05."s);
  ASSERT_TRUE(extension);
  EXPECT_EQ(danger_of(extension->globals.at(0)), PickleDanger::kCode);
  const auto instance = scan_pickle("(S'id'\nios\nsystem\n.");
  ASSERT_TRUE(instance);
  EXPECT_THAT(instance->globals, ElementsAre(PickleGlobal{"os", "system"}));
}

TEST(PickleScan, What_is_no_pickle_is_told_where) {
  const std::vector<std::pair<std::string, const char*>> faults = {
      {"", "byte 0: it has no end"},
      {kNew.substr(0, 20), "cut off"},
      {"\x80\x04N", "byte 3: it has no end"},
      {"\x80\x04\xff.", "byte 2: no opcode"},
      {"\x80\x04.", "byte 2: there is too little on its stack"},
      {"\x80\x04R.", "too little"},
      {"\x80\x04t.", "no mark"},
      {"\x80\x04h\1.", "not remembered"},
      {"\x80\x04X\xff\xff\xff\x7f"
       "a.",
       "cut off"},
      {"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "cut off"}};
  for (const auto& [bytes, what] : faults) {
    const auto scan = scan_pickle(bytes);
    ASSERT_FALSE(scan) << what;
    EXPECT_THAT(scan.error().message, HasSubstr(what));
  }
}

TEST(PickleScan, Numerical_libraries_are_no_danger_their_test_helpers_and_all_else_are) {
  EXPECT_EQ(danger_of({"numpy.core.multiarray", "_reconstruct"}), PickleDanger::kNone);
  EXPECT_EQ(danger_of({"sklearn.linear_model._base", "LinearRegression"}), PickleDanger::kNone);
  EXPECT_EQ(danger_of({"builtins", "dict"}), PickleDanger::kNone);
  EXPECT_EQ(danger_of({"builtins", "eval"}), PickleDanger::kCode);
  EXPECT_EQ(danger_of({"builtins", "getattr"}), PickleDanger::kCode);
  EXPECT_EQ(danger_of({"numpy.testing._private.utils", "runstring"}), PickleDanger::kCode);
  EXPECT_EQ(danger_of({"subprocess", "Popen"}), PickleDanger::kCode);
  EXPECT_EQ(danger_of({"my_company.models", "Net"}), PickleDanger::kUnknown);
  EXPECT_EQ(danger_of({"osprey", "Model"}), PickleDanger::kUnknown);
}

}  // namespace
}  // namespace strata::wire
