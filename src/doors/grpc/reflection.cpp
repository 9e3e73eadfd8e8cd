#include "doors/grpc/reflection.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "doors/grpc/descriptors.hpp"
#include "doors/grpc/grpc.hpp"
#include "wire/grpc/grpc.hpp"
#include "wire/protobuf/protobuf.hpp"

namespace strata::doors::grpc {

using wire::protobuf::Reader;
using wire::protobuf::Writer;

namespace {

constexpr std::string_view kV1 = "grpc.reflection.v1.ServerReflection";
constexpr std::string_view kV1Alpha = "grpc.reflection.v1alpha.ServerReflection";

struct File {
  std::string bytes;  // a FileDescriptorProto
  std::vector<std::string> needs;
};

// What is known, by file name and by symbol.
class Catalog {
 public:
  explicit Catalog(std::vector<std::string> services) : services_(std::move(services)) {
    for (const auto& bytes : descriptor_files())
      add(bytes);
    std::ranges::sort(services_);
  }

  const std::vector<std::string>& services() const { return services_; }

  const std::string* file_of(const std::string& symbol) const {
    const auto found = symbols_.find(symbol);
    return found == symbols_.end() ? nullptr : &found->second;
  }

  // That file, then those that it needs; none when there is no such file.
  std::vector<const File*> with_needs(const std::string& name) const {
    std::vector<const File*> all;
    std::set<std::string> seen;
    std::vector<std::string> open = {name};
    while (!open.empty()) {
      const std::string next = std::move(open.back());
      open.pop_back();
      const auto found = files_.find(next);
      if (found == files_.end() || !seen.insert(next).second) continue;
      all.push_back(&found->second);
      open.insert(open.end(), found->second.needs.begin(), found->second.needs.end());
    }
    return all;
  }

 private:
  // Field numbers are those of google/protobuf/descriptor.proto.
  void add(const std::string& bytes) {
    std::string name;
    std::string package;
    Reader names(bytes, "FileDescriptorProto");
    File file{bytes, {}};
    while (names.next()) {
      if (names.number() == 1) names.text("name", name);
      if (names.number() == 2) names.text("package", package);
      if (names.number() == 3) names.text("dependency", file.needs.emplace_back());
    }
    const std::string prefix = package.empty() ? "" : package + ".";
    Reader types(bytes, "FileDescriptorProto");
    while (types.next()) {
      if (types.number() == 4) add_message(name, prefix, types.message("message_type"));
      if (types.number() == 5) add_named(name, prefix, types.message("enum_type"), 0);
      if (types.number() == 6) add_named(name, prefix, types.message("service"), 2);
    }
    files_.emplace(name, std::move(file));
  }

  void add_message(const std::string& file, const std::string& prefix, std::string_view message) {
    const std::string full = add_named(file, prefix, message, 2);
    Reader inner(message, "DescriptorProto");
    while (inner.next()) {
      if (inner.number() == 3) add_message(file, full + ".", inner.message("nested_type"));
      if (inner.number() == 4) add_named(file, full + ".", inner.message("enum_type"), 0);
    }
  }

  // Something with its name in field 1 and, in field `members`, members with theirs. Its full name.
  std::string add_named(const std::string& file, const std::string& prefix, std::string_view thing,
                        std::uint32_t members) {
    std::string name;
    std::vector<std::string> inner;
    Reader reader(thing, "Descriptor");
    while (reader.next()) {
      if (reader.number() == 1) reader.text("name", name);
      if (members == 0 || reader.number() != members) continue;
      Reader member(reader.message("member"), "Descriptor");
      while (member.next())
        if (member.number() == 1) member.text("name", inner.emplace_back());
    }
    const std::string full = prefix + name;
    symbols_.emplace(full, file);
    for (const auto& one : inner)
      symbols_.emplace(full + "." + one, file);
    return full;
  }

  std::vector<std::string> services_;
  std::map<std::string, File, std::less<>> files_;
  std::map<std::string, std::string, std::less<>> symbols_;
};

class Reflection final : public Replies {
 public:
  Reflection(std::shared_ptr<const Catalog> catalog, Messages& messages)
      : catalog_(std::move(catalog)),
        messages_(messages) {}

  Task<Result<std::optional<std::string>>> next() override {
    const auto message = co_await messages_.next();
    if (!message) co_return message.error();
    if (!*message) co_return std::optional<std::string>();
    auto answered = answer(*(*message)->bytes);
    if (!answered) co_return std::move(answered).error();
    co_return std::optional(*std::move(answered));
  }

 private:
  // Field numbers are those of ServerReflectionRequest and ServerReflectionResponse.
  Result<std::string> answer(std::string_view request) const {
    std::string host;
    std::string asked;
    std::uint32_t kind = 0;
    Reader reader(request, "ServerReflectionRequest");
    while (reader.next()) {
      if (reader.number() == 1) reader.text("host", host);
      if (reader.number() < 3 || reader.number() > 7) continue;
      kind = reader.number();
      if (kind == 5) {
        static_cast<void>(reader.message("file_containing_extension"));
      } else {
        reader.text("message_request", asked);
      }
    }
    if (reader.failed()) return reader.error();
    Writer out(wire::grpc::room());
    out.text(1, host);
    out.element(2, request);
    answer_kind(out, kind, asked);
    return out.take();
  }

  void answer_kind(Writer& out, std::uint32_t kind, const std::string& asked) const {
    switch (kind) {
      case 3:
        return send_files(out, asked, asked);
      case 4: {
        const auto* file = catalog_->file_of(asked);
        return send_files(out, file == nullptr ? std::string() : *file, asked);
      }
      case 7: {
        Writer list;
        for (const auto& name : catalog_->services()) {
          Writer service;
          service.text(1, name);
          list.message(1, service);
        }
        return out.message(6, list);
      }
      case 5:
      case 6:
        return send_error(out, Code::kNotFound, "there are no extensions here");
      default:
        return send_error(out, Code::kInvalidArgument, "message_request: is not set");
    }
  }

  void send_files(Writer& out, const std::string& name, const std::string& asked) const {
    const auto files = catalog_->with_needs(name);
    if (files.empty()) {
      return send_error(out, Code::kNotFound,
                        fmt::format("there is no '{}' here", printable(asked, 200)));
    }
    Writer list;
    for (const auto* file : files)
      list.element(1, file->bytes);
    out.message(4, list);
  }

  static void send_error(Writer& out, Code code, std::string_view text) {
    Writer error;
    error.integer(1, static_cast<std::int64_t>(wire::grpc::status_of(code)));
    error.text(2, text);
    out.message(7, error);
  }

  std::shared_ptr<const Catalog> catalog_;
  Messages& messages_;
};

}  // namespace

std::vector<Service> reflection_services(std::vector<std::string> services) {
  services.emplace_back(kV1);
  services.emplace_back(kV1Alpha);
  auto catalog = std::make_shared<const Catalog>(std::move(services));
  const auto info = [catalog](const Call&, Messages& messages) -> std::unique_ptr<Replies> {
    return std::make_unique<Reflection>(catalog, messages);
  };
  std::vector<Service> made;
  for (const auto name : {kV1, kV1Alpha}) {
    Service service{name, {}};
    service.methods.push_back({"ServerReflectionInfo",
                               kernel::Permission::kPublic,
                               open_call(kSmallCall.body),
                               {},
                               info});
    made.push_back(std::move(service));
  }
  return made;
}

}  // namespace strata::doors::grpc
