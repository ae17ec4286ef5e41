#include "common/keys/key_file.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "common/files/file_descriptor.h"
#include "common/files/read_file.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFile = 4096;

Error denied(const fs::path& file, const std::string& what) {
  return {file.string() + ": " + what, ExitCode::kAuthentication};
}

Error cannot_write(const fs::path& file, int error) {
  if (error == EEXIST)
    return {file.string() +
                " is there already, and a key is never written over: use it, "
                "or give another file with --key",
            ExitCode::kCheckpoint};
  return {"cannot write " + file.string() + ": " + std::strerror(error),
          ExitCode::kCheckpoint};
}

Result<void> write_exclusively(const fs::path& file, std::string_view text,
                               mode_t mode) {
  const FileDescriptor out(
      ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW,
             mode));
  if (!out) return cannot_write(file, errno);
  const auto length = static_cast<ssize_t>(text.size());
  // The mode is what was asked for, whatever the umask.
  if (::fchmod(out.get(), mode) != 0 ||
      ::write(out.get(), text.data(), text.size()) != length ||
      ::fsync(out.get()) != 0) {
    const int error = errno;
    ::unlink(file.c_str());
    return cannot_write(file, error);
  }
  return {};
}

// The words of the first line that is neither empty nor a comment.
std::vector<std::string> first_words(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with("# ") || line == "#") continue;
    std::vector<std::string> words;
    for (std::size_t at = 0; at < line.size();) {
      const std::size_t begin = line.find_first_not_of(" \t\r", at);
      if (begin == line.npos) break;
      at = std::min(line.find_first_of(" \t\r", begin), line.size());
      words.emplace_back(line.substr(begin, at - begin));
    }
    if (!words.empty()) return words;
  }
  return {};
}

Result<std::vector<std::string>> words_of_file(const fs::path& file) {
  const auto bytes = read_file(file, ExitCode::kAuthentication);
  if (!bytes) return bytes.error();
  return first_words(
      {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
}

// What the file's owner and mode allow to others.
Result<void> check_private(const fs::path& file, const struct stat& status,
                           const std::string& made) {
  if (!S_ISREG(status.st_mode)) return denied(file, "is no plain file");
  if (status.st_uid != ::geteuid())
    return denied(
        file, "belongs to another user, who can read and change it; " + made);
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return denied(file, "others can read or change it: chmod 600 " +
                            file.string() +
                            ", or, if somebody may have read it, " + made);
  return {};
}

}  // namespace

fs::path public_file_of(const fs::path& file) {
  fs::path result = file;
  return result.replace_extension(".pub");
}

Result<void> write_key_pair(const fs::path& file, const KeyPair& keys,
                            std::string_view name) {
  const fs::path public_file = public_file_of(file);
  if (public_file == file)
    return Error{file.string() +
                     " would be the secret and the public key: give a name "
                     "that does not end with .pub",
                 ExitCode::kUsage};
  std::string text =
      "# A secret key of MD-GAN: who has it is taken for its owner. Keep "
      "it.\n" +
      keys.secret_key.z85() + "\n";
  auto written = write_exclusively(file, text, S_IRUSR | S_IWUSR);
  sodium_memzero(text.data(), text.size());
  if (!written) return written;
  written =
      write_exclusively(public_file,
                        to_z85(keys.public_key) + (name.empty() ? "" : " ") +
                            std::string(name) + "\n",
                        S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
  if (!written) ::unlink(file.c_str());
  return written;
}

namespace {

// The words of a file that only its owner can read. `what` it is to hold, and
// how it is `made`, complete an error.
Result<std::vector<std::string>> secret_words(const fs::path& file,
                                              const std::string& what,
                                              const std::string& made) {
  const FileDescriptor in(
      ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!in) {
    const int error = errno;
    return denied(file, "cannot read the " + what + ": " +
                            std::strerror(error) +
                            (error == ENOENT ? "; " + made : ""));
  }
  struct stat status {};
  if (::fstat(in.get(), &status) != 0)
    return denied(file, std::strerror(errno));
  if (auto checked = check_private(file, status, made); !checked)
    return checked.error();
  std::string text(kMaxFile, '\0');
  const ssize_t length = ::read(in.get(), text.data(), text.size());
  std::vector<std::string> words;
  if (length > 0)
    words = first_words({text.data(), static_cast<std::size_t>(length)});
  sodium_memzero(text.data(), text.size());
  return words;
}

}  // namespace

Result<KeyPair> read_key_pair(const fs::path& file) {
  // Everybody may know it, and its text would do.
  if (file.extension() == ".pub")
    return denied(file,
                  "is a public key's file: give the secret key's, which "
                  "keygen has made beside it");
  auto words = secret_words(file, "secret key", "make one with keygen");
  if (!words) return words.error();
  std::optional<SecretKey> secret;
  if (words->size() == 1) secret = SecretKey::from_z85(words->front());
  for (std::string& word : *words) sodium_memzero(word.data(), word.size());
  if (!secret)
    return denied(file, "holds no secret key, which is a line of " +
                            std::to_string(kKeyCharacters) +
                            " characters: make one with keygen");
  return KeyPair{secret->public_key(), *secret};
}

Result<std::string> read_token(const fs::path& file) {
  const std::string made =
      "make one: (umask 077; head -c 24 /dev/urandom | base64 > " +
      file.string() + ")";
  auto words = secret_words(file, "token", made);
  if (!words) return words.error();
  if (words->size() != 1 || words->front().size() < 16 ||
      words->front().size() > 512 ||
      !std::ranges::all_of(words->front(),
                           [](char c) { return c > ' ' && c <= '~'; }))
    return denied(file,
                  "holds no token, which is a line of 16 to 512 printable "
                  "characters; " +
                      made);
  return std::move(words->front());
}

Result<PublicKey> read_public_key(const std::string& text,
                                  std::string_view what) {
  if (const auto key = public_key_of(text)) return *key;
  const auto wrong = [&](const std::string& why) {
    return Error{std::string(what) + ": '" + text + "' " + why +
                     "; it is a key of " + std::to_string(kKeyCharacters) +
                     " characters, as keygen prints it, or a .pub file",
                 ExitCode::kAuthentication};
  };
  std::error_code ignored;
  if (!fs::exists(text, ignored)) return wrong("is neither a key nor a file");
  const auto words = words_of_file(text);
  if (!words) return words.error();
  if (!words->empty())
    if (const auto key = public_key_of(words->front())) return *key;
  return wrong("holds no public key");
}

std::string name_in_public_file(const fs::path& file) {
  const auto words = words_of_file(file);
  return words && words->size() >= 2 ? (*words)[1] : "";
}

}  // namespace mdgan
