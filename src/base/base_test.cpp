#include <cmath>

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "base/time.hpp"

namespace strata {
namespace {

TEST(Json, Keeps_integers_exact_and_doubles_short) {
  const auto doc = parse_json(R"({"a":9007199254740993,"b":18446744073709551615,"c":0.1,"d":-3})");
  ASSERT_TRUE(doc.ok());
  EXPECT_EQ(doc->dump(), R"({"a":9007199254740993,"b":18446744073709551615,"c":0.1,"d":-3})");
}

TEST(Json, Says_where_the_text_is_wrong) {
  const auto doc = parse_json("{\"a\": 1,\n  \"b\" 2}");
  ASSERT_FALSE(doc.ok());
  EXPECT_EQ(doc.error().code, Code::kMalformed);
  EXPECT_NE(doc.error().message.find("line 2 column 7"), std::string::npos) << doc.error().message;
}

TEST(Json, Refuses_what_the_grammar_does_not_allow) {
  for (const char* bad : {"", "NaN", "{\"a\":}", "[1,]", "01", "1.", "\"\\x\"", "\"a", "{\"a\":1}x",
                          "\"\\ud800\"", "[1 2]", "tru", "-", "\"\x01\"", "\"\xff\"", "1e999"}) {
    EXPECT_FALSE(parse_json(bad).ok()) << bad;
  }
  EXPECT_FALSE(parse_json(std::string(100, '[')).ok());
}

TEST(Json, Round_trips_text_with_escapes_and_surrogates) {
  const auto doc = parse_json(R"("\u00e9\ud83d\ude00\n\"\\")");
  ASSERT_TRUE(doc.ok());
  EXPECT_EQ(doc->as_string(), "\xc3\xa9\xf0\x9f\x98\x80\n\"\\");
  EXPECT_EQ(*parse_json(doc->dump()), *doc);
}

TEST(Json, Writes_non_finite_doubles_as_strings) {
  EXPECT_EQ(Json(std::nan("")).dump(), "\"NaN\"");
  EXPECT_EQ(Json(-INFINITY).dump(), "\"-Infinity\"");
  EXPECT_EQ(Json(2.0).dump(), "2.0");
}

TEST(Bytes, Base64_round_trips_every_length) {
  std::string bytes;
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(from_base64(to_base64(bytes)).value(), bytes);
    EXPECT_EQ(from_base64(to_base64url(bytes)).value(), bytes);
    EXPECT_EQ(from_hex(to_hex(bytes)).value(), bytes);
    bytes += static_cast<char>(i * 37);
  }
  EXPECT_FALSE(from_base64("a").ok());
  EXPECT_FALSE(from_base64("ab!d").ok());
  EXPECT_FALSE(from_hex("abc").ok());
}

TEST(Bytes, Utf8_refuses_overlong_surrogates_and_cut_sequences) {
  EXPECT_TRUE(is_utf8("plain \xc3\xa9 \xf0\x9f\x98\x80"));
  for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\x80"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
  EXPECT_EQ(printable("a\xff\n"), "a\\xff\\x0a");
}

TEST(Digest, Matches_published_vectors) {
  EXPECT_EQ(content_digest("abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(md5("")), "d41d8cd98f00b204e9800998ecf8427e");
  Digest running(DigestKind::kSha1);
  running.update("a");
  running.update("bc");
  EXPECT_EQ(to_hex(running.finish()), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(to_hex(hmac_sha256("key", "The quick brown fox jumps over the lazy dog")),
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
}

TEST(Time, Formats_and_parses_the_same_instant_in_every_form) {
  const auto t = parse_rfc3339("2026-11-22T15:04:05.250+01:00");
  ASSERT_TRUE(t.ok());
  EXPECT_EQ(to_rfc3339(*t), "2026-11-22T14:04:05.250Z");
  EXPECT_EQ(to_http_date(*t), "Sun, 22 Nov 2026 14:04:05 GMT");
  EXPECT_EQ(parse_http_date(to_http_date(*t))->seconds(), t->seconds());
  EXPECT_EQ(parse_basic_iso8601(to_basic_iso8601(*t))->seconds(), t->seconds());
  for (const char* bad : {"2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-02-28", "", "x"}) {
    EXPECT_FALSE(parse_rfc3339(bad).ok()) << bad;
  }
}

TEST(Json, A_number_beyond_64_bits_is_read_as_the_nearest_integer) {
  const auto json =
      parse_json(R"({"a": 1e300, "b": -1e300, "c": 18446744073709551615, "d": -7.9})");
  ASSERT_TRUE(json);
  EXPECT_EQ(json->integer("a"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(json->integer("b"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(json->integer("c"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(json->integer("d"), -7);
}

TEST(Json, Nests_64_deep_and_no_deeper) {
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']')).ok());
  EXPECT_FALSE(parse_json(std::string(65, '[') + std::string(65, ']')).ok());
}

TEST(Time, Reads_durations_as_people_write_them) {
  EXPECT_EQ(parse_duration("1h30m")->count(), 5'400'000);
  EXPECT_EQ(parse_duration("250ms")->count(), 250);
  EXPECT_EQ(parse_duration("100000d")->count(), 8'640'000'000'000);
  for (const char* bad : {"", "5", "m", "3x", "-1s", "100000d1ms", "999999999d999999999d"})
    EXPECT_FALSE(parse_duration(bad).ok()) << bad;
}

TEST(Text, Suggests_the_nearest_word_only_when_it_is_near) {
  EXPECT_EQ(did_you_mean("featurs", {"train", "features"}), "features");
  EXPECT_EQ(did_you_mean("zebra", {"train", "features"}), "");
}

}  // namespace
}  // namespace strata
