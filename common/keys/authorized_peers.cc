#include "common/keys/authorized_peers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <limits>
#include <system_error>
#include <vector>

#include "common/files/read_file.h"
#include "common/keys/key.h"
#include "protocol/clean_text.h"

namespace mdgan {
namespace {

constexpr std::string_view kBlanks = " \t\r\v\f";
constexpr std::size_t kMaxName = 200;

// The words of a line, without its comment. A key may have a '#': one that
// begins a line with a key of 40 characters and a name is no comment's.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t begin = line.find_first_not_of(kBlanks, at);
    if (begin == line.npos) break;
    at = std::min(line.find_first_of(kBlanks, begin), line.size());
    words.push_back(line.substr(begin, at - begin));
  }
  const bool begins_with_key = words.size() > 1 && public_key_of(words[0]);
  for (std::size_t i = begins_with_key ? 1 : 0; i < words.size(); ++i)
    if (words[i].starts_with('#')) words.resize(i);
  return words;
}

// "peer" of "peer-12"; empty where the name has no number at its end.
std::string_view base_of(std::string_view name) {
  std::size_t end = name.size();
  while (end > 0 && std::isdigit(static_cast<unsigned char>(name[end - 1])))
    --end;
  if (end == name.size() || end < 2 || name[end - 1] != '-') return "";
  return name.substr(0, end - 1);
}

// N of "images=N", where `key` is "images="; nothing if it is not that, or N is
// 0.
std::optional<std::uint64_t> number_of(std::string_view word,
                                       std::string_view key) {
  if (!word.starts_with(key)) return std::nullopt;
  word.remove_prefix(key.size());
  std::uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size() || number == 0)
    return std::nullopt;
  return number;
}

}  // namespace

std::filesystem::path authorized_peers_of(const std::filesystem::path& key_file,
                                          const std::string& given) {
  return given.empty() ? key_file.parent_path() / "authorized_peers"
                       : std::filesystem::path(given);
}

std::string defect_of_name(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > kMaxName)
    return "has more than " + std::to_string(kMaxName) + " bytes";
  if (!protocol::is_clean_text(name))
    return "is not UTF-8, or has control or format characters";
  if (name.find_first_of(kBlanks) != name.npos) return "has a blank";
  if (name.find('/') != name.npos || name.starts_with('.'))
    return "has a '/' or a leading '.', which a folder's name cannot have";
  if (name.starts_with('#') || name.starts_with('-'))
    return "begins with a '#' or a '-'";
  return "";
}

bool may_be_called(std::string_view name, std::string_view peer,
                   std::uint64_t most) {
  if (peer == name) return true;
  if (most <= 1 || base_of(peer) != name) return false;
  const std::string_view digits = peer.substr(name.size() + 1);
  if (digits.size() > 1 && digits.front() == '0') return false;
  std::uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && number < most;
}

bool may_be_of_one_process(std::string_view a, std::string_view b) {
  const auto process_of = [](std::string_view name) {
    const std::string_view base = base_of(name);
    return base.empty() ? name : base;
  };
  return process_of(a) == process_of(b);
}

Result<AuthorizedPeers> AuthorizedPeers::parse(std::string_view text,
                                               std::string_view file) {
  AuthorizedPeers peers;
  std::map<PublicKey, std::size_t> line_of_key;
  std::map<std::string, std::size_t, std::less<>> line_of_name;
  std::size_t number = 0;
  const auto wrong = [&](const std::string& why) {
    return Error{std::string(file) + ":" + std::to_string(number) + ": " + why,
                 ExitCode::kAuthentication};
  };
  const auto shown = [](std::string_view word) {
    return "'" + protocol::presentable(std::string(word)) + "'";
  };
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    ++number;
    const std::vector<std::string_view> words = words_of(line);
    if (words.empty()) continue;
    const auto key = public_key_of(words[0]);
    if (!key)
      return wrong(shown(words[0].substr(0, 2 * kKeyCharacters)) +
                   " is no key; a line is KEY NAME, with a key of " +
                   std::to_string(kKeyCharacters) +
                   " characters as `mdgan-peer keygen` prints it");
    if (words.size() == 1)
      return wrong("the key has no name; a line is KEY NAME");
    std::optional<std::uint64_t> images;
    std::optional<std::uint64_t> count;
    for (std::size_t i = 2; i < words.size(); ++i) {
      const auto in_images = number_of(words[i], "images=");
      const auto in_peers = number_of(words[i], "peers=");
      if ((in_images && images) || (in_peers && count) ||
          (!in_images && !in_peers))
        return wrong("after the name stands " + shown(words[i]) +
                     "; a line is KEY NAME or KEY NAME images=N peers=M, a "
                     "name is one word, and a comment begins with '#'");
      (in_images ? images : count) = in_images ? in_images : in_peers;
    }
    const std::string name(words[1]);
    if (const std::string defect = defect_of_name(name); !defect.empty())
      return wrong("the name " + shown(name) + " " + defect);
    if (const auto [other, is_new] = line_of_key.emplace(*key, number); !is_new)
      return wrong("the key of line " + std::to_string(other->second) +
                   " stands here again: keep one of the two lines");
    if (const auto [other, is_new] = line_of_name.emplace(name, number);
        !is_new)
      return wrong("the name " + shown(name) + " of line " +
                   std::to_string(other->second) +
                   " stands here again: a peer has one key");
    peers.names_.emplace(*key, name);
    if (images) peers.most_images_.emplace(*key, *images);
    if (count) peers.most_peers_.emplace(*key, *count);
  }
  for (const auto& [name, line] : line_of_name) {
    const auto base = line_of_name.find(base_of(name));
    if (base == line_of_name.end()) continue;
    number = std::max(line, base->second);
    return wrong(shown(name) + " could be a peer of the process " +
                 shown(base->first) + " of line " +
                 std::to_string(std::min(line, base->second)) +
                 ": give one of them another name");
  }
  return peers;
}

Result<std::string> read_list(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) == 0) {
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
      return Error{file.string() +
                       ": others can write to it, and so let in whom they "
                       "like: chmod go-w " +
                       file.string(),
                   ExitCode::kAuthentication};
    // root can do as it likes anyway.
    if (status.st_uid != ::geteuid() && status.st_uid != 0)
      return Error{file.string() +
                       ": it belongs to another user, who can let in whom "
                       "they like: chown it to the one that runs this program",
                   ExitCode::kAuthentication};
  }
  const auto bytes = read_file(file, ExitCode::kAuthentication);
  if (!bytes) return bytes.error();
  return std::string(reinterpret_cast<const char*>(bytes->data()),
                     bytes->size());
}

Result<AuthorizedPeers> AuthorizedPeers::read(
    const std::filesystem::path& file) {
  const auto text = read_list(file);
  if (!text) return text.error();
  return parse(*text, file.string());
}

const std::string* AuthorizedPeers::name_of(const PublicKey& key) const {
  const auto it = names_.find(key);
  return it == names_.end() ? nullptr : &it->second;
}

std::uint64_t AuthorizedPeers::most_images(const PublicKey& key) const {
  const auto it = most_images_.find(key);
  return it == most_images_.end() ? std::numeric_limits<std::uint64_t>::max()
                                  : it->second;
}

std::uint64_t AuthorizedPeers::most_peers(const PublicKey& key) const {
  const auto it = most_peers_.find(key);
  return it == most_peers_.end() ? kMostPeers : it->second;
}

}  // namespace mdgan
