// Writes the seeds of the fuzzers' corpora with the project's own writers:
//   make_corpus tests/fuzz/corpus
// What fuzzing found lies beside them, and stays.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

#include "protocol/codec.h"
#include "tests/fuzz/input.h"
#include "tests/protocol/examples.h"

namespace {

using namespace mdgan;
namespace fs = std::filesystem;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void put(const fs::path& file, const std::string& content) {
  fuzz::write(file, std::as_bytes(std::span(content)));
}

void envelopes(const fs::path& to) {
  for (const protocol::Message& message : protocol::one_of_each())
    put(to / protocol::type_name(message.body),
        text_of(protocol::encode(message)));
  Random random(1, Purpose::kSimulation);
  for (const protocol::Message& message : protocol::random_messages(random))
    put(to / (std::string(protocol::type_name(message.body)) + "-random"),
        text_of(protocol::encode(message)));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_corpus FOLDER\n", stderr);
    return 2;
  }
  const fs::path to = argv[1];
  envelopes(to / "envelope");
  return 0;
}
