#pragma once

#include "kernel/identity/identity.hpp"

namespace strata::kernel {

constexpr std::string_view kDefaultProject = "default";

struct Identity::Token {
  TokenInfo info;
  UserId user;
  ProjectId project;
  Permissions scopes;
};

// All that decides who may do what, as the records have it.
struct Identity::State {
  std::map<UserId, User> users;
  std::map<std::string, UserId, std::less<>> user_ids;
  std::map<std::string, Token, std::less<>> by_hash;
  std::map<std::string, std::string, std::less<>> hash_by_access_key;
  std::map<TokenId, std::string> hash_by_id;
  std::map<std::string, Team, std::less<>> teams;
  std::map<std::string, Project, std::less<>> projects;

  // The one place where users, teams and projects become a role: nothing where the user has no
  // business. An administrator is one everywhere; the project "default" is everyone's, with the
  // user's own role; anywhere else the strongest role that the user or one of its teams was given.
  std::optional<Role> role_in(const User& user, std::string_view project) const;
  // What that role allows. Only an administrator of the server administers it: who administers a
  // project decides over its members and is a member otherwise.
  Permissions permissions_in(const User& user, std::string_view project) const;
};

// Errors: kInvalidArgument naming `field`.
Status check_name(std::string_view field, std::string_view name);

}  // namespace strata::kernel
