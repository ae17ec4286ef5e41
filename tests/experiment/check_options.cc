// What `mdgan-server train --dry-run` checks, by the same code, in a program
// without LibTorch: that takes longer to load than hundreds of options to read.
#include <cstdio>

#include "server/command_options.h"

int main(int argc, char** argv) {
  const auto command =
      mdgan::parse_server_options(argc, argv, mdgan::environment_of_process());
  if (command) return 0;
  std::fprintf(stderr, "mdgan-server: %s\n", command.error().message.c_str());
  return static_cast<int>(command.error().code);
}
