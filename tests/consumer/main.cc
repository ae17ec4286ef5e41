// Makes bytes of a message and reads them again.
#include <cstdio>

#include "protocol/codec.h"

int main() {
  using namespace mdgan::protocol;
  const Message sent{.body = Goodbye{.text = "until tomorrow"}};
  const auto read = decode(encode(sent));
  if (!read) std::fprintf(stderr, "%s\n", read.error().message.c_str());
  if (!read || *read != sent) return 1;
  std::printf("protocol %u.%u\n", kMajor, kMinor);
}
